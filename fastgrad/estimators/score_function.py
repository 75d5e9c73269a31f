"""Estimators that multiply the score by a learning signal: f is never differentiated."""

from __future__ import annotations

import dataclasses

from fastgrad.estimators.base import Estimate, Estimator, read_only
from fastgrad.estimators.sums import CentredScores, Mean

__all__ = ["RLOO"]


class ScoreFunction(Estimator):
    """Draws outcomes and asks for f there: half of every estimator of this file."""

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw outcomes z, shape (S, *batch)."""
        z = distribution.sample(num_samples=num_samples, rng=key, sample_offset=offset)
        return read_only(z)

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f at the outcomes."""
        return objective.outcomes(distribution, draws, offset=offset)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RLOO(ScoreFunction):
    """REINFORCE with leave-one-out baselines: each sample's is the mean of f over the others.

    The estimate is ``sum_s (f_s - mean f) score(z_s) / (S - 1)``. With credit, f is each variable's
    own: still unbiased, and the variance is that of the terms which the variable touches.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> rloo = fg.estimator("rloo")
    >>> logits = np.zeros((5, 3))
    >>> estimate = rloo(lambda x: x[..., 0].sum(axis=-1), logits, num_samples=8, rng=0)
    >>> estimate.grad.shape, estimate.evaluations
    ((5, 3), 8)
    """

    name = "rloo"
    unbiased = True
    min_samples = 2
    paper = "Kool, van Hoof and Welling, 'Buy 4 REINFORCE samples, get a baseline for free!', 2019"

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (outcomes, `Values`)."""
        value, scores = Mean(), CentredScores(distribution)
        for z, (f_z, credit) in blocks:
            value.add(f_z)
            scores.add(z, f_z if credit is None else credit)
        dtype = distribution.logits.dtype
        grad = scores.total / (value.count - 1)
        return Estimate(value.result.astype(dtype), grad, state, value.count)
