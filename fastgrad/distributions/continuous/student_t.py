"""Student t variables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from fastgrad import random
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Noise
from fastgrad.distributions.continuous.gamma import log_gamma_draws, log_gamma_slopes
from fastgrad.distributions.continuous.location_scale import LocationScale, stream
from fastgrad.distributions.continuous.stirling import (
    HALF_LOG_2PI,
    digamma_remainder,
    exp_remainder,
    log_gamma_remainder,
)
from fastgrad.random import Key

__all__ = ["StudentT"]


def softplus(x: Array) -> Array:
    """Return log(1 + exp(x)): NumPy's logaddexp is no vector loop."""
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@dataclasses.dataclass(frozen=True, eq=False)
class StudentT(LocationScale):
    """Student t variables, loc + scale z / sqrt(2 g / df), with z normal and g gamma of shape df/2.

    Parameters
    ----------
    loc : array, shape (*batch)
        Location: the median, and the mean where df is above 1.
    log_scale : array, shape (*batch)
        Logarithm of the scale.
    log_df : array, shape (*batch)
        Logarithm of the degrees of freedom.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are not finite, or are too large or too small for the
        exponentials of log_scale and log_df to be normal numbers of their dtype.

    Notes
    -----
    A sample beyond the largest number of its dtype is replaced by that number; this is common for
    df below 0.1. The score of samples, `transform_score`, is not affected.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.StudentT(0.0, 0.0, np.log(3.0))
    >>> float(d.log_prob(0.0).round(6))
    -1.000889

    References
    ----------
    Figurnov, Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
    """

    log_df: FloatArray

    if TYPE_CHECKING:

        def __init__(self, loc: ArrayLike, log_scale: ArrayLike, log_df: ArrayLike) -> None: ...

    def _half_df(self) -> Array:
        return np.exp(self._double("log_df")[0]) / 2

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        normal, gamma = key.split(2)
        z = stream(random.normal, self, count, normal, offset)
        return z.astype(np.float64), log_gamma_draws(self._half_df(), count, gamma, offset)

    def _deviation(self, noise: Noise) -> Array:
        """Return scale z / sqrt(2 g / df), at most the largest number of the type."""
        z, log_g = noise
        with np.errstate(divide="ignore"):
            log_size = np.log(np.abs(z)) + 0.5 * (np.log(self._half_df()) - log_g)
        largest = np.finfo(self.dtype).max
        with np.errstate(over="ignore"):
            return np.copysign(np.minimum(np.exp(self.log_scale + log_size), largest), z)

    def transform(self, noise: Noise) -> FloatArray:
        """Turn noise, normal variates and logarithms of gamma variates, into samples.

        Parameters
        ----------
        noise : tuple of two arrays
            The noise that `noise` returned.

        Returns
        -------
        array, shape (S, *batch_shape)
        """
        largest = np.finfo(self.dtype).max
        return np.clip(self.loc + self._deviation(noise), -largest, largest).astype(self.dtype)

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        grad = cotangent * self._deviation(noise)
        slope = log_gamma_slopes(self._half_df(), noise[1])
        return {"loc": cotangent, "log_scale": grad, "log_df": grad * 0.5 * (1 - slope)}

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        z, log_g = noise
        log_ratio, log_df = 2 * np.log(np.abs(z)) - log_g - np.log(2), self._double("log_df")[0]
        pull = np.exp(0.5 * (log_ratio + log_df) - softplus(log_ratio))
        return self._score_by_ratio(log_ratio, np.copysign(pull, z))

    def _log_ratio(self, z: Array) -> Array:
        """Return log(z^2 / df) for standardised z."""
        return 2 * np.log(np.abs(z)) - self._double("log_df")[0]

    def _log_density(self, x: Array) -> Array:
        half, z = self._half_df(), self._standardised(x)
        ratio = z * z / (2 * half)
        kernel = np.where(ratio < np.inf, np.log1p(ratio), self._log_ratio(z))
        return self._constant() - (half + 0.5) * kernel - self._double("log_scale")[0]

    def _constant(self) -> Array:
        """Return the log density at 0 of scale 1, whose leading terms cancel."""
        half = self._half_df()
        gap = log_gamma_remainder(half + 0.5) - log_gamma_remainder(half)
        return gap + half * exp_remainder(np.log1p(0.5 / half)) - HALF_LOG_2PI

    def _excess(self) -> Array:
        """Return h (digamma(h + 1/2) - digamma(h)) - 1/2, about 1 / (8 h), by duplication."""
        half = self._half_df()
        return 2 * half * (digamma_remainder(half) - digamma_remainder(2 * half))

    def _score(self, x: Array) -> dict[str, Array]:
        half, z = self._half_df(), self._standardised(x)
        ratio = z * z / (2 * half)
        return self._score_by_ratio(
            self._log_ratio(z), np.where(ratio < np.inf, z / (1 + ratio), 2 * half / z)
        )

    def _score_by_ratio(self, log_ratio: Array, pull: Array) -> dict[str, Array]:
        """Return the score where log(z^2 / df) is log_ratio, and pull is z / (1 + z^2 / df)."""
        half, (log_scale,) = self._half_df(), self._double("log_scale")
        kernel = softplus(log_ratio)
        inner, outer = np.exp(log_ratio - kernel), np.exp(-kernel)  # they sum to 1
        return {
            "loc": (1 + 0.5 / half) * pull * np.exp(-log_scale),
            "log_scale": 2 * half * inner - outer,
            "log_df": self._excess() + half * exp_remainder(-kernel) + 0.5 * inner,
        }

    def _entropy(self) -> Array:
        half = self._half_df()
        gap = (0.5 + self._excess()) / half  # digamma(h + 1/2) - digamma(h)
        return self._double("log_scale")[0] + (half + 0.5) * gap - self._constant()

    def _mean(self) -> Array:
        return np.where(self._half_df() > 0.5, self.loc, np.nan)

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        return {**super()._mean_vjp(cotangent), "log_df": np.zeros_like(cotangent)}
