"""What control variates made of the gradient of f share: linear terms, and weights of their own."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimate, read_only
from fastgrad.estimators.score_functions.baselines import Regression
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.sums import CentredScores, Mean, mean_features, outcomes
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels
from fastgrad.kernels.estimators.score_functions import gradient_controls as _stein

DECAY = 0.99  # of what weights are learned from


@dataclasses.dataclass(frozen=True, kw_only=True)
class ScaledControls(ScoreFunction):
    """RLOO and a weighted sum of control variates: the weights are given, or learned by the way."""

    scale: float | None = None

    weights: ClassVar[tuple[float, ...]]
    unbiased = True
    needs = ("grad",)
    min_samples = 2

    def __post_init__(self):
        if self.scale is not None and not np.isfinite(self.scale):
            raise ValueError(f"scale must be None or a finite number, got {self.scale!r}")

    def group(self, num_samples):
        """Return all: the control variate of each sample is made of all others' gradients."""
        return num_samples

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f and its gradient at the outcomes."""
        x = read_only(discrete.features(distribution, draws))
        if objective.index is None:
            return objective.relaxed(distribution, x, offset=offset), objective.gradient(x)
        return objective.outcomes(distribution, draws, offset=offset), objective.gradient(x)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of one pair (outcomes, (`Values`, gradients of f))."""
        ((z, (f_z, gradient)),) = blocks
        value, scores = Mean(), CentredScores(distribution)
        value.add(f_z.value)
        scores.add(z, f_z.signal)
        signal = f_z.signal.reshape(len(z), -1)
        count, shape = len(self.weights), distribution.logits.shape
        # Controls, and then the estimate: as rows, what regression learns from.
        rows = np.empty((count + 1, math.prod(shape)), distribution.logits.dtype)
        self.controls(distribution, z, signal.shape, gradient, rows[:count].reshape(count, *shape))
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
        return Estimate(value.result.astype(grad.dtype), grad.reshape(shape).copy(), state, len(z))

    def controls(self, distribution, z, shape, gradient, out):
        """Fill out with control variates, each of the shape of the logits; signals are (S, M)."""
        raise NotImplementedError


def _with_target_negated(gram):
    """Return the products of columns and a target, the last row, with the sign of that changed."""
    gram[-1, :-1] *= -1
    gram[:-1, -1] *= -1
    return gram


class Linear:
    """What the gradients of the other samples say of each: <mean f', x - mu> of each variable."""

    def __init__(self, distribution, z, gradient):
        self.mu = mean_features(distribution)
        self.z = outcomes(distribution, z)
        self.gradient = gradient.reshape(len(z), *self.mu.shape)
        self.total, self.product = np.empty_like(self.mu), np.empty_like(self.mu)
        self.terms = np.empty(self.z.shape, self.mu.dtype)
        self.single = self.mu.shape[1] == 1
        kernel = _stein.binary_linear_terms if self.single else _stein.linear_terms
        args = self.gradient, self.mu, self.z, self.total, self.product, self.terms
        kernel(*args)

    def steps(self, w):
        """Return, of w and abs(w), the sums of `_stein.stein`, and E[abs(w)], (S, N)."""
        per = self.terms.shape[1] // max(w.shape[1], 1)
        rest = np.repeat(w, per, axis=1).astype(self.mu.dtype) - self.terms
        size = np.empty_like(rest)
        linear, rectified = np.empty_like(self.mu), np.empty_like(self.mu)
        kernel = _stein.binary_stein if self.single else _stein.stein
        args = self.gradient, self.mu, self.z, self.total, rest, size, linear, rectified
        kernel(*args)
        return linear, rectified, size


def of_cells(terms, shape):
    """Return the sums of terms, (S, N), over the variables of each cell: (S, M)."""
    per = terms.shape[1] // max(shape[1], 1)
    return terms.reshape(*shape, per).sum(axis=2, dtype=np.float64)


def slopes(distribution, gradient, mu):
    """Return <gradient, x - mu> of each variable for each outcome, (N, outcomes), and J gradient.

    J is the Jacobian of mu by the logits, whose shape the product has.
    """
    g, product = gradient.reshape(mu.shape), np.empty_like(mu)
    if discrete.single_logit(distribution):
        table = np.concatenate([-mu * g, (1 - mu) * g], axis=1)
        product = mu * table[:, 1:]
    else:
        table = np.empty_like(mu)
        _kernels.slopes(g, mu, table, product)
    return table, product.reshape(distribution.logits.shape)
