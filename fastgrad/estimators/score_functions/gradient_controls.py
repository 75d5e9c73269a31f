"""Parts that control variates made of the gradient of f share: linear terms, learned weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, by_options, estimate
from fastgrad.estimators.score_functions.baselines import Regression
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.score_sums import score_sums
from fastgrad.estimators.sums import (
    Mean,
    exclusive_sums,
    last_joined,
    mean_features,
    outcomes,
)
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels
from fastgrad.kernels.estimators.score_functions import gradient_controls as _stein
from fastgrad.objectives import Objective

DECAY = 0.99  # of what weights are learned from


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaledControls(ScoreFunction):
    """Base class: RLOO plus control variates with weights given, or learned from past calls."""

    scale: float | None = None

    weights: ClassVar[tuple[float, ...]]
    unbiased = True
    weighs = True
    needs: ClassVar[tuple[str, ...]] = ("grad",)
    min_samples = 2
    pools: ClassVar[bool] = by_options(lambda run: run.scale is None)

    def __post_init__(self) -> None:
        if self.scale is not None and not np.isfinite(self.scale):
            raise ValueError(f"scale must be None or a finite number, got {self.scale!r}")

    def group(self, num_samples: int) -> int:
        """Return the number of samples: each control variate uses the gradients at all others."""
        return num_samples

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f and its gradient at the outcomes."""
        x = _validate.frozen(distribution.shown(draws))
        if objective.index is None or objective.value_and_grad is not None:
            return objective.relaxed_and_gradient(distribution, x, offset=offset)
        return objective.outcomes(distribution, draws, offset=offset), objective.gradient(x)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of one pair (outcomes, (`Values`, gradients of f))."""
        ((z, (f_z, gradient)),) = blocks
        value, scores = Mean(), score_sums(distribution)
        value.add(f_z.value)
        scores.add(z, f_z.signal)
        signal = f_z.signal.reshape(len(z), -1)
        count, shape = len(self.weights), distribution.logits.shape
        # Controls, and then the estimate: as rows, what regression learns from.
        rows = np.empty((count + 1, math.prod(shape)), distribution.logits.dtype)
        given = distribution, z, signal.shape, gradient
        self.controls(*given, rows[:count].reshape(count, *shape))
        grad = rows[count]
        grad[:] = scores.total(len(z) - 1).reshape(-1)
        weights = np.array(self.weights) * (1.0 if self.scale is None else self.scale)
        _kernels.blend(rows[:count], weights, grad)
        if self.scale is None:
            fit, size = Regression(state, count), rows.shape[1]
            change = fit.solve(np.full(count, fit.square))  # few calls are a poor teacher
            parts = np.empty((-(-size // _kernels.BLOCK), count + 1, count + 1))
            _kernels.gram(rows, parts)
            state = fit.add(_with_target_negated(parts.sum(axis=0)), DECAY)
            _kernels.blend(rows[:count], change, grad)
        return estimate(value.result, grad.reshape(shape).copy(), state, len(z))

    def controls(
        self,
        distribution: Discrete,
        z: IntArray,
        shape: tuple[int, ...],
        gradient: FloatArray,
        out: FloatArray,
    ) -> None:
        """Fill out with control variates, each of the shape of the logits; `shape` is (S, M)."""
        raise NotImplementedError


def _with_target_negated(gram):
    """Return the products of columns and a target, the last row, with the sign of that changed."""
    gram[-1, :-1] *= -1
    gram[:-1, -1] *= -1
    return gram


class Linear:
    """Linear terms: for each sample and variable, <mean f' over the other samples, x - mu>.

    Attributes
    ----------
    sums : array, shape (S, M)
        Their sums over the variables of each cell.
    product : array
        The Jacobian of mu times the sum of the gradients.
    """

    sums: FloatArray
    product: FloatArray

    mu: FloatArray
    z: IntArray
    gradient: FloatArray
    total: FloatArray

    def __init__(
        self,
        distribution: Discrete,
        z: IntArray,
        gradient: FloatArray,
        shape: tuple[int, ...],
    ) -> None:
        self.mu = _validate.frozen(mean_features(distribution))
        self.z = outcomes(distribution, z)
        self.gradient = _validate.frozen(gradient.reshape(len(z), *self.mu.shape))
        self.total = np.empty_like(self.mu)
        n, k = self.mu.shape
        if n > shape[1]:
            # A sum over the variables of a cell needs none over the categories of each alone.
            rows = max(_kernels.PART // k, 1)
            own = np.empty((*shape, -(-n // shape[1] // rows)))
            _kernels.own_terms(self.gradient, self.mu, self.z, rows, self.total, own)
            whole = Expansion(distribution, self.mu, self.total)
            self.sums = (whole.at(z, shape) - own.sum(axis=2)) / (len(z) - 1)
            self.product = whole.product
        else:
            self.product, terms = np.empty_like(self.mu), np.empty(self.z.shape, self.mu.dtype)
            kernel = _stein.binary_linear_terms if k == 1 else _stein.linear_terms
            kernel(self.gradient, self.mu, self.z, self.total, self.product, terms)
            self.sums = of_cells(terms, shape)

    def steps(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return, for w and abs(w), the sums of the Stein kernel, (N, K), and E[abs(w)], (S, N).

        Here w are the sums.
        """
        size = np.empty(self.z.shape, self.mu.dtype)
        linear, rectified = np.empty_like(self.mu), np.empty_like(self.mu)
        kernel = _stein.binary_stein if self.mu.shape[1] == 1 else _stein.stein
        args = self.gradient, self.mu, self.z, self.total, _validate.frozen(self.sums)
        kernel(*args, size, linear, rectified)
        return linear, rectified, size


