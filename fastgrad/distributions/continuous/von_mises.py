"""Angles: the von Mises distribution."""

from __future__ import annotations

import dataclasses

import numpy as np
import scipy

from fastgrad import _validate
from fastgrad.distributions.continuous._base import Continuous
from fastgrad.kernels.distributions.continuous import von_mises as _kernels

__all__ = ["VonMises"]


@dataclasses.dataclass(frozen=True, eq=False)
class VonMises(Continuous):
    """Angles of density proportional to exp(concentration cos(x - loc)).

    Parameters
    ----------
    loc, log_concentration : array, shape (*batch)
        loc in radians. Samples are from loc - pi to loc + pi, so the score function estimates the
        gradient by loc of functions of period 2 pi only.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.VonMises(np.pi, np.log(2.0))
    >>> bool(abs(d.sample(num_samples=100, rng=0) - np.pi).max() <= np.pi)
    True

    References
    ----------
    Best and Fisher, "Efficient simulation of the von Mises distribution", Applied Statistics 1979.
    """

    loc: np.ndarray
    log_concentration: np.ndarray

    def _concentration(self):
        return np.exp(self._double("log_concentration")[0])

    def _noise(self, count, key, offset):
        k = self._concentration().reshape(-1)
        root = np.hypot(1, 2 * k)
        tau = 1 + root
        # The proposal's 1 - rho and rho, neither of them as a difference of what is nearly equal.
        near = (np.sqrt(2 * tau) - 1 - 1 / (2 * k + root)) / (2 * k)
        rho = 2 * k / tau * np.sqrt(tau) / (np.sqrt(tau) + np.sqrt(2))
        complement = np.where(k > 1, near, 1 - rho)
        constants = complement / (1 + rho), k / rho * ((1 + rho) ** 2 / 2), 2 * rho / complement**2
        out = np.empty((count, *self.batch_shape))
        arrays = [_validate.real_array(x, "concentration") for x in constants]
        words = key.kernel_words
        _kernels.draw(*arrays, words, offset * k.size, out.reshape(-1))
        return out

    def transform(self, noise):
        """Make samples of noise, tangents of a quarter of standard angles."""
        return (self.loc + 4 * np.arctan(noise)).astype(self.dtype)

    def _transform_vjp(self, noise, cotangent):
        k, b = self._concentration(), self._mean_deviation()
        slope = np.empty(noise.shape)
        y, *arrays = (_validate.real_array(x, "noise").reshape(-1) for x in (noise, k, b))
        _kernels.slope(y, *arrays, slope.reshape(-1))
        return {"loc": cotangent, "log_concentration": cotangent * (k * slope)}

    def _mean_deviation(self):
        """1 - E[cos(x - loc)], beyond concentration 1000 by its asymptotic series."""
        k = self._concentration()
        large = k > 1000
        s = 1 / np.where(large, k, 1000)
        series = s * (1 / 2 + s * (1 / 8 + s * (1 / 8 + s * 25 / 128)))
        return np.where(large, series, 1 - scipy.special.i1e(k) / scipy.special.i0e(k))

    def _log_density(self, x):
        k = self._concentration()
        sine = np.sin((x - self.loc.astype(np.float64)) / 2)
        return -2 * k * sine * sine - np.log(2 * np.pi * scipy.special.i0e(k))

    def _score(self, x):
        k, angle = self._concentration(), x - self.loc.astype(np.float64)
        sine = np.sin(angle / 2)
        return {
            "loc": k * np.sin(angle),
            "log_concentration": k * (self._mean_deviation() - 2 * sine * sine),
        }

    def _entropy(self):
        k = self._concentration()
        return np.log(2 * np.pi * scipy.special.i0e(k)) + k * self._mean_deviation()

    def _mean(self):
        return self.loc

    def _mean_vjp(self, cotangent):
        return {"loc": cotangent, "log_concentration": np.zeros_like(cotangent)}
