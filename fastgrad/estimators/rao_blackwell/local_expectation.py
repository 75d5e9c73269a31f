"""All outcomes of one variable after the other, the rest as sampled."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimate, read_only
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.sums import Mean
from fastgrad.kernels.estimators.rao_blackwell import local_expectation as _kernels

__all__ = ["LocalExpectation"]

FEATURES = 1 << 20  # of the points handed to f at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalExpectation(ScoreFunction):
    """Every variable enumerated, the others as sampled: local expectation gradients.

    The estimate for a variable is ``J(p) mean over s of [f(z_s with k in its place)]_k``, J(p) =
    diag(p) - p p^T. An objective with local differences is asked for these; otherwise f is put to
    all samples with one variable changed, in all examples at once where f is theirs each.

    Parameters
    ----------
    points : int, optional
        The most changed samples to hand to f at once, in addition to what `block_size` bounds; by
        default as many as have 2**20 features.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f, logits = fg.objectives.separable(np.full((5, 3), 0.45)), np.zeros((5, 3))
    >>> estimate = fg.estimator("local_expectation")(f, logits, num_samples=1, rng=0)
    >>> bool(np.allclose(estimate.grad, fg.exact.grad(f, logits))), estimate.evaluations
    (True, 11)

    References
    ----------
    Titsias and Lazaro-Gredilla, "Local expectation gradients for black box variational inference",
    NeurIPS 2015.
    """

    points: int | None = None

    name = "local_expectation"
    unbiased = True
    evaluations = "S (1 + N (K - 1)) for N variables an example; S with local"
    paper = "Titsias and Lazaro-Gredilla, 2015"

    def __post_init__(self):
        if self.points is not None:
            _validate.integer(self.points, "points", 1)

    def ask(self, objective, distribution, draws, *, offset=0):
        """Return f at the samples, at their neighbours (S, *batch, K), and how many points."""
        value = objective.outcomes(distribution, draws, offset=offset).value.copy()
        if objective.local is not None:
            return value, objective.neighbours(distribution, draws, offset=offset), len(draws)
        return value, *self.changed(objective, distribution, draws, value)

    def changed(self, objective, distribution, draws, value):
        """Return f with each variable set to each of its categories, and how many points."""
        logits, batch = distribution.logits, distribution.batch_shape
        z = draws.reshape(len(draws), math.prod(batch))
        cells, (samples, n) = value[0].size, z.shape
        per = n // max(cells, 1)
        log_p = discrete.log_probabilities(distribution)
        possible = np.ascontiguousarray(log_p.reshape(len(log_p), n).T) > -np.inf
        counts = possible.sum(axis=1)
        order = np.argsort(~possible, axis=1, kind="stable").astype(np.int32)  # possible ones first
        # A variable takes its turns in all cells; one with fewer categories goes round again.
        most = counts.reshape(cells, per).max(axis=0, initial=1)
        moves = [(j, turn) for j in range(per) for turn in range(1, most[j])]
        moves = np.array(moves, np.int64).reshape(-1, 2)
        given = z, moves, order, np.argsort(order, axis=1).astype(np.int32), counts
        table = np.repeat(value.reshape(samples, cells), per, axis=1)
        table = np.repeat(table[..., None], possible.shape[1], axis=2)
        total = samples * len(moves)
        step = self.points or max(1, FEATURES // max(1, logits.size))
        for begin in range(0, total, step):
            points = np.empty((min(step, total - begin), n), np.int32)
            _kernels.change(*given, per, begin, points)
            asked = read_only(points.reshape(-1, *batch))
            f = objective.outcomes(distribution, asked, offset=begin).value
            f = read_only(f.reshape(len(f), cells))
            _kernels.enter(points, moves, begin, f, table)
        return table.reshape(samples, *batch, possible.shape[1]), samples + total

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (samples, (values, values at neighbours, evaluations))."""
        value, neighbours, evaluations = Mean(), Mean(), 0
        for _, (f_z, table, points) in blocks:
            value.add(f_z)
            neighbours.add(table)
            evaluations += points
        p = np.moveaxis(np.exp(discrete.log_probabilities(distribution).astype(np.float64)), 0, -1)
        f, likeliest = np.asarray(neighbours.result), p.argmax(axis=-1)[..., None]
        f = f - np.take_along_axis(f, likeliest, axis=-1)  # so that what is unlikely is not lost
        grad = (p * (f - (p * f).sum(axis=-1, keepdims=True)))[
            ..., -discrete.num_features(distribution) :
        ]
        dtype = distribution.logits.dtype
        grad = grad.reshape(distribution.logits.shape).astype(dtype)
        return Estimate(value.result.astype(dtype), grad, state, evaluations)
