"""Angles: the von Mises distribution."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Continuous, Noise
from fastgrad.kernels.distributions.continuous import von_mises as _kernels
from fastgrad.random import Key

__all__ = ["VonMises"]

LARGE, TERMS = 50.0, 16  # from this concentration on, this many terms of 1 - E[cos] are exact


def mean_deviation_series() -> list[float]:
    """Return b where 1 - I1(k) / I0(k) = b[1] / k + b[2] / k^2 + ... as k grows.

    The ratio A of Bessel functions solves A' = 1 - A / k - A^2, which gives them one by one.
    """
    b = [0.0, 0.5]
    for n in range(2, TERMS + 1):
        square = sum(b[i] * b[n - i] for i in range(1, n))
        b.append((square + (n - 2) * b[n - 1]) / 2)
    return b


SERIES = mean_deviation_series()


@dataclasses.dataclass(frozen=True, eq=False)
class VonMises(Continuous):
    """Angles, whose density is proportional to exp(concentration cos(x - loc)).

    Parameters
    ----------
    loc : array, shape (*batch)
        Mean direction, in radians.
    log_concentration : array, shape (*batch)
        Logarithm of the concentration. A concentration of 0, whose logarithm is -inf, gives the
        uniform distribution on the circle.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are NaN, loc is infinite, or log_concentration is too
        large or, unless it is -inf, too small for its exponential to be a normal number.

    Notes
    -----
    Samples are from loc - pi to loc + pi. The density is the same for all x that differ by 2 pi.
    The interval moves with loc, so the score function estimates the gradient with respect to loc
    of functions of period 2 pi only; pathwise derivatives have no such restriction.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.VonMises(np.pi, np.log(2.0))
    >>> bool(abs(d.sample(num_samples=100, rng=0) - np.pi).max() <= np.pi)
    True
    >>> float(np.exp(fg.continuous.VonMises(0.0, -np.inf).entropy()).round(6))  # 2 pi
    6.283185

    References
    ----------
    Best and Fisher, "Efficient simulation of the von Mises distribution", Applied Statistics 1979.
    """

    loc: FloatArray
    log_concentration: FloatArray

    may_vanish: ClassVar[tuple[str, ...]] = ("log_concentration",)

    if TYPE_CHECKING:

        def __init__(self, loc: ArrayLike, log_concentration: ArrayLike) -> None: ...

    def _concentration(self) -> Array:
        return np.exp(self._double("log_concentration")[0])

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        k = self._concentration().reshape(-1)
        positive = np.where(k > 0, k, 1.0)
        root = np.hypot(1, 2 * k)
        tau = 1 + root
        # The proposal's 1 - rho and rho, neither of them as a difference of what is nearly equal.
        near = (np.sqrt(2 * tau) - 1 - 1 / (2 * k + root)) / (2 * positive)
        rho = 2 * k / tau * np.sqrt(tau) / (np.sqrt(tau) + np.sqrt(2))
        complement = np.where(k > 1, near, 1 - rho)
        ratio = np.where(k > 0, positive / np.where(k > 0, rho, 1.0), 2.0)  # k / rho
        constants = complement / (1 + rho), ratio * ((1 + rho) ** 2 / 2), 2 * rho / complement**2
        out = np.empty((count, *self.batch_shape))
        arrays = [_validate.real_array(x, "concentration") for x in constants]
        words = key.kernel_words
        _kernels.draw(*arrays, words, offset * k.size, out.reshape(-1))
        return out

    def transform(self, noise: Noise) -> FloatArray:
        """Turn noise, tangents of a quarter of angles from loc, into samples.

        Parameters
        ----------
        noise : array, shape (S, *batch_shape)
            The noise that `noise` returned.

        Returns
        -------
        array, shape (S, *batch_shape)
            Angles in radians, from loc - pi to loc + pi.
        """
        return (self.loc + 4 * np.arctan(noise)).astype(self.dtype)

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        k, b = self._concentration(), self._mean_deviation()
        slope, positive = np.empty(noise.shape), np.maximum(k, np.finfo(np.float64).tiny)
        y, *arrays = (_validate.real_array(x, "noise").reshape(-1) for x in (noise, positive, b))
        _kernels.slope(y, *arrays, slope.reshape(-1))
        return {"loc": cotangent, "log_concentration": cotangent * (k * slope)}

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        square = noise * noise
        sine, cosine = 2 * noise / (1 + square), (1 - square) / (1 + square)
        return self._score_at(sine, cosine)

    def _mean_deviation(self) -> Array:
        """1 - E[cos(x - loc)], at large concentrations by its asymptotic series."""
        k = self._concentration()
        s = 1 / np.maximum(k, LARGE)
        series = s * np.polynomial.polynomial.polyval(s, SERIES[1:])
        return np.where(k > LARGE, series, 1 - scipy.special.i1e(k) / scipy.special.i0e(k))

    def _log_density(self, x: Array) -> Array:
        k = self._concentration()
        sine = np.sin((x - self.loc.astype(np.float64)) / 2)
        return -2 * k * sine * sine - np.log(2 * np.pi * scipy.special.i0e(k))

    def _score(self, x: Array) -> dict[str, Array]:
        half = (x - self.loc.astype(np.float64)) / 2
        return self._score_at(np.sin(half), np.cos(half))

    def _score_at(self, sine: Array, cosine: Array) -> dict[str, Array]:
        """Return the score at an angle from loc, by the sine and cosine of half of it."""
        k = self._concentration()
        return {
            "loc": k * (2 * sine * cosine),
            "log_concentration": k * (self._mean_deviation() - 2 * sine * sine),
        }

    def _entropy(self) -> Array:
        k = self._concentration()
        return np.log(2 * np.pi * scipy.special.i0e(k)) + k * self._mean_deviation()

    def _mean(self) -> Array:
        return self.loc

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        return {"loc": cotangent, "log_concentration": np.zeros_like(cotangent)}
