"""Sums of scores of any distribution, with the baselines that are made of other samples.

`CentredScores` has kernels for one-hot features, whose softmax cancels. `StructuredScores` asks the
distribution for the score of each sample instead.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad._typing import Array, FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.sums import CentredScores, Mean, exclusive_sums


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
        score = self.distribution.score(z).astype(np.float64)
        x = np.array(signal, np.float64) - self.mean.first.reshape(self.mean.shape)
        self.kept.append((z, x))
        self.scores.add(score)
        self.weighted.add(expand(x, score) * score)

    def settle(self) -> None:
        """Do nothing: no block waits."""

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
        score = self.scores.result
        origin = np.broadcast_to(origin.astype(np.float64), self.mean.first.shape)
        origin = expand(origin.reshape(self.mean.shape), score)
        grad = factor * (self.weighted.result - origin * score)
        return np.asarray(grad, self.distribution.logits.dtype)

    def optimum(self, *, pooled: bool = False) -> FloatArray:
        """Return the mean about the optimal baseline, made of the other samples of each.

        It is sum(signal score**2) / sum(score**2) over these: one for each logit, or, if `pooled`,
        one for each example, with score**2 the squared length of its score.
        """
        score = np.concatenate([self.distribution.score(z) for z, _ in self.kept])
        score = score.astype(np.float64)
        x = expand(np.concatenate([x for _, x in self.kept]), score)
        w = score**2
        if pooled:
            inner = tuple(range(1 + len(self.mean.shape), w.ndim))
            w = w.sum(axis=inner, keepdims=True)
        others = exclusive_sums(w)
        known = others > 0  # where all other scores are zero, any constant will do
        x = x - exclusive_sums(w * x) / np.where(known, others, 1.0)
        return np.asarray((x * score).mean(axis=0), self.distribution.logits.dtype)
