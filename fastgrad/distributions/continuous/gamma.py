"""Gamma variables.

Gamma variates are held as logarithms, in float64: with a shape of 1e-3 half of them lie below the
smallest float64. Their derivative by the shape is that of implicit reparameterisation.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Continuous, Noise, exp_within
from fastgrad.distributions.continuous.stirling import (
    HALF_LOG_2PI,
    digamma_gap,
    flat,
    log_gamma_remainder,
)
from fastgrad.kernels.distributions.continuous import gamma as _kernels
from fastgrad.kernels.distributions.continuous import gamma_density as _density
from fastgrad.random import Key

__all__ = ["Gamma"]


def log_gamma_draws(shape: Array, count: int, key: Key, offset: int) -> Array:
    """Draw logarithms of gamma variates of rate 1, (count, *shape.shape), in float64."""
    a = shape.reshape(-1)
    small = a < 1
    d = np.where(small, a + 1, a) - 1 / 3
    out = np.empty((count, *shape.shape))
    arrays = [_validate.real_array(x, "shape") for x in (d, np.log(d), np.where(small, 1 / a, 0))]
    flat = out.reshape(-1)
    _kernels.draw(*arrays, key.kernel_words, offset * a.size, flat)
    return out


def log_gamma_slopes(shape: Array, log_x: Array) -> Array:
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
    """Gamma variables, whose density is proportional to x^(concentration - 1) exp(-rate x).

    Parameters
    ----------
    log_concentration : array, shape (*batch)
        Logarithm of the concentration, which is also called the shape.
    log_rate : array, shape (*batch)
        Logarithm of the rate, which is the inverse of the scale.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are not finite, or are too large or too small for their
        exponentials to be normal numbers of their dtype.

    Notes
    -----
    A sample below the smallest normal number of its dtype is replaced by that number; this is
    common for concentrations below 0.1. ``sample(..., log=True)`` returns the logarithms of the
    samples, which are not clipped. The score of samples, `transform_score`, is not affected.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Gamma(np.log(1e-3), 0.0)
    >>> log_x = d.sample(num_samples=100, rng=0, log=True)
    >>> bool((log_x < -1000).any()), bool(np.isfinite(d.log_prob(log_x[0], log=True)))
    (True, True)

    References
    ----------
    Marsaglia and Tsang, "A simple method for generating gamma variables", TOMS 2000. Figurnov,
    Mohamed and Mnih, "Implicit reparameterization gradients", NeurIPS 2018.
    """

    log_concentration: FloatArray
    log_rate: FloatArray

    support: ClassVar[tuple[float, float]] = (0.0, np.inf)

    if TYPE_CHECKING:

        def __init__(self, log_concentration: ArrayLike, log_rate: ArrayLike) -> None: ...

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        (log_a,) = self._double("log_concentration")
        return log_gamma_draws(np.exp(log_a), count, key, offset)

    def transform(self, noise: Noise, *, log: bool = False) -> FloatArray:
        """Turn noise, the logarithms of gamma variates of rate 1, into samples.

        Parameters
        ----------
        noise : array
            The noise that `noise` returned.
        log : bool
            Whether to return the logarithms of the samples, which are not clipped.

        Returns
        -------
        array, shape (S, *batch_shape)
        """
        log_x = noise - self._double("log_rate")[0]
        return log_x.astype(self.dtype) if log else exp_within(log_x, self.dtype)

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        (log_a,) = self._double("log_concentration")
        grad = cotangent * self.transform(noise)
        return {
            "log_concentration": grad * log_gamma_slopes(np.exp(log_a), noise),
            "log_rate": -grad,
        }

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        log_a, log_rate = self._double("log_concentration", "log_rate")
        return self._score_at(noise, log_a, np.zeros_like(log_rate), True)

    def log_prob(self, x: ArrayLike, *, log: bool = False) -> FloatArray:
        """Evaluate the logarithm of the density.

        Parameters
        ----------
        x : array, shape (*batch_shape) or (S, *batch_shape)
            The points, or with log=True their logarithms.
        log : bool
            Whether x holds logarithms. The density is that of the variable itself in either case,
            not the density of its logarithm.

        Returns
        -------
        array, shape (*batch_shape) or (S, *batch_shape)
            The log density, -inf outside the support.
        """
        points = self._points(x)
        log_a, log_rate = self._double("log_concentration", "log_rate")
        a = np.exp(log_a)
        constant = 0.5 * log_a - HALF_LOG_2PI - log_gamma_remainder(a)
        arrays = flat(a, log_a, np.exp(log_rate), log_rate, constant)
        out = np.empty(points.shape)
        _density.log_prob(points.reshape(-1), log, *arrays, out.reshape(-1))
        return out.astype(self.dtype, copy=False)[()]

    def score(self, x: ArrayLike, *, log: bool = False) -> dict[str, FloatArray]:
        """Differentiate the log density at given points, by the parameters.

        Parameters
        ----------
        x : array, shape (*batch_shape) or (S, *batch_shape)
            The points, or with log=True their logarithms.
        log : bool
            Whether x holds logarithms.

        Returns
        -------
        dict of arrays, shape (*batch_shape) or (S, *batch_shape)
            The derivatives, by the parameters' names: the limit at 0, NaN below 0.
        """
        log_a, log_rate = self._double("log_concentration", "log_rate")
        return self._cast(self._score_at(self._points(x), log_a, log_rate, log))

    def _score_at(self, x: Array, log_a: Array, log_rate: Array, log: bool) -> dict[str, Array]:
        a = np.exp(log_a)
        by_shape, by_rate = np.empty(x.shape), np.empty(x.shape)
        arrays = flat(a, log_a, np.exp(log_rate), log_rate, digamma_gap(a))
        points = _validate.real_array(x, "x").reshape(-1)
        _density.score(points, log, *arrays, by_shape.reshape(-1), by_rate.reshape(-1))
        return {"log_concentration": by_shape, "log_rate": by_rate}

    def _entropy(self) -> Array:
        log_a, log_rate = self._double("log_concentration", "log_rate")
        a = np.exp(log_a)
        constant = HALF_LOG_2PI + log_gamma_remainder(a) + (a - 1) * digamma_gap(a)
        return 0.5 * log_a - log_rate + constant

    def _mean(self) -> Array:
        return np.exp(self.log_concentration - self.log_rate)

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        grad = cotangent * self._mean()
        return {"log_concentration": grad, "log_rate": -grad}
