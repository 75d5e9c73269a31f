"""Uniform variables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from fastgrad import random
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Continuous, Noise
from fastgrad.distributions.continuous.location_scale import stream
from fastgrad.random import Key

__all__ = ["Uniform"]


@dataclasses.dataclass(frozen=True, eq=False)
class Uniform(Continuous):
    """Uniform variables between two ends, which are the parameters.

    The support moves with the parameters, so the score function cannot estimate gradients, and
    `score` raises a TypeError; pathwise derivatives can.

    Parameters
    ----------
    low, high : array, shape (*batch)
        The ends of the interval, low below high.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are not finite, or low is not below high.

    Examples
    --------
    >>> import fastgrad as fg
    >>> d = fg.continuous.Uniform(1.0, 3.0)
    >>> float(d.mean()), bool(1 < d.sample(rng=0) < 3)
    (2.0, True)
    """

    low: FloatArray
    high: FloatArray

    if TYPE_CHECKING:

        def __init__(self, low: ArrayLike, high: ArrayLike) -> None: ...

    def _check(self) -> None:
        super()._check()
        if not (self.low < self.high).all():
            worst = (self.low, self.high) if not self.low.ndim else None
            at = np.unravel_index(np.argmin(self.low < self.high), self.low.shape)
            low, high = worst or (self.low[at], self.high[at])
            raise ValueError(f"low must be below high, got low={low} and high={high}")

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        return stream(random.uniform, self, count, key, offset)

    def transform(self, noise: Noise) -> FloatArray:
        """Turn noise, uniform variates from 0 to 1, into samples: low + (high - low) noise.

        Parameters
        ----------
        noise : array, shape (S, *batch_shape)
            The noise that `noise` returned.

        Returns
        -------
        array, shape (S, *batch_shape)
        """
        return self.low * (1 - noise) + self.high * noise

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        return {"low": cotangent * (1 - noise), "high": cotangent * noise}

    def _log_density(self, x: Array) -> Array:
        inside = (x >= self.low) & (x <= self.high)
        return np.where(inside, -self._entropy(), -np.inf)

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        return self._score(noise)

    def _score(self, x: Array) -> dict[str, Array]:
        raise TypeError("Uniform has no score: its support moves with its parameters")

    def _entropy(self) -> Array:
        low, high = self._double("low", "high")
        return np.log(high - low)

    def _mean(self) -> Array:
        return self.low / 2 + self.high / 2

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        return {"low": cotangent / 2, "high": cotangent / 2}
