"""Estimators that multiply the score by a learning signal: f is never differentiated."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimate, Estimator, read_only
from fastgrad.estimators.score_functions.baselines import as_baseline
from fastgrad.estimators.sums import CentredScores, Mean

__all__ = ["RLOO", "Reinforce"]

MOST_NODES = 2**20  # numbers in all nodes together


class ScoreFunction(Estimator):
    """Draws outcomes and asks for f there: half of every estimator of this family."""

    def nodes(self, distribution, num_samples):
        """Return all tuples of S joint outcomes, shape (S, C, *batch), and their probabilities."""
        log_p = discrete.log_probabilities(distribution).astype(np.float64)
        k, batch = len(log_p), log_p.shape[1:]
        log_p = log_p.reshape(k, -1)
        possible = log_p > -np.inf
        counts = possible.sum(axis=0)
        nodes = math.prod(counts.tolist()) ** num_samples
        if nodes * max(counts.size, 1) * num_samples > MOST_NODES:
            return None
        # S samples of n variables are one of S n.
        log_p, possible, counts = (np.tile(x, num_samples) for x in (log_p, possible, counts))
        categories = np.argsort(~possible, axis=0, kind="stable")  # those that are possible first
        strides = np.cumprod([1, *counts])[:-1]
        digits = np.arange(nodes)[:, None] // strides % counts
        z = np.take_along_axis(categories, digits, axis=0)
        weights = np.exp(np.take_along_axis(log_p, z, axis=0).sum(axis=1))
        z = z.reshape(nodes, num_samples, *batch).swapaxes(0, 1)
        return read_only(np.ascontiguousarray(z, np.int32)), weights

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw outcomes z, shape (S, *batch)."""
        z = distribution.sample(num_samples=num_samples, rng=key, sample_offset=offset)
        return read_only(z)

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f at the outcomes."""
        return objective.outcomes(distribution, draws, offset=offset)


def collect(scores, blocks):
    """Let sums of scores take in pairs (outcomes, `Values`); return the mean of f."""
    value = scores.mean
    for z, f_z in blocks:
        scores.add(z, f_z.signal)
        if f_z.credit is not None:
            value = Mean() if value is scores.mean else value
            value.add(f_z.value)
    return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reinforce(ScoreFunction):
    """REINFORCE: f less a baseline, times the score.

    The estimate is ``mean over s of (f_s - b_s) score(z_s)``. With credit, f and its baseline are
    each variable's own.

    Parameters
    ----------
    baseline : None, float, str, callable or a type of `fastgrad.baselines`
        A number; "moving_average" of f over past calls, kept in the state; "optimal", the constant
        of least variance for each logit, or "optimal_pooled", for each example, found from the
        other samples (two or more); or a function of the distribution, such as a network's
        prediction of f. `MovingAverage(decay=...)` has the options of the first of these, and
        `LeastSquares(features=...)` learns f from features of the input.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> reinforce = fg.estimator("reinforce", baseline="moving_average")
    >>> f, logits, state = lambda x: 7 + x[..., 0].sum(axis=-1), np.zeros((5, 3)), None
    >>> for step in range(50):
    ...     estimate = reinforce(f, logits, num_samples=8, rng=step, state=state)
    ...     state = estimate.state
    >>> bool(abs(state["mean"] - fg.exact.value(f, logits)) < 0.5)
    True

    References
    ----------
    Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
    learning", Machine Learning, 1992.
    """

    baseline: Any = None

    name = "reinforce"
    unbiased = True
    paper = "Williams, 1992; baselines: Weaver and Tao, 2001; Mnih and Gregor, 2014"

    def __post_init__(self):
        object.__setattr__(self, "baseline", as_baseline(self.baseline))
        object.__setattr__(self, "min_samples", self.baseline.min_samples)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (outcomes, `Values`)."""
        scores = self.baseline.sums(distribution)
        value = collect(scores, blocks)
        grad = self.baseline.centred(scores, state)
        learnt = self.baseline.learn(scores, state)
        dtype = grad.dtype
        return Estimate(value.result.astype(dtype), grad, learnt, value.count)


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
        scores = CentredScores(distribution)
        value = collect(scores, blocks)
        dtype = distribution.logits.dtype
        grad = scores.total(value.count - 1)
        return Estimate(value.result.astype(dtype), grad, state, value.count)
