"""Families with closed transforms: location and scale, their exponentials, intervals."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import random
from fastgrad.distributions.continuous._base import Continuous, exp_within

__all__ = ["Exponential", "Laplace", "LogNormal", "Logistic", "Normal", "Uniform"]


def stream(law, distribution, count, key, offset):
    """Draw standard noise, shape (count, *batch, *event), from sample number `offset` on."""
    shape = (*distribution.batch_shape, *distribution.event_shape)
    start = offset * int(np.prod(shape))
    return law((count, *shape), rng=key, dtype=distribution.dtype, offset=start)


@dataclasses.dataclass(frozen=True, eq=False)
class LocationScale(Continuous):
    """x = loc + scale z, where z has a fixed density."""

    loc: np.ndarray
    log_scale: np.ndarray

    def transform(self, noise):
        """Make samples of noise: loc + scale noise."""
        return self.loc + np.exp(self.log_scale) * noise

    def _transform_vjp(self, noise, cotangent):
        return {"loc": cotangent, "log_scale": cotangent * (np.exp(self.log_scale) * noise)}

    def _standardised(self, x):
        loc, log_scale = self._double("loc", "log_scale")
        return (x - loc) * np.exp(-log_scale)

    def _log_density(self, x):
        return self._standard(self._standardised(x))[0] - self.log_scale

    def _score(self, x):
        z = self._standardised(x)
        slope = self._standard(z)[1]
        return {"loc": -slope * np.exp(-self._double("log_scale")[0]), "log_scale": -1 - z * slope}

    def _entropy(self):
        return self.log_scale + self._standard_entropy

    def _mean(self):
        return self.loc

    def _mean_vjp(self, cotangent):
        return {"loc": cotangent, "log_scale": np.zeros_like(cotangent)}


@dataclasses.dataclass(frozen=True, eq=False)
class Normal(LocationScale):
    """Normal variables, independent of each other.

    Parameters
    ----------
    loc, log_scale : array, shape (*batch)
        Mean, and logarithm of the standard deviation.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Normal(np.zeros(3), np.log([1.0, 2.0, 3.0]))
    >>> d.sample(num_samples=4, rng=0).shape, d.log_prob(np.zeros(3)).round(3)
    ((4, 3), array([-0.919, -1.612, -2.018]))
    """

    _standard_entropy = 0.5 * np.log(2 * np.pi * np.e)

    def _noise(self, count, key, offset):
        return stream(random.normal, self, count, key, offset)

    def _standard(self, z):
        """Log density of z, and its derivative."""
        return -0.5 * (z * z + np.log(2 * np.pi)), -z


@dataclasses.dataclass(frozen=True, eq=False)
class Logistic(LocationScale):
    """Logistic variables: loc + scale log(u / (1 - u)).

    Parameters
    ----------
    loc, log_scale : array, shape (*batch)

    Examples
    --------
    >>> import fastgrad as fg
    >>> float(fg.continuous.Logistic(0.0, 0.0).entropy())
    2.0
    """

    _standard_entropy = 2.0

    def _noise(self, count, key, offset):
        return stream(random.logistic, self, count, key, offset)

    def _standard(self, z):
        """Log density of z, and its derivative."""
        return -np.abs(z) - 2 * np.log1p(np.exp(-np.abs(z))), -np.tanh(z / 2)


@dataclasses.dataclass(frozen=True, eq=False)
class Laplace(LocationScale):
    """Laplace variables, of density exp(-abs(x - loc) / scale) / (2 scale).

    Parameters
    ----------
    loc, log_scale : array, shape (*batch)

    Examples
    --------
    >>> import fastgrad as fg
    >>> float(fg.continuous.Laplace(0.0, 0.0).log_prob(1.0).round(6))
    -1.693147
    """

    _standard_entropy = 1 + np.log(2)

    def _noise(self, count, key, offset):
        up, down = (stream(random.exponential, self, count, k, offset) for k in key.split(2))
        return up - down

    def _standard(self, z):
        """Log density of z, and its derivative."""
        return -np.abs(z) - np.log(2), -np.sign(z)


@dataclasses.dataclass(frozen=True, eq=False)
class LogNormal(Normal):
    """Variables whose logarithm is normal.

    Parameters
    ----------
    loc, log_scale : array, shape (*batch)
        Mean, and logarithm of the standard deviation, of log x. Samples that would overflow or
        underflow are the largest or the smallest normal number of their type.

    Examples
    --------
    >>> import fastgrad as fg
    >>> float(fg.continuous.LogNormal(0.0, 0.0).mean().round(6))
    1.648721
    """

    support = (0.0, np.inf)

    def transform(self, noise):
        """Make samples of noise: exp(loc + scale noise)."""
        return exp_within(super().transform(noise), self.dtype)

    def _transform_vjp(self, noise, cotangent):
        return super()._transform_vjp(noise, cotangent * self.transform(noise))

    def _log_density(self, x):
        y = np.log(x)
        return np.where(x > 0, super()._log_density(y) - y, -np.inf)

    def _score(self, x):
        return super()._score(np.log(x))

    def _entropy(self):
        return super()._entropy() + self.loc

    def _mean(self):
        loc, log_scale = self._double("loc", "log_scale")
        return exp_within(loc + 0.5 * np.exp(2 * log_scale), self.dtype)

    def _mean_vjp(self, cotangent):
        grad = cotangent * self._mean()
        return {"loc": grad, "log_scale": grad * np.exp(2 * self.log_scale)}


@dataclasses.dataclass(frozen=True, eq=False)
class Exponential(Continuous):
    """Exponential variables, of density rate exp(-rate x).

    Parameters
    ----------
    log_rate : array, shape (*batch)

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.continuous.Exponential(np.log(4.0)).mean())
    0.25
    """

    log_rate: np.ndarray

    support = (0.0, np.inf)

    def _noise(self, count, key, offset):
        return stream(random.exponential, self, count, key, offset)

    def transform(self, noise):
        """Make samples of noise: noise / rate."""
        return noise * np.exp(-self.log_rate)

    def _transform_vjp(self, noise, cotangent):
        return {"log_rate": -cotangent * self.transform(noise)}

    def _log_density(self, x):
        (log_rate,) = self._double("log_rate")
        return log_rate - np.exp(log_rate) * x

    def _score(self, x):
        return {"log_rate": 1 - np.exp(self._double("log_rate")[0]) * x}

    def _entropy(self):
        return 1 - self.log_rate

    def _mean(self):
        return np.exp(-self.log_rate)

    def _mean_vjp(self, cotangent):
        return {"log_rate": -cotangent * self._mean()}


@dataclasses.dataclass(frozen=True, eq=False)
class Uniform(Continuous):
    """Uniform variables between two ends, which are the parameters.

    The support moves with them: the score function does not estimate gradients here, so there is
    none.

    Parameters
    ----------
    low, high : array, shape (*batch)
        low below high.

    Examples
    --------
    >>> import fastgrad as fg
    >>> d = fg.continuous.Uniform(1.0, 3.0)
    >>> float(d.mean()), bool(1 < d.sample(rng=0) < 3)
    (2.0, True)
    """

    low: np.ndarray
    high: np.ndarray

    def _check(self):
        super()._check()
        if not (self.low < self.high).all():
            worst = (self.low, self.high) if not self.low.ndim else None
            at = np.unravel_index(np.argmin(self.low < self.high), self.low.shape)
            low, high = worst or (self.low[at], self.high[at])
            raise ValueError(f"low must be below high, got low={low} and high={high}")

    def _noise(self, count, key, offset):
        return stream(random.uniform, self, count, key, offset)

    def transform(self, noise):
        """Make samples of noise: low + (high - low) noise."""
        return self.low * (1 - noise) + self.high * noise

    def _transform_vjp(self, noise, cotangent):
        return {"low": cotangent * (1 - noise), "high": cotangent * noise}

    def _log_density(self, x):
        inside = (x >= self.low) & (x <= self.high)
        return np.where(inside, -self._entropy(), -np.inf)

    def _score(self, x):
        raise TypeError("Uniform has no score: its support moves with its parameters")

    def _entropy(self):
        low, high = self._double("low", "high")
        return np.log(high - low)

    def _mean(self):
        return self.low / 2 + self.high / 2

    def _mean_vjp(self, cotangent):
        return {"low": cotangent / 2, "high": cotangent / 2}
