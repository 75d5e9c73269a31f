"""Sums over samples of products of a Jacobian with the gradient of f at the outcome.

Straight-through estimators differ by the Jacobian that they take for that of the sample. Each sum
has `add(draws, w)` for a block of samples, with w the gradients (S, *logits.shape), and `total`, a
new array of the shape of the logits. The sum does not depend on the blocks, bit for bit.
"""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.kernels.estimators.relaxations import jacobians as _kernels

D = TypeVar("D", bound=Discrete)


def tempered(distribution: D, temperature: float) -> D:
    """Return the distribution of logits / temperature."""
    logits = distribution.logits
    if temperature == 1:
        return distribution
    if not distribution.single_logit:
        logits = logits - logits.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):  # to infinity, for a certain outcome
        return distribution.with_logits(logits / logits.dtype.type(temperature))


def site_jacobian(distribution: Discrete) -> FloatArray:
    """Return p (1 - p) of variables with a single logit, flat."""
    p = np.exp(distribution.log_probabilities().reshape(2, -1))
    return _validate.frozen(p[0] * p[1])


class Jacobian:
    """Base class of the sums, with arrays as kernels take them."""

    distribution: Discrete
    temperature: float
    single: bool
    rows: FloatArray
    shape: tuple[int, ...]
    scale: Any
    sum: FloatArray

    def __init__(self, distribution: Discrete, temperature: float) -> None:
        self.distribution, self.temperature = distribution, temperature
        self.single = distribution.single_logit
        self.rows, self.shape = distribution.rows, distribution.row_shape
        self.scale = _validate.scale(self.rows.dtype, temperature)
        self.sum = np.zeros(self.shape, self.rows.dtype)

    def add(self, draws: Any, w: FloatArray) -> None:
        """Take the next block of draws and gradients w, (S, *logits.shape)."""
        raise NotImplementedError

    def flat(self, z: IntArray, w: FloatArray) -> tuple[IntArray, FloatArray]:
        """Return checked outcomes (S, N) and gradients (S, N, K), or (S, N)."""
        d = self.distribution
        z, _ = _validate.categories(z, d.batch_shape, d.num_outcomes)
        return z, self.flat_gradient(w)

    def flat_gradient(self, w: FloatArray) -> FloatArray:
        """Return checked gradients (S, N, K), or (S, N)."""
        logits = self.distribution.logits
        w = _validate.like(w, (len(w), *logits.shape), logits.dtype, "the gradient of f")
        return w.reshape(len(w), *self.shape)

    @property
    def total(self) -> FloatArray:
        """The sum, of the shape of the logits."""
        return self.sum.reshape(self.distribution.logits.shape)


class Straight(Jacobian):
    """J(softmax(logits / temperature)) / temperature: the same for all outcomes, so w is summed."""

    factor: Any

    def __init__(self, distribution: Discrete, temperature: float, factor: float = 1) -> None:
        super().__init__(distribution, temperature)
        self.factor = self.sum.dtype.type(factor)

    def add(self, draws: IntArray, w: FloatArray) -> None:
        """Take the next block."""
        w = self.flat_gradient(w)
        _kernels.add(w.reshape(len(w), -1), self.sum.reshape(-1))

    @property
    def total(self) -> FloatArray:
        """The sum, of the shape of the logits."""
        if self.single:
            result = site_jacobian(tempered(self.distribution, self.temperature)) * self.sum
            result *= self.factor * self.scale
        else:
            result = np.empty_like(self.sum)
            numbers = self.factor, self.scale
            _kernels.straight_through(self.rows, self.sum, *numbers, result)
        return result.reshape(self.distribution.logits.shape)


class Heun(Jacobian):
    """2 J((softmax(logits / temperature) + D) / 2) - J(softmax(logits)) / 2, D the outcome."""

    def add(self, draws: IntArray, w: FloatArray) -> None:
        """Take the next block."""
        z, w = self.flat(draws, w)
        if self.single:
            p = tempered(self.distribution, self.temperature)
            q, p = np.exp(p.log_probabilities().reshape(2, -1))
            half = site_jacobian(self.distribution) / 2
            slopes = [_validate.frozen(s - half) for s in (p * (1 + q) / 2, q * (1 + p) / 2)]
            _kernels.site_products(z, w, *slopes, self.sum)
        else:
            _kernels.reinmax(self.rows, z, w, self.scale, self.sum)


class Gapped(Jacobian):
    """J(y) / temperature of y = softmax(logits / temperature), the outcome's ahead by the gap."""

    gap: Any

    def __init__(self, distribution: Discrete, temperature: float, gap: float) -> None:
        super().__init__(distribution, temperature)
        self.gap = self.sum.dtype.type(gap)

    def add(self, draws: IntArray, w: FloatArray) -> None:
        """Take the next block."""
        z, w = self.flat(draws, w)
        if self.single:
            d = self.distribution
            ahead = (d.with_logits(np.maximum(self.gap, s * self.rows)) for s in (-1, 1))
            jacobians = (site_jacobian(tempered(d, self.temperature)) for d in ahead)
            slopes = [_validate.frozen(jacobian * self.scale) for jacobian in jacobians]
            _kernels.site_products(z, w, *slopes, self.sum)
        else:
            _kernels.gapped_straight_through(self.rows, z, w, self.gap, self.scale, self.sum)


class StraightMean(Jacobian):
    """The Jacobian of the mean of any features, at logits / temperature, by the temperature."""

    distribution: Discrete
    temperature: float
    sum: FloatArray

    def __init__(self, distribution: Discrete, temperature: float) -> None:
        self.distribution, self.temperature = distribution, temperature
        self.sum = np.zeros(distribution.feature_shape, distribution.logits.dtype)

    def add(self, draws: Any, w: FloatArray) -> None:
        """Take the next block."""
        w = _validate.like(w, (len(w), *self.sum.shape), self.sum.dtype, "the gradient of f")
        _kernels.add(w.reshape(len(w), -1), self.sum.reshape(-1))

    @property
    def total(self) -> FloatArray:
        """The sum, of the shape of the logits."""
        structure: Any = self.distribution
        return structure.tempered(self.temperature).mean_vjp(self.sum) / self.temperature


def of_mean(distribution: Discrete, temperature: float) -> Jacobian:
    """Return the sum with the Jacobian of the mean of the features."""
    kind = Straight if distribution.one_hot else StraightMean
    return kind(distribution, temperature)
