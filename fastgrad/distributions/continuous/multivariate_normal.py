"""Normal vectors with a full covariance matrix."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from fastgrad import _validate, random
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Continuous, Noise
from fastgrad.distributions.continuous.location_scale import stream
from fastgrad.kernels.distributions.continuous import multivariate_normal as _kernels
from fastgrad.random import Key

__all__ = ["MultivariateNormal"]


@dataclasses.dataclass(frozen=True, eq=False)
class MultivariateNormal(Continuous):
    """Normal vectors x = loc + scale_tril z, whose covariance is scale_tril scale_tril^T.

    Parameters
    ----------
    loc : array, shape (*batch, D)
        The mean vectors, D >= 1.
    scale_tril : array, shape (*batch, D, D)
        Lower triangular matrices with positive diagonals, Cholesky factors of the covariances.
        Gradients with respect to it are lower triangular too.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters do not have these shapes, are not finite, or scale_tril is not lower
        triangular with a positive diagonal.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.MultivariateNormal(np.zeros(2), np.array([[1.0, 0.0], [0.5, 2.0]]))
    >>> d.sample(num_samples=4, rng=0).shape, float(d.entropy().round(4))
    ((4, 2), 3.531)
    """

    loc: FloatArray
    scale_tril: FloatArray

    event_rank = 1

    if TYPE_CHECKING:

        def __init__(self, loc: ArrayLike, scale_tril: ArrayLike) -> None: ...

    def _check(self) -> None:
        loc, scale = self.loc, self.scale_tril
        if loc.ndim == 0 or loc.shape[-1] == 0:
            raise ValueError(f"loc must have shape (*batch, D) with D >= 1, got {loc.shape}")
        if scale.shape != (*loc.shape, loc.shape[-1]):
            raise ValueError(
                f"scale_tril must have shape {(*loc.shape, loc.shape[-1])}, got {scale.shape}"
            )
        if np.triu(scale, 1).any():
            raise ValueError("scale_tril must be lower triangular")
        diagonal = self._diagonal()
        if not (diagonal > 0).all():
            raise ValueError(f"scale_tril must have a positive diagonal, got {diagonal.min()}")

    def _diagonal(self) -> Array:
        return np.diagonal(self.scale_tril, axis1=-2, axis2=-1)

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        return stream(random.normal, self, count, key, offset)

    def transform(self, noise: Noise) -> FloatArray:
        """Turn noise, standard normal variates, into samples: loc + scale_tril noise.

        Parameters
        ----------
        noise : array, shape (S, *batch_shape, D)
            The noise that `noise` returned.

        Returns
        -------
        array, shape (S, *batch_shape, D)
        """
        loc = self.loc.reshape(-1, self.loc.shape[-1])
        return self._rows(_kernels.affine, self.dtype, noise, loc)

    def _rows(self, kernel: Callable[..., Any], dtype: Any, x: Array, *arrays: Array) -> Array:
        """Return what a kernel makes of each vector of x, (S, *batch, D), and its matrix."""
        d = self.loc.shape[-1]
        scale, x = (_validate.real_array(a, "x") for a in (self.scale_tril.astype(dtype), x))
        out = np.empty(x.shape, dtype)
        kernel(*arrays, scale.reshape(-1, d, d), x.reshape(-1, d), out.reshape(-1, d))
        return out

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        outer = cotangent[..., :, None] * noise[..., None, :]
        return {"loc": cotangent, "scale_tril": np.tril(outer)}

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        return self._score_at(noise.astype(np.float64))

    def _whitened(self, x: Array) -> Array:
        """Return the noise of points, in float64."""
        return self._rows(_kernels.solve, np.float64, x - self.loc)

    def _log_density(self, x: Array) -> Array:
        z = self._whitened(x)
        return (
            -0.5 * (z * z).sum(axis=-1) - self._log_volume() - 0.5 * np.log(2 * np.pi) * z.shape[-1]
        )

    def _log_volume(self) -> Array:
        """Return the log of the determinant of scale_tril, in float64."""
        return np.log(self._diagonal().astype(np.float64)).sum(axis=-1)

    def _score(self, x: Array) -> dict[str, Array]:
        return self._score_at(self._whitened(x))

    def _score_at(self, z: Array) -> dict[str, Array]:
        loc = self._rows(_kernels.solve_transposed, np.float64, z)
        outer = np.tril(loc[..., :, None] * z[..., None, :])
        index = np.arange(z.shape[-1])
        outer[..., index, index] -= 1 / self._diagonal().astype(np.float64)
        return {"loc": loc, "scale_tril": outer}

    def _entropy(self) -> Array:
        constant = 0.5 * np.log(2 * np.pi * np.e) * self.loc.shape[-1]
        return constant + self._log_volume()

    def _mean(self) -> Array:
        return self.loc

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        return {"loc": cotangent, "scale_tril": np.zeros(self.scale_tril.shape)}
