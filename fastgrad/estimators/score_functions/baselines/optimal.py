"""The constant baseline of least variance, estimated from the other samples of the call."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.score_functions.baselines.simple import Baseline
from fastgrad.estimators.score_sums import score_sums
from fastgrad.estimators.sums import CentredScores, Mean, exclusive_sums, mean_features
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimal(Baseline):
    """The constant of least variance, E[f score**2] / E[score**2].

    For each sample it is estimated from the other samples of the call, so that the gradient stays
    unbiased. With two samples, it is the f of the other one.

    Parameters
    ----------
    pooled : bool
        If true, there is one constant for a whole example (with credit, for a variable), where
        score**2 is the squared length of its score; the outcomes of all blocks are then kept in
        memory. If false, there is one constant for each logit.

    References
    ----------
    Weaver and Tao, "The optimal reward baseline for gradient-based reinforcement learning", 2001.
    """

    pooled: bool = False

    min_samples = 2

    def sums(self, distribution: Discrete) -> Any:
        """Return an object whose ``add(z, signal)`` takes a block of outcomes and signals."""
        pooled = self.pooled and distribution.one_hot
        return PooledScores(distribution) if pooled else score_sums(distribution)

    def centred(self, sums: Any, state: dict[str, Any] | None) -> FloatArray:
        """Return the mean over samples of (signal - optimum) score, the shape of the logits."""
        of_structures = self.pooled and not sums.distribution.one_hot
        return sums.optimum(pooled=True) if of_structures else sums.optimum()


class PooledScores:
    """The mean over samples of (signal - optimum) score, with one optimum for each example.

    The optimum is sum(signal w) / sum(w) over the other samples, with w the squared length of the
    score of all variables that the signal concerns. As all samples have to be seen first, the
    outcomes are kept.
    """

    distribution: Discrete
    mean: Mean
    p: FloatArray | None
    squares: FloatArray

    def __init__(self, distribution: Discrete) -> None:
        self.distribution = distribution
        self.mean = Mean()
        self.kept: list[tuple[IntArray, FloatArray, FloatArray]] = []
        self.p = None

    def add(self, z: IntArray, signal: FloatArray) -> None:
        """Take outcomes (S, *batch) and their signal, whose shape is a leading part of theirs."""
        d = self.distribution
        if self.p is None:
            self.p = mean_features(d)
            self.squares = squared_scores(d, self.p)
        flat, _ = _validate.categories(z, d.batch_shape, d.num_outcomes)
        self.mean.add(signal)
        x = np.array(signal, np.float64).reshape(len(signal), -1)
        w = np.empty_like(x)
        _kernels.sum_chosen(self.squares, flat, w)
        self.kept.append((z, x - self.mean.first, w))

    @property
    def result(self) -> Any:
        """The mean signal."""
        return self.mean.result

    def optimum(self) -> FloatArray:
        """Return the mean, of the shape of the logits."""
        outcomes, blocks, squares = zip(*self.kept, strict=True)
        x, w = np.concatenate(blocks), np.concatenate(squares)
        others = exclusive_sums(w)
        known = others > 0  # where all other scores are zero, any constant will do: 0
        x -= exclusive_sums(w * x) / np.where(known, others, 1.0)
        scores, begin = CentredScores(self.distribution), 0
        for z in outcomes:
            scores.add(z, x[begin : begin + len(z)])
            begin += len(z)
        return scores.about(0.0, len(x))


def squared_scores(distribution: Discrete, p: FloatArray) -> FloatArray:
    """Return the squared length of each variable's score for each outcome, shape (N, outcomes)."""
    if distribution.single_logit:
        p = p.astype(np.float64)
        return np.concatenate([p**2, (1 - p) ** 2], axis=1)
    out = np.empty(p.shape)
    _kernels.squares(p, out)
    return out
