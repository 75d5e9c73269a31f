"""Parts that control variates made of the gradient of f share: linear terms, learned weights."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, by_options, estimate
from fastgrad.estimators.score_functions.baselines import Regression
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.score_sums import score_sums
from fastgrad.estimators.sums import (
    NO_SOFTMAX,
    Mean,
    exclusive_sums,
    last_joined,
    mean_features,
    outcomes,
)
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels
from fastgrad.kernels.estimators.score_functions import gradient_controls as _linear
from fastgrad.kernels.estimators.score_functions import gradient_controls_sums as _sums
from fastgrad.kernels.tiles import tile
from fastgrad.objectives import Objective

DECAY = 0.99  # of what weights are learned from
NO_SIZE: FloatArray = np.empty((0, 0))
NO_MEANS = {dtype: np.empty((0, 0, 0), dtype) for dtype in _validate.REALS}
NO_ROWS = {dtype: np.empty((0, 0), dtype) for dtype in _validate.REALS}
NO_GRAD = {dtype: np.empty(0, dtype) for dtype in _validate.REALS}


class Weights(NamedTuple):
    """What control variates are weighed with, its change, and whether it is to be learned."""

    weights: FloatArray
    change: FloatArray
    learn: bool


class Given(NamedTuple):
    """What control variates are made of, how they are weighed, and room for what is made.

    Attributes
    ----------
    distribution : Discrete
    z : array
        Outcomes.
    signal : array, shape (S, M)
    gradient : array
        Gradients of f at the outcomes.
    how : Weights
    rows, grad : array
        Room for the control variates, (C, N K), and for RLOO and these as weighed, of the shape of
        the logits. Neither is filled if it is empty.
    """

    distribution: Discrete
    z: IntArray
    signal: FloatArray
    gradient: FloatArray
    how: Weights
    rows: FloatArray
    grad: FloatArray


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

    def check(self, distribution: Any) -> None:
        """Refuse a distribution that the estimator is not for, or whose type the scale leaves."""
        super().check(distribution)
        _validate.held(self.scale or 0.0, "scale", distribution.logits.dtype)

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
        count, size = len(self.weights), distribution.logits.size
        weights = np.array(self.weights) * (1.0 if self.scale is None else self.scale)
        fit, change = None, np.zeros(count)
        if self.scale is None:
            fit = Regression(state, count)
            change = fit.solve(np.array([fit.square] * count))  # few calls are a poor teacher
        grad, how = np.empty_like(distribution.logits), Weights(weights, change, fit is not None)
        if distribution.one_hot:
            signal = f_z.signal.reshape(len(z), -1)
            given = distribution, z, signal, gradient, how, NO_ROWS[grad.dtype], grad
            parts, mean = self.sums(Given(*given))
            value = mean.reshape(f_z.signal.shape[1:])[()]
        else:
            scores, rows = score_sums(distribution), np.empty((count + 1, size), grad.dtype)
            scores.add(z, f_z.signal)
            out, shape = rows[:count].reshape(count, *grad.shape), (len(z), scores.mean.first.size)
            self.controls(distribution, z, shape, gradient, out)
            rows[count] = scores.total(len(z) - 1).reshape(-1)
            _kernels.blend(rows[:count], weights, rows[count])
            parts = np.empty((-(-size // _kernels.BLOCK) if how.learn else 0, count + 1, count + 1))
            if how.learn:
                _kernels.gram(rows, parts)
            _kernels.blend(rows[:count], change, rows[count])
            grad[...] = rows[count].reshape(grad.shape)
            value = scores.result
        if f_z.credit is not None:
            mean_value = Mean()
            mean_value.add(f_z.value)
            value = mean_value.result
        if fit is not None:
            state = fit.add(_with_target_negated(np.add.reduce(parts)), DECAY)
        return estimate(value, grad, state, len(z))

    def controls(
        self,
        distribution: Discrete,
        z: Any,
        shape: tuple[int, ...],
        gradient: FloatArray,
        out: FloatArray,
    ) -> None:
        """Fill out with control variates, each of the shape of the logits; `shape` is (S, M)."""
        count = len(out)
        how, grad = Weights(np.zeros(count), np.zeros(count), False), NO_GRAD[out.dtype]
        rows = out.reshape(count, math.prod(out.shape[1:]))
        self.sums(Given(distribution, z, np.zeros(shape), gradient, how, rows, grad))

    def sums(self, given: Given) -> tuple[FloatArray, FloatArray]:
        """Fill the room that is given; return products of what is made, and the mean signal.

        The products are those of the control variates and of what the weights make of RLOO, in
        blocks that are to be summed; none unless they are wanted to learn from.
        """
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
    total : array, shape (N, K)
        The sum of the gradients over samples.
    """

    sums: FloatArray
    total: FloatArray

    given: Given
    shape: tuple[int, ...]
    mu: FloatArray
    z: IntArray
    gradient: FloatArray
    rests: FloatArray

    def __init__(self, given: Given, *, keep_rests: bool = False) -> None:
        d, z, shape = given.distribution, given.z, given.signal.shape
        self.given, self.shape = given, shape
        self.mu = _validate.frozen(mean_features(d))
        self.z = outcomes(d, z)
        self.gradient = _validate.frozen(given.gradient.reshape(len(z), *self.mu.shape))
        self.total, real = np.empty_like(self.mu), self.mu.dtype
        arrays = self.gradient, self.mu, self.z
        (n, k), kept = self.mu.shape, keep_rests or shape[1] >= self.mu.shape[0]
        self.rests = np.empty(self.z.shape if kept else (0, 0), real)
        if n > shape[1]:
            # A sum over the variables of a cell needs none over the categories of each alone.
            rows = max(_linear.PART // k, 1)
            parts = np.empty((*shape, -(-n // shape[1] // rows)))
            _linear.linear_sums(*arrays, rows, self.total, self.rests, parts)
            self.sums = np.add.reduce(parts, 2)
            self.sums /= len(z) - 1
        else:
            terms = np.empty(self.z.shape, real)
            kernel = _linear.binary_linear_terms if k == 1 else _linear.linear_terms
            kernel(*arrays, self.total, self.rests, terms)
            self.sums = self.of_cells(terms)

    def of_cells(self, terms: FloatArray) -> FloatArray:
        """Return the sums of terms (S, N) over the variables of each cell, of shape (S, M)."""
        sums = np.empty(self.shape)
        _sums.cell_sums(_validate.frozen(terms), sums)
        return sums

    def steps(self) -> tuple[FloatArray, FloatArray]:
        """Return, for w and abs(w), the `stein` sums and means, (2, N, K) and (2, S, N).

        Here w are the sums.
        """
        steps = np.empty((2, *self.mu.shape), self.mu.dtype)
        means = np.empty((2, *self.z.shape), self.mu.dtype)
        kernel = _linear.binary_stein if self.mu.shape[1] == 1 else _linear.stein
        args = self.gradient, self.mu, self.rests, self.total, self.sums
        kernel(*map(_validate.frozen, args), means, steps)
        return steps, means

    def add(
        self, step: FloatArray, size: FloatArray, terms: FloatArray, means: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Do as `ScaledControls.sums`, of what `add_controls` takes."""
        d, _, signal, _, how, rows, grad = self.given
        (s, m), count = step.shape, len(how.weights) + 1
        signals, centres = np.empty((s, m, 4), self.mu.dtype), np.empty((3, m))
        given_signals = np.asarray(signal, np.float64), step, size
        _sums.centre_signals(*map(_validate.frozen, given_signals), signals, centres)
        n, k = self.mu.shape
        blocks = (n if k > tile.NARROW else -(-n // tile.FOLD)) if how.learn else 0
        parts = np.zeros((blocks, count, count))
        kept = d.kept_softmax or NO_SOFTMAX[self.mu.dtype]
        arrays = self.z, signals, centres, terms, means, self.mu[None]
        of = (d.matrix, d.single_logit, kept)
        flat = rows, parts, grad.reshape(-1)
        frozen = map(_validate.frozen, arrays)
        _sums.add_controls(*frozen, of, how.weights, how.change, *flat)
        return parts, centres[0]


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
        self.sums = last_joined(terms.sum(axis=2, dtype=np.float64), *shape).sum(axis=2)
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
