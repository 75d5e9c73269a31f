"""Exponential variables."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from fastgrad import random
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Continuous, Noise
from fastgrad.distributions.continuous.location_scale import stream
from fastgrad.random import Key

__all__ = ["Exponential"]


@dataclasses.dataclass(frozen=True, eq=False)
class Exponential(Continuous):
    """Exponential variables, whose density is rate exp(-rate x).

    Parameters
    ----------
    log_rate : array, shape (*batch)
        Logarithm of the rate, which is the inverse of the mean.

    Raises
    ------
    TypeError
        If the parameter is not real.
    ValueError
        If it is not finite, or too large or too small for its exponential to be a normal number of
        its dtype.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.continuous.Exponential(np.log(4.0)).mean())
    0.25
    """

    log_rate: FloatArray

    support: ClassVar[tuple[float, float]] = (0.0, np.inf)

    if TYPE_CHECKING:

        def __init__(self, log_rate: ArrayLike) -> None: ...

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        return stream(random.exponential, self, count, key, offset)

    def transform(self, noise: Noise) -> FloatArray:
        """Turn noise, standard exponential variates, into samples: noise / rate.

        Parameters
        ----------
        noise : array, shape (S, *batch_shape)
            The noise that `noise` returned.

        Returns
        -------
        array, shape (S, *batch_shape)
        """
        return noise * np.exp(-self.log_rate)

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        return {"log_rate": -cotangent * self.transform(noise)}

    def _log_density(self, x: Array) -> Array:
        (log_rate,) = self._double("log_rate")
        return log_rate - np.exp(log_rate) * x

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        return {"log_rate": 1 - noise.astype(np.float64)}

    def _score(self, x: Array) -> dict[str, Array]:
        return {"log_rate": 1 - np.exp(self._double("log_rate")[0]) * x}

    def _entropy(self) -> Array:
        return 1 - self._double("log_rate")[0]

    def _mean(self) -> Array:
        return np.exp(-self.log_rate)

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        return {"log_rate": -cotangent * self._mean()}