class StructuredLinear:
    """`Linear` of structures and counts, whose distribution knows the mean of the features."""

    sums: FloatArray
    product: FloatArray

    def __init__(
        self, distribution: Any, z: Any, gradient: FloatArray, shape: tuple[int, ...]
    ) -> None:
        others = exclusive_sums(gradient) / (len(z) - 1)
        terms = others * (distribution.features(z) - distribution.mean())
        terms = last_joined(terms, len(z), distribution.num_variables)
        self.sums = of_cells(terms.sum(axis=2, dtype=np.float64), shape)
        self.product = distribution.mean_vjp(gradient.sum(axis=0))


def mean_of(distribution: Any) -> FloatArray:
    """Return the mean of the features, as `Expansion` takes it."""
    return mean_features(distribution) if distribution.one_hot else distribution.mean()


class Expansion:
    """The linear function <slope, x - mu> of samples, and the gradient of its mean.

    Attributes
    ----------
    product : array, shape of the logits
        J slope, J the Jacobian of mu.
    """

    product: FloatArray

    distribution: Any
    mu: FloatArray
    slope: FloatArray
    table: FloatArray

    def __init__(self, distribution: Any, mu: FloatArray, slope: FloatArray) -> None:
        self.distribution, self.mu, self.slope = distribution, mu, slope
        if distribution.one_hot:
            self.table, self.product = slopes(distribution, slope, mu)
        else:
            self.product = distribution.mean_vjp(slope[0])

    def at(self, z: Any, shape: tuple[int, ...]) -> FloatArray:
        """Return the sums over the variables of each cell, of shape (S, M)."""
        if self.distribution.one_hot:
            linear = np.empty(shape)
            _kernels.sum_chosen(self.table, _validate.frozen(z.reshape(len(z), -1)), linear)
            return linear
        terms = self.slope * (self.distribution.features(z) - self.mu)
        return last_joined(terms, *shape).sum(axis=2, dtype=np.float64)


def of_cells(terms: FloatArray, shape: tuple[int, ...]) -> FloatArray:
    """Return the sums of terms (S, N) over the variables of each cell, of shape (S, M)."""
    return last_joined(terms, *shape).sum(axis=2, dtype=np.float64)


def slopes(
    distribution: Discrete, gradient: FloatArray, mu: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return <gradient, x - mu> of each variable for each outcome, (N, outcomes), and J gradient.

    J is the Jacobian of mu by the logits; the product has the shape of the logits.
    """
    g, mu = _validate.frozen(gradient.reshape(mu.shape)), _validate.frozen(mu)
    product = np.empty_like(mu)
    if distribution.single_logit:
        table = np.concatenate([-mu * g, (1 - mu) * g], axis=1)
        product = mu * table[:, 1:]
    else:
        table = np.empty_like(mu)
        _kernels.slopes(g, mu, table, product)
    return table, product.reshape(distribution.logits.shape)
