"""Normal vectors with a full covariance matrix."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate, random
from fastgrad.distributions.continuous._base import Continuous
from fastgrad.distributions.continuous.location_scale import stream
from fastgrad.kernels.distributions.continuous import multivariate_normal as _kernels

__all__ = ["MultivariateNormal"]


@dataclasses.dataclass(frozen=True, eq=False)
class MultivariateNormal(Continuous):
    """Normal vectors x = loc + scale_tril z, whose covariance is scale_tril scale_tril^T.

    Parameters
    ----------
    loc : array, shape (*batch, D)
    scale_tril : array, shape (*batch, D, D)
        Lower triangular, with a positive diagonal; gradients by it are lower triangular too.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.MultivariateNormal(np.zeros(2), np.array([[1.0, 0.0], [0.5, 2.0]]))
    >>> d.sample(num_samples=4, rng=0).shape, float(d.entropy().round(4))
    ((4, 2), 3.531)
    """

    loc: np.ndarray
    scale_tril: np.ndarray

    event_rank = 1

    def _check(self):
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

    def _diagonal(self):
        return np.diagonal(self.scale_tril, axis1=-2, axis2=-1)

    def _noise(self, count, key, offset):
        return stream(random.normal, self, count, key, offset)

    def transform(self, noise):
        """Make samples of noise: loc + scale_tril noise."""
        loc = self.loc.reshape(-1, self.loc.shape[-1])
        return self._rows(_kernels.affine, self.dtype, noise, loc)

    def _rows(self, kernel, dtype, x, *arrays):
        """Return what a kernel makes of each vector of x, (S, *batch, D), and its matrix."""
        d = self.loc.shape[-1]
        scale, x = (_validate.real_array(a, "x") for a in (self.scale_tril.astype(dtype), x))
        out = np.empty(x.shape, dtype)
        kernel(*arrays, scale.reshape(-1, d, d), x.reshape(-1, d), out.reshape(-1, d))
        return out

    def _transform_vjp(self, noise, cotangent):
        outer = cotangent[..., :, None] * noise[..., None, :]
        return {"loc": cotangent, "scale_tril": np.tril(outer)}

    def _whitened(self, x):
        """Return the noise of points, in float64."""
        return self._rows(_kernels.solve, np.float64, x - self.loc)

    def _log_density(self, x):
        z, diagonal = self._whitened(x), self._diagonal().astype(np.float64)
        constant = 0.5 * np.log(2 * np.pi) * x.shape[-1] + np.log(diagonal).sum(axis=-1)
        return -0.5 * (z * z).sum(axis=-1) - constant

    def _score(self, x):
        z = self._whitened(x)
        loc = self._rows(_kernels.solve_transposed, np.float64, z)
        outer = np.tril(loc[..., :, None] * z[..., None, :])
        index = np.arange(x.shape[-1])
        outer[..., index, index] -= 1 / self._diagonal().astype(np.float64)
        return {"loc": loc, "scale_tril": outer}

    def _entropy(self):
        constant = 0.5 * np.log(2 * np.pi * np.e) * self.loc.shape[-1]
        return constant + np.log(self._diagonal()).sum(axis=-1)

    def _mean(self):
        return self.loc

    def _mean_vjp(self, cotangent):
        return {"loc": cotangent, "scale_tril": np.zeros(self.scale_tril.shape)}
