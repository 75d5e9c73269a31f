"""The constant of least variance, from the other samples of the call."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.score_functions.baselines.simple import Baseline
from fastgrad.estimators.sums import CentredScores, Mean, mean_features
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels


@dataclasses.dataclass(frozen=True, kw_only=True)
class Optimal(Baseline):
    """The constant of least variance, E[f score**2] / E[score**2], estimated without bias.

    Each sample's comes from the other samples of the call; of two samples, it is the other's f.

    Parameters
    ----------
    pooled : bool
        One for a whole example (a variable, with credit), with the squared length of its score;
        this keeps the outcomes of all blocks. Otherwise one for each logit.

    References
    ----------
    Weaver and Tao, "The optimal reward baseline for gradient-based reinforcement learning", 2001.
    """

    pooled: bool = False

    min_samples = 2

    def sums(self, distribution):
        """Return what takes the samples in."""
        return PooledScores(distribution) if self.pooled else CentredScores(distribution)

    def centred(self, sums, state):
        """Return the mean over samples of (signal - optimum) score."""
        return sums.optimum()


class PooledScores:
    """The mean over samples of (signal - optimum) score, for each example its optimum.

    That is sum(signal w) / sum(w) over the other samples, w the squared length of the score of all
    variables that a signal concerns: all have to be seen first, so the outcomes are kept.
    """

    def __init__(self, distribution):
        self.distribution = distribution
        self.mean = Mean()
        self.kept = []
        self.p = mean_features(distribution)
        self.squares = squared_scores(distribution, self.p)

    def add(self, z, signal):
        """Take outcomes (S, *batch) and their signal, whose shape is a leading part of theirs."""
        d = self.distribution
        flat, _ = _validate.categories(z, d.batch_shape, discrete.num_outcomes(d))
        self.mean.add(signal)
        x = np.array(signal, np.float64).reshape(len(signal), -1)
        w = np.empty_like(x)
        _kernels.sum_chosen(self.squares, flat, w)
        self.kept.append((z, x - self.mean.first, w))

    def optimum(self):
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


def squared_scores(distribution, p):
    """Return the squared length of each variable's score for each outcome, shape (N, outcomes)."""
    if discrete.single_logit(distribution):
        p = p.astype(np.float64)
        return np.concatenate([p**2, (1 - p) ** 2], axis=1)
    out = np.empty(p.shape)
    _kernels.squares(p, out)
    return out


def exclusive_sums(x):
    """Return, along the first axis, the sums of all entries but each itself, without cancelling."""
    out = np.zeros_like(x)
    np.cumsum(x[:-1], axis=0, out=out[1:])
    out[:-1] += np.cumsum(x[:0:-1], axis=0)[::-1]
    return out
