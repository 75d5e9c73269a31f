"""Sums over samples of the gradient of f at an outcome times the Jacobian that stands for it.

Each has `add(draws, w)` for a block of samples, w the gradients (S, *logits.shape), and `total`, a
new array of the shape of the logits; what blocks the samples come in does not change a bit of it.
"""

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.base import read_only
from fastgrad.kernels.estimators.relaxations import jacobians as _kernels


def tempered(distribution, temperature):
    """Return the distribution of logits / temperature."""
    logits = distribution.logits
    if temperature == 1:
        return distribution
    if not discrete.single_logit(distribution):
        logits = logits - logits.max(axis=-1, keepdims=True)
    with np.errstate(over="ignore"):  # to what is certain
        return type(distribution)(logits / logits.dtype.type(temperature))


def site_jacobian(distribution):
    """Return p (1 - p) of variables with a single logit, flat."""
    p = np.exp(discrete.log_probabilities(distribution).reshape(2, -1))
    return read_only(p[0] * p[1])


def row_shape(distribution):
    """Return the shape of the logits as kernels take them: (N, K), or (N,) with a single logit."""
    n, k = distribution.logits.size, discrete.num_features(distribution)
    return (n,) if discrete.single_logit(distribution) else (n // k, k)


class Jacobian:
    """What all sums share: arrays as kernels take them."""

    def __init__(self, distribution, temperature):
        logits = distribution.logits
        self.distribution, self.temperature = distribution, temperature
        self.single = discrete.single_logit(distribution)
        self.shape = row_shape(distribution)
        self.rows = logits.reshape(self.shape)
        self.scale = _validate.scale(logits.dtype, temperature)
        self.sum = np.zeros(self.shape, logits.dtype)

    def flat(self, z, w):
        """Return checked outcomes (S, N) and gradients (S, N, K), or (S, N)."""
        d = self.distribution
        z, _ = _validate.categories(z, d.batch_shape, discrete.num_outcomes(d))
        return z, self.flat_gradient(w)

    def flat_gradient(self, w):
        """Return checked gradients (S, N, K), or (S, N)."""
        logits = self.distribution.logits
        w = _validate.like(w, (len(w), *logits.shape), logits.dtype, "the gradient of f")
        return w.reshape(len(w), *self.shape)

    @property
    def total(self):
        """The sum, of the shape of the logits."""
        return self.sum.reshape(self.distribution.logits.shape)


class Straight(Jacobian):
    """J(softmax(logits / temperature)) / temperature: the same for all outcomes, so w is summed."""

    def __init__(self, distribution, temperature, factor=1):
        super().__init__(distribution, temperature)
        self.factor = self.sum.dtype.type(factor)

    def add(self, draws, w):
        """Take the next block."""
        w = self.flat_gradient(w)
        _kernels.add(w.reshape(len(w), -1), self.sum.reshape(-1))

    @property
    def total(self):
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

    def add(self, z, w):
        """Take the next block."""
        z, w = self.flat(z, w)
        if self.single:
            p = tempered(self.distribution, self.temperature)
            q, p = np.exp(discrete.log_probabilities(p).reshape(2, -1))
            half = site_jacobian(self.distribution) / 2
            slopes = [read_only(s - half) for s in (p * (1 + q) / 2, q * (1 + p) / 2)]
            _kernels.site_products(z, w, *slopes, self.sum)
        else:
            _kernels.reinmax(self.rows, z, w, self.scale, self.sum)


class Gapped(Jacobian):
    """J(y) / temperature of y = softmax(logits / temperature), the outcome's ahead by the gap."""

    def __init__(self, distribution, temperature, gap):
        super().__init__(distribution, temperature)
        self.gap = self.sum.dtype.type(gap)

    def add(self, z, w):
        """Take the next block."""
        z, w = self.flat(z, w)
        if self.single:
            kind = type(self.distribution)
            ahead = (kind(np.maximum(self.gap, s * self.rows)) for s in (-1, 1))
            slopes = [
                read_only(site_jacobian(tempered(d, self.temperature)) * self.scale) for d in ahead
            ]
            _kernels.site_products(z, w, *slopes, self.sum)
        else:
            _kernels.gapped_straight_through(self.rows, z, w, self.gap, self.scale, self.sum)
