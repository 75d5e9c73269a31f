"""Student's t."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy

from fastgrad import random
from fastgrad.distributions.continuous.gamma import log_gamma_draws, log_gamma_slopes
from fastgrad.distributions.continuous.location_scale import LocationScale, stream

__all__ = ["StudentT"]


@dataclasses.dataclass(frozen=True, eq=False)
class StudentT(LocationScale):
    """Student t variables: loc + scale z / sqrt(2 g / df), z normal and g gamma of shape df / 2.

    Parameters
    ----------
    loc, log_scale, log_df : array, shape (*batch)
        Location, and logarithms of the scale and of the degrees of freedom.

    Notes
    -----
    Samples beyond the largest number of their type, which df below 0.1 has, are that number.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.StudentT(0.0, 0.0, np.log(3.0))
    >>> float(d.log_prob(0.0).round(6))
    -1.000889
    """

    log_df: np.ndarray

    def _half_df(self):
        return np.exp(self._double("log_df")[0]) / 2

    def _noise(self, count, key, offset):
        normal, gamma = key.split(2)
        z = stream(random.normal, self, count, normal, offset)
        return z.astype(np.float64), log_gamma_draws(self._half_df(), count, gamma, offset)

    def _deviation(self, noise):
        """Return scale z / sqrt(2 g / df), at most the largest number of the type."""
        z, log_g = noise
        with np.errstate(divide="ignore"):
            log_size = np.log(np.abs(z)) + 0.5 * (np.log(self._half_df()) - log_g)
        largest = np.finfo(self.dtype).max
        with np.errstate(over="ignore"):
            return np.copysign(np.minimum(np.exp(self.log_scale + log_size), largest), z)

    def transform(self, noise):
        """Make samples of noise: normal variates and logarithms of gamma variates."""
        largest = np.finfo(self.dtype).max
        return np.clip(self.loc + self._deviation(noise), -largest, largest).astype(self.dtype)

    def _transform_vjp(self, noise, cotangent):
        grad = cotangent * self._deviation(noise)
        slope = log_gamma_slopes(self._half_df(), noise[1])
        return {"loc": cotangent, "log_scale": grad, "log_df": grad * 0.5 * (1 - slope)}

    def _log_kernel(self, z):
        """Log of 1 + z^2 / df, for any z."""
        with np.errstate(divide="ignore"):
            return np.logaddexp(0, 2 * np.log(np.abs(z)) - self._double("log_df")[0])

    def _standard(self, z):
        """Log density of z, and its derivative."""
        half, kernel = self._half_df(), self._log_kernel(z)
        constant = -0.5 * np.log(2 * half) - scipy.special.betaln(0.5, half)
        return constant - (half + 0.5) * kernel, -(1 + 0.5 / half) * (z * np.exp(-kernel))

    def _score(self, x):
        half, kernel = self._half_df(), self._log_kernel(self._standardised(x))
        gap = scipy.special.digamma(half + 0.5) - scipy.special.digamma(half)
        by_df = half * (gap - kernel) - 0.5 - (half + 0.5) * np.expm1(-kernel)
        return {**super()._score(x), "log_df": by_df}

    def _entropy(self):
        half = self._half_df()
        gap = scipy.special.digamma(half + 0.5) - scipy.special.digamma(half)
        constant = 0.5 * np.log(2 * half) + scipy.special.betaln(0.5, half)
        return self.log_scale + (half + 0.5) * gap + constant

    def _mean(self):
        return np.where(self._half_df() > 0.5, self.loc, np.nan)

    def _mean_vjp(self, cotangent):
        return {**super()._mean_vjp(cotangent), "log_df": np.zeros_like(cotangent)}
