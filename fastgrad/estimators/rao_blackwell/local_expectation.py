"""Local expectation gradients: one variable after the other is enumerated, the rest sampled."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, estimate
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.sums import Mean
from fastgrad.kernels.estimators.rao_blackwell import local_expectation as _kernels
from fastgrad.objectives import Objective

__all__ = ["LocalExpectation"]

FEATURES = 1 << 20  # of the points handed to f at once


@dataclasses.dataclass(frozen=True, kw_only=True)
class LocalExpectation(ScoreFunction):
    """Local expectation gradients: each variable is enumerated, the others are sampled.

    The gradient by the logits of a variable is ``J(p) v``, with p its probabilities, J(p) =
    diag(p) - p p^T, and v_k the mean over samples of f with this variable set to category k. An
    objective with the part `local` is asked for these values. Otherwise f is evaluated at all
    samples with one variable changed; where f has one value for each example, one variable of
    every example is changed at a time. For independent categorical variables this is the estimator
    that is also known as IndeCateR, or the CatLog-derivative trick.

    Parameters
    ----------
    points : int, optional
        The largest number of changed samples to hand to f at once; by default as many as have
        2**20 features. `block_size` bounds the number of samples that are changed.

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
    De Smet, Sansone and Zuidberg Dos Martires, "Differentiable sampling of categorical
    distributions using the CatLog-derivative trick", NeurIPS 2023 (IndeCateR).
    """

    points: int | None = None

    name = "local_expectation"
    unbiased = True
    evaluations = "S (1 + N (K - 1)) for N variables an example; S with local"
    paper = "Titsias and Lazaro-Gredilla, 2015; IndeCateR: De Smet et al., 2023"

    def __post_init__(self) -> None:
        if self.points is not None:
            _validate.integer(self.points, "points", 1)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Return f at the samples, at their neighbours (S, *batch, K), and how many points."""
        value = objective.outcomes(distribution, draws, offset=offset).value.copy()
        if objective.local is not None:
            return value, objective.neighbours(distribution, draws, offset=offset), len(draws)
        return value, *self.changed(objective, distribution, draws, value)

    def changed(
        self, objective: Objective, distribution: Discrete, draws: IntArray, value: FloatArray
    ) -> tuple[FloatArray, int]:
        """Return f with each variable set to each category, (S, *batch, K), and how many points."""
        logits, batch = distribution.logits, distribution.batch_shape
        z = _validate.frozen(draws.reshape(len(draws), math.prod(batch)))
        cells, (samples, n) = value[0].size, z.shape
        per = n // max(cells, 1)
        log_p = distribution.log_probabilities()
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
            asked = _validate.frozen(points.reshape(-1, *batch))
            f = objective.outcomes(distribution, asked, offset=begin).value
            f = _validate.frozen(f.reshape(len(f), cells))
            _kernels.enter(points, moves, begin, f, table)
        return table.reshape(samples, *batch, possible.shape[1]), samples + total

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (samples, (values, values at neighbours, evaluations))."""
        value, neighbours, evaluations = Mean(), Mean(), 0
        for _, (f_z, table, points) in blocks:
            value.add(f_z)
            neighbours.add(table)
            evaluations += points
        p = np.moveaxis(np.exp(distribution.log_probabilities().astype(np.float64)), 0, -1)
        f, likeliest = np.asarray(neighbours.result), p.argmax(axis=-1)[..., None]
        f = f - np.take_along_axis(f, likeliest, axis=-1)  # so that what is unlikely is not lost
        grad = (p * (f - (p * f).sum(axis=-1, keepdims=True)))[..., -distribution.num_features :]
        dtype = distribution.logits.dtype
        grad = grad.reshape(distribution.logits.shape).astype(dtype)
        return estimate(value.result, grad, state, evaluations)
