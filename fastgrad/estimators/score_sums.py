"""Sums of scores of any distribution, with the baselines that are made of other samples.

`CentredScores` has kernels for one-hot features, whose softmax cancels. `StructuredScores` asks the
distribution for the score of each sample instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad._typing import Array, FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.sums import CentredScores, Mean, exclusive_sums, last_joined


def score_sums(distribution: Discrete) -> Any:
    """Return an object whose ``add(z, signal)`` takes samples and signals."""
    return CentredScores(distribution) if distribution.one_hot else StructuredScores(distribution)


def expand(x: FloatArray, like: FloatArray) -> FloatArray:
    """Return x with trailing axes of length 1, as many as `like` has more."""
    return x.reshape(x.shape + (1,) * (np.ndim(like) - np.ndim(x)))


class StructuredScores:
    """Sums over samples of (signal - baseline) score, for scores that are arrays.

    It has the methods of `CentredScores`, and like these does not depend on the blocks in which
    samples come, bit for bit.
    """

    distribution: Discrete
    mean: Mean
    weighted: Mean
    scores: Mean
    kept: list[tuple[Any, FloatArray]]

    def __init__(self, distribution: Discrete) -> None:
        self.distribution = distribution
        self.mean, self.weighted, self.scores, self.kept = Mean(), Mean(), Mean(), []

    def add(self, z: Any, signal: Array) -> None:
        """Take samples (S, *batch, ...) and their signal, whose shape is part of (S, *batch)."""
        self.mean.add(signal)
        x = np.array(signal, np.float64).reshape(len(signal), -1) - self.mean.first
        self.kept.append((z, x))
        score = self._score(z)
        self.scores.add(score)
        self.weighted.add(x[..., None] * score)

    def hold(self, z: Any, x: FloatArray, shape: tuple[int, ...]) -> None:
        """Do as `add` with a signal x, (S, M), of this shape."""
        self.add(z, x.reshape(len(x), *shape))

    def _score(self, z: Any) -> FloatArray:
        """Return scores in float64, (S, M, L), for M numbers of the signal of a sample."""
        score = self.distribution.score(z)
        return last_joined(score, len(z), self.mean.first.size).astype(np.float64)

    def settle(self) -> None:
        """Do nothing: no block waits."""

    @property
    def result(self) -> Any:
        """The mean signal."""
        return self.mean.result

    def total(self, over: int) -> FloatArray:
        """Return the sum about the mean, divided by `over`, of the shape of the logits."""
        return self._about(self.mean.deviation, self.mean.count / over)

    def about(self, baseline: Any, over: int) -> FloatArray:
        """Return the sum about a baseline, divided by `over`.

        The baseline is one number, or one for each example: of the shape of the mean.
        """
        return self._about(np.reshape(baseline, -1) - self.mean.first, self.mean.count / over)

    def _about(self, origin: FloatArray, factor: float) -> FloatArray:
        """Return the mean about what is `origin` more than the first signal, times a factor."""
        score, logits = self.scores.result, self.distribution.logits
        origin = np.broadcast_to(origin.astype(np.float64), self.mean.first.shape)
        grad = factor * (self.weighted.result - origin[:, None] * score)
        return grad.reshape(logits.shape).astype(logits.dtype)

    def optimum(self, *, pooled: bool = False) -> FloatArray:
        """Return the mean about the optimal baseline, made of the other samples of each.

        It is sum(signal score**2) / sum(score**2) over these: one for each logit, or, if `pooled`,
        one for each example, with score**2 the squared length of its score.
        """
        score = np.concatenate([self._score(z) for z, _ in self.kept])
        x = np.concatenate([x for _, x in self.kept])[..., None]
        w = score**2
        if pooled:
            w = w.sum(axis=2, keepdims=True)
        others = exclusive_sums(w)
        known = others > 0
        found = exclusive_sums(w * x) / np.where(known, others, 1.0)
        # Where all other scores are zero the baseline is 0: what x counts from is a sample's own f.
        x = x - np.where(known, found, -self.mean.first[:, None])
        logits = self.distribution.logits
        return (x * score).mean(axis=0).reshape(logits.shape).astype(logits.dtype)
