"""Gamma variables and what is made of them: beta and Dirichlet.

Gamma variates are held as logarithms, in float64: with a shape of 1e-3 half of them lie below the
smallest float64. Their derivative by the shape is that of implicit reparameterisation.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy

from fastgrad import _validate
from fastgrad.distributions.continuous._base import Continuous, exp_within
from fastgrad.kernels.distributions.continuous import gamma as _kernels

__all__ = ["Beta", "Dirichlet", "Gamma"]


def log_gamma_draws(shape, count, key, offset):
    """Draw logarithms of gamma variates of rate 1, (count, *shape.shape), in float64."""
    a = shape.reshape(-1)
    small = a < 1
    d = np.where(small, a + 1, a) - 1 / 3
    out = np.empty((count, *shape.shape))
    arrays = [_validate.real_array(x, "shape") for x in (d, np.log(d), np.where(small, 1 / a, 0))]
    flat = out.reshape(-1)
    _kernels.draw(*arrays, key.kernel_words, offset * a.size, flat)
    return out


def log_gamma_slopes(shape, log_x):
    """Return d log x / d log(shape) at draws log_x, (S, *shape.shape)."""
    a = shape.reshape(-1)
    out = np.empty(log_x.shape)
    log_x, *arrays = (
        _validate.real_array(x, "shape").reshape(-1)
        for x in (log_x, a, scipy.special.digamma(a + 1))
    )
    _kernels.slope(log_x, *arrays, out.reshape(-1))
    return out


@dataclasses.dataclass(frozen=True, eq=False)
class Gamma(Continuous):
    """Gamma variables, of density proportional to x^(concentration - 1) exp(-rate x).

    Parameters
    ----------
    log_concentration, log_rate : array, shape (*batch)

    Notes
    -----
    Samples below the smallest normal number of their type, which a concentration below 0.1 has, are
    that number; ``sample(..., log=True)`` gives their logarithms, which are exact.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Gamma(np.log(1e-3), 0.0)
    >>> bool((d.sample(num_samples=100, rng=0, log=True) < -1000).any())
    True

    References
    ----------
    Marsaglia and Tsang, "A simple method for generating gamma variables", TOMS 2000.
    """

    log_concentration: np.ndarray
    log_rate: np.ndarray

    support = (0.0, np.inf)

    def _noise(self, count, key, offset):
        (log_a,) = self._double("log_concentration")
        return log_gamma_draws(np.exp(log_a), count, key, offset)

    def transform(self, noise, *, log=False):
        """Make samples of noise, logarithms of variates of rate 1; with log=True, their logs."""
        log_x = noise - self._double("log_rate")[0]
        return log_x.astype(self.dtype) if log else exp_within(log_x, self.dtype)

    def _transform_vjp(self, noise, cotangent):
        (log_a,) = self._double("log_concentration")
        grad = cotangent * self.transform(noise)
        return {
            "log_concentration": grad * log_gamma_slopes(np.exp(log_a), noise),
            "log_rate": -grad,
        }

    def log_prob(self, x, *, log=False):
        """Logarithm of the density of x, or with log=True, at a given log x, still that of x."""
        if not log:
            return super().log_prob(x)
        y = self._points(x)
        log_a, log_rate = self._double("log_concentration", "log_rate")
        a, scaled = np.exp(log_a), y + log_rate
        with np.errstate(over="ignore"):
            value = a * scaled - y - np.exp(scaled) - scipy.special.gammaln(a)
        return value.astype(self.dtype)[()]

    def _log_density(self, x):
        log_a, log_rate = self._double("log_concentration", "log_rate")
        a = np.exp(log_a)
        kernel = scipy.special.xlogy(a - 1, x) - np.exp(log_rate) * x
        return kernel + a * log_rate - scipy.special.gammaln(a)

    def _score(self, x):
        log_a, log_rate = self._double("log_concentration", "log_rate")
        a = np.exp(log_a)
        return {
            "log_concentration": a * (np.log(x) + log_rate - scipy.special.digamma(a)),
            "log_rate": a - np.exp(log_rate) * x,
        }

    def _entropy(self):
        log_a, log_rate = self._double("log_concentration", "log_rate")
        a = np.exp(log_a)
        return a - log_rate + scipy.special.gammaln(a) + (1 - a) * scipy.special.digamma(a)

    def _mean(self):
        return np.exp(self.log_concentration - self.log_rate)

    def _mean_vjp(self, cotangent):
        grad = cotangent * self._mean()
        return {"log_concentration": grad, "log_rate": -grad}


@dataclasses.dataclass(frozen=True, eq=False)
class Beta(Continuous):
    """Beta variables, of density proportional to x^(alpha - 1) (1 - x)^(beta - 1).

    Parameters
    ----------
    log_alpha, log_beta : array, shape (*batch)

    Notes
    -----
    Samples closer to 0 or 1 than their type can say are the nearest numbers inside.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.continuous.Beta(np.log(3.0), 0.0).mean().round(6))
    0.75
    """

    log_alpha: np.ndarray
    log_beta: np.ndarray

    support = (0.0, 1.0)

    def _shapes(self):
        return [np.exp(log) for log in self._double("log_alpha", "log_beta")]

    def _noise(self, count, key, offset):
        keys = key.split(2)
        return tuple(log_gamma_draws(a, count, k, offset) for a, k in zip(self._shapes(), keys))

    def transform(self, noise):
        """Make samples of noise, logarithms of two gamma variates: the share of the first."""
        x = scipy.special.expit(noise[0] - noise[1])
        low, high = np.finfo(self.dtype).tiny, np.nextafter(self.dtype.type(1), self.dtype.type(0))
        return np.clip(x, low, high).astype(self.dtype)

    def _transform_vjp(self, noise, cotangent):
        gap = noise[0] - noise[1]
        grad = cotangent * (scipy.special.expit(gap) * scipy.special.expit(-gap))
        up, down = (log_gamma_slopes(a, log) for a, log in zip(self._shapes(), noise))
        return {"log_alpha": grad * up, "log_beta": -grad * down}

    def _log_density(self, x):
        a, b = self._shapes()
        return (
            scipy.special.xlogy(a - 1, x)
            + scipy.special.xlog1py(b - 1, -x)
            - scipy.special.betaln(a, b)
        )

    def _score(self, x):
        a, b = self._shapes()
        both = scipy.special.digamma(a + b)
        return {
            "log_alpha": a * (np.log(x) - scipy.special.digamma(a) + both),
            "log_beta": b * (np.log1p(-x) - scipy.special.digamma(b) + both),
        }

    def _entropy(self):
        a, b = self._shapes()
        terms = (a - 1) * scipy.special.digamma(a) + (b - 1) * scipy.special.digamma(b)
        return scipy.special.betaln(a, b) - terms + (a + b - 2) * scipy.special.digamma(a + b)

    def _mean(self):
        return scipy.special.expit(self.log_alpha - self.log_beta)

    def _mean_vjp(self, cotangent):
        mean = self._mean()
        grad = cotangent * mean * (1 - mean)
        return {"log_alpha": grad, "log_beta": -grad}


@dataclasses.dataclass(frozen=True, eq=False)
class Dirichlet(Continuous):
    """Dirichlet variables: K positive numbers that sum to 1.

    Parameters
    ----------
    log_concentration : array, shape (*batch, K)

    Notes
    -----
    Numbers below the smallest normal one of their type are that one; ``sample(..., log=True)``
    gives their logarithms, which are exact.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Dirichlet(np.log([1.0, 2.0, 5.0]))
    >>> d.batch_shape, d.mean()
    ((), array([0.125, 0.25 , 0.625]))
    """

    log_concentration: np.ndarray

    event_rank = 1
    support = (0.0, 1.0)

    def _shape(self):
        return np.exp(self._double("log_concentration")[0])

    def _noise(self, count, key, offset):
        return log_gamma_draws(self._shape(), count, key, offset)

    def transform(self, noise, *, log=False):
        """Make samples of noise, logarithms of gamma variates; with log=True, their logarithms."""
        log_x = scipy.special.log_softmax(noise, axis=-1)
        return log_x.astype(self.dtype) if log else exp_within(log_x, self.dtype)

    def _transform_vjp(self, noise, cotangent):
        x = scipy.special.softmax(noise, axis=-1)
        centred = cotangent - (x * cotangent).sum(axis=-1, keepdims=True)
        return {"log_concentration": x * centred * log_gamma_slopes(self._shape(), noise)}

    def _log_density(self, x):
        a = self._shape()
        constant = scipy.special.gammaln(a).sum(axis=-1) - scipy.special.gammaln(a.sum(axis=-1))
        return scipy.special.xlogy(a - 1, x).sum(axis=-1) - constant

    def log_prob(self, x, *, log=False):
        """Logarithm of the density of x, or with log=True, at a given log x, still that of x."""
        if not log:
            return super().log_prob(x)
        a, y = self._shape(), self._points(x)
        constant = scipy.special.gammaln(a).sum(axis=-1) - scipy.special.gammaln(a.sum(axis=-1))
        return (((a - 1) * y).sum(axis=-1) - constant).astype(self.dtype)[()]

    def _score(self, x):
        a = self._shape()
        both = scipy.special.digamma(a.sum(axis=-1, keepdims=True))
        return {"log_concentration": a * (np.log(x) - scipy.special.digamma(a) + both)}

    def _entropy(self):
        a = self._shape()
        total, k = a.sum(axis=-1), a.shape[-1]
        constant = scipy.special.gammaln(a).sum(axis=-1) - scipy.special.gammaln(total)
        terms = ((a - 1) * scipy.special.digamma(a)).sum(axis=-1)
        return constant + (total - k) * scipy.special.digamma(total) - terms

    def _mean(self):
        return scipy.special.softmax(self.log_concentration, axis=-1)

    def _mean_vjp(self, cotangent):
        mean = self._mean()
        return {"log_concentration": mean * (cotangent - (mean * cotangent).sum(-1, keepdims=True))}
