"""What control variates made of the gradient of f share: linear terms, and weights of their own."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimate, read_only
from fastgrad.estimators.score_functions.baselines import Regression
from fastgrad.estimators.score_functions.score_function import ScoreFunction
from fastgrad.estimators.sums import CentredScores, Mean, mean_features, outcomes
from fastgrad.kernels import control_variates as _kernels

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
        rloo = scores.total(len(z) - 1)
        signal = f_z.signal.reshape(len(z), -1)
        controls = self.controls(distribution, z, signal.shape, gradient)
        scale = 1.0 if self.scale is None else self.scale
        grad = sum((scale * w * x for w, x in zip(self.weights, controls, strict=True)), rloo)
        if self.scale is None:
            fit = Regression(state, len(controls))
            rows = np.array([*controls, -grad], np.float64).reshape(len(controls) + 1, -1)
            change = fit.solve(np.full(len(controls), fit.square))  # few calls are a poor teacher
            grad = sum((float(w) * x for w, x in zip(change, controls, strict=True)), grad)
            state = fit.learn(rows, DECAY)
        return Estimate(value.result.astype(grad.dtype), grad, state, len(z))

    def controls(self, distribution, z, shape, gradient):
        """Return control variates, of the shape of the logits; signals have this shape, (S, M)."""
        raise NotImplementedError


class Linear:
    """What the gradients of the other samples say of each: <mean f', x - mu> of each variable."""

    def __init__(self, distribution, z, gradient):
        self.mu = mean_features(distribution)
        self.z = outcomes(distribution, z)
        self.gradient = gradient.reshape(len(z), *self.mu.shape)
        self.total, means = np.empty_like(self.mu), np.empty_like(self.mu[:, 0])
        self.terms = np.empty(self.z.shape, self.mu.dtype)
        single = self.mu.shape[1] == 1
        kernel = _kernels.binary_linear_terms if single else _kernels.linear_terms
        args = self.gradient, self.mu, self.z, self.total, means, self.terms
        kernel(gradient.size, *args)

    def steps(self, w):
        """Return, of w and abs(w), the sums of `_kernels.stein`, and E[abs(w)], (S, N)."""
        per = self.terms.shape[1] // max(w.shape[1], 1)
        rest = np.repeat(w, per, axis=1).astype(self.mu.dtype) - self.terms
        size = np.empty_like(rest)
        linear, rectified = np.empty_like(self.mu), np.empty_like(self.mu)
        single = self.mu.shape[1] == 1
        kernel = _kernels.binary_stein if single else _kernels.stein
        args = self.gradient, self.mu, self.z, self.total, rest, size, linear, rectified
        kernel(self.gradient.size, *args)
        return linear, rectified, size


def of_cells(terms, shape):
    """Return the sums of terms, (S, N), over the variables of each cell: (S, M)."""
    per = terms.shape[1] // max(shape[1], 1)
    return terms.reshape(*shape, per).sum(axis=2, dtype=np.float64)


def slopes(distribution, gradient, mu):
    """Return <gradient, x - mu> of each variable for each outcome, shape (N, outcomes)."""
    g = gradient.reshape(mu.shape)
    if discrete.single_logit(distribution):
        return np.concatenate([-mu * g, (1 - mu) * g], axis=1)
    return g - (mu * g).sum(axis=1, keepdims=True)


def product(distribution, mu, table):
    """Return J gradient, of the shape of the logits, given the gradient's `slopes`."""
    return (mu * table[:, -mu.shape[1] :]).reshape(distribution.logits.shape)
