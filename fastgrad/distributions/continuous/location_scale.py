"""Families of a location and a scale, and the exponential of a normal variable."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fastgrad import random
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Continuous, Noise, exp_within
from fastgrad.random import Key

__all__ = ["Laplace", "LogNormal", "Logistic", "Normal"]


def stream(
    law: Callable[..., Array], distribution: Continuous, count: int, key: Key, offset: int
) -> Array:
    """Draw standard noise, shape (count, *batch, *event), from sample number `offset` on."""
    shape = (*distribution.batch_shape, *distribution.event_shape)
    start = offset * int(np.prod(shape))
    return law((count, *shape), rng=key, dtype=distribution.dtype, offset=start)


@dataclasses.dataclass(frozen=True, eq=False)
class LocationScale(Continuous):
    """Variables x = loc + scale z, where z has a fixed density."""

    loc: FloatArray
    log_scale: FloatArray

    _standard_entropy: ClassVar[float]

    if TYPE_CHECKING:

        def __init__(self, loc: ArrayLike, log_scale: ArrayLike) -> None: ...

    def transform(self, noise: Noise) -> FloatArray:
        """Turn noise, samples of location 0 and scale 1, into samples: loc + scale noise.

        Parameters
        ----------
        noise : array, shape (S, *batch_shape)
            The noise that `noise` returned.

        Returns
        -------
        array, shape (S, *batch_shape)
        """
        return self.loc + np.exp(self.log_scale) * noise

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        return {"loc": cotangent, "log_scale": cotangent * (np.exp(self.log_scale) * noise)}

    def _standardised(self, x: Array) -> Array:
        loc, log_scale = self._double("loc", "log_scale")
        return (x - loc) * np.exp(-log_scale)

    def _log_density(self, x: Array) -> Array:
        return self._standard(self._standardised(x))[0] - self._double("log_scale")[0]

    def _standard(self, z: Array) -> tuple[Array, Array]:
        """Return the log density of z, and its derivative."""
        raise NotImplementedError

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        return self._score_at(noise.astype(np.float64))

    def _score(self, x: Array) -> dict[str, Array]:
        return self._score_at(self._standardised(x))

    def _score_at(self, z: Array) -> dict[str, Array]:
        """Return the score at loc + scale z."""
        slope = self._standard(z)[1]
        return {"loc": -slope * np.exp(-self._double("log_scale")[0]), "log_scale": -1 - z * slope}

    def _entropy(self) -> Array:
        return self._double("log_scale")[0] + self._standard_entropy

    def _mean(self) -> Array:
        return self.loc

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        return {"loc": cotangent, "log_scale": np.zeros_like(cotangent)}


@dataclasses.dataclass(frozen=True, eq=False)
class Normal(LocationScale):
    """Normal variables, independent of each other.

    Parameters
    ----------
    loc : array, shape (*batch)
        Mean.
    log_scale : array, shape (*batch)
        Logarithm of the standard deviation.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are not finite, or log_scale is too large or too small
        for its exponential to be a normal number of its dtype.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Normal(np.zeros(3), np.log([1.0, 2.0, 3.0]))
    >>> d.sample(num_samples=4, rng=0).shape, d.log_prob(np.zeros(3)).round(3)
    ((4, 3), array([-0.919, -1.612, -2.018]))
    """

    _standard_entropy = 0.5 * np.log(2 * np.pi * np.e)

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        return stream(random.normal, self, count, key, offset)

    def _standard(self, z: Array) -> tuple[Array, Array]:
        return -0.5 * (z * z + np.log(2 * np.pi)), -z


@dataclasses.dataclass(frozen=True, eq=False)
class Logistic(LocationScale):
    """Logistic variables, loc + scale log(u / (1 - u)) with u uniform.

    Parameters
    ----------
    loc : array, shape (*batch)
        Mean.
    log_scale : array, shape (*batch)
        Logarithm of the scale, which is sqrt(3) / pi times the standard deviation.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are not finite, or log_scale is too large or too small
        for its exponential to be a normal number of its dtype.

    Examples
    --------
    >>> import fastgrad as fg
    >>> float(fg.continuous.Logistic(0.0, 0.0).entropy())
    2.0
    """

    _standard_entropy = 2.0

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        return stream(random.logistic, self, count, key, offset)

    def _standard(self, z: Array) -> tuple[Array, Array]:
        return -np.abs(z) - 2 * np.log1p(np.exp(-np.abs(z))), -np.tanh(z / 2)


@dataclasses.dataclass(frozen=True, eq=False)
class Laplace(LocationScale):
    """Laplace variables, whose density is exp(-abs(x - loc) / scale) / (2 scale).

    Parameters
    ----------
    loc : array, shape (*batch)
        Mean.
    log_scale : array, shape (*batch)
        Logarithm of the scale, which is the standard deviation divided by sqrt(2).

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are not finite, or log_scale is too large or too small
        for its exponential to be a normal number of its dtype.

    Examples
    --------
    >>> import fastgrad as fg
    >>> float(fg.continuous.Laplace(0.0, 0.0).log_prob(1.0).round(6))
    -1.693147
    """

    _standard_entropy = 1 + np.log(2)

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        up, down = (stream(random.exponential, self, count, k, offset) for k in key.split(2))
        return up - down

    def _standard(self, z: Array) -> tuple[Array, Array]:
        return -np.abs(z) - np.log(2), -np.sign(z)


@dataclasses.dataclass(frozen=True, eq=False)
class LogNormal(Normal):
    """Log-normal variables, whose logarithm is normal.

    Parameters
    ----------
    loc : array, shape (*batch)
        Mean of log x.
    log_scale : array, shape (*batch)
        Logarithm of the standard deviation of log x.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are not finite, or log_scale is too large or too small
        for its exponential to be a normal number of its dtype.

    Notes
    -----
    A sample that would overflow or underflow is replaced by the largest or the smallest normal
    number of its dtype. The score of samples, `transform_score`, is not affected.

    Examples
    --------
    >>> import fastgrad as fg
    >>> float(fg.continuous.LogNormal(0.0, 0.0).mean().round(6))
    1.648721
    """

    support: ClassVar[tuple[float, float]] = (0.0, np.inf)

    def transform(self, noise: Noise) -> FloatArray:
        """Turn noise, standard normal variates, into samples: exp(loc + scale noise).

        Parameters
        ----------
        noise : array, shape (S, *batch_shape)
            The noise that `noise` returned.

        Returns
        -------
        array, shape (S, *batch_shape)
        """
        return exp_within(super().transform(noise), self.dtype)

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        return super()._transform_vjp(noise, cotangent * self.transform(noise))

    def _log_density(self, x: Array) -> Array:
        y = np.log(x)
        return np.where(x > 0, super()._log_density(y) - y, -np.inf)

    def _score(self, x: Array) -> dict[str, Array]:
        return super()._score(np.log(x))

    def _entropy(self) -> Array:
        return super()._entropy() + self._double("loc")[0]

    def _mean(self) -> Array:
        loc, log_scale = self._double("loc", "log_scale")
        return exp_within(loc + 0.5 * np.exp(2 * log_scale), self.dtype)

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        grad = cotangent * self._mean()
        return {"loc": grad, "log_scale": grad * np.exp(2 * self.log_scale)}
