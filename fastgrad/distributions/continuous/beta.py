"""Beta variables: the first of two Dirichlet shares, of which either may be close to 0."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Continuous, Noise
from fastgrad.distributions.continuous.dirichlet import (
    entropy,
    log_density,
    replace_by_scores,
)
from fastgrad.distributions.continuous.gamma import log_gamma_draws, log_gamma_slopes
from fastgrad.kernels.distributions.continuous import dirichlet_density as _density
from fastgrad.random import Key

__all__ = ["Beta"]


@dataclasses.dataclass(frozen=True, eq=False)
class Beta(Continuous):
    """Beta variables, whose density is proportional to x^(alpha - 1) (1 - x)^(beta - 1).

    Parameters
    ----------
    log_alpha, log_beta : array, shape (*batch)
        Logarithms of the two shapes.

    Raises
    ------
    TypeError
        If a parameter is not real.
    ValueError
        If the parameters differ in shape, are not finite, or are too large or too small for their
        exponentials to be normal numbers of their dtype.

    Notes
    -----
    A sample closer to 0 or 1 than its dtype can tell is replaced by the nearest number inside
    (0, 1); this is common for shapes below 0.3. Two options give what is lost:
    ``sample(..., log=True)`` returns log x, and ``sample(..., complement=True)`` returns 1 - x in
    place of x. Both together return log(1 - x), and the same ``rng`` gives the same variates. Of
    the two logarithms the lower one has all digits; the other may round to 0. The score of
    samples, `transform_score`, is not affected.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.continuous.Beta(np.log(3.0), 0.0).mean().round(6))
    0.75

    Half of the samples of this distribution differ from 1 by less than 1e-16:

    >>> d = fg.continuous.Beta(np.log(1e-3), np.log(1e-3))
    >>> log_complement = d.sample(num_samples=100, rng=0, log=True, complement=True)
    >>> bool((log_complement < -1000).any())
    True
    """

    log_alpha: FloatArray
    log_beta: FloatArray

    support: ClassVar[tuple[float, float]] = (0.0, 1.0)

    if TYPE_CHECKING:

        def __init__(self, log_alpha: ArrayLike, log_beta: ArrayLike) -> None: ...

    def _shapes(self) -> list[Array]:
        return [np.exp(log) for log in self._double("log_alpha", "log_beta")]

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        keys = key.split(2)
        return tuple(log_gamma_draws(a, count, k, offset) for a, k in zip(self._shapes(), keys))

    def transform(self, noise: Noise, *, log: bool = False, complement: bool = False) -> FloatArray:
        """Turn noise, the logarithms of two gamma variates, into samples.

        Parameters
        ----------
        noise : tuple of two arrays
            The noise that `noise` returned.
        log : bool
            Whether to return the logarithms of the samples, which are not clipped.
        complement : bool
            Whether to return 1 - x, or its logarithm, in place of x.

        Returns
        -------
        array, shape (S, *batch_shape)
        """
        logit = noise[1] - noise[0] if complement else noise[0] - noise[1]
        if log:
            return scipy.special.log_expit(logit).astype(self.dtype)
        x = np.asarray(scipy.special.expit(logit, out=logit))
        low, high = np.finfo(self.dtype).tiny, np.nextafter(self.dtype.type(1), self.dtype.type(0))
        return np.clip(x, low, high, out=x).astype(self.dtype, copy=False)

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        gap = noise[0] - noise[1]
        grad = cotangent * (scipy.special.expit(gap) * scipy.special.expit(-gap))
        up, down = (log_gamma_slopes(a, log) for a, log in zip(self._shapes(), noise))
        return {"log_alpha": grad * up, "log_beta": -grad * down}

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        shares = np.empty((2, *noise[0].shape))
        own, other = shares.reshape(2, -1)
        first, second = (_validate.real_array(x, "noise").reshape(-1) for x in noise)
        _density.shares_of_gammas(first, second, own, other)
        return self._score_at(shares)

    def log_prob(self, x: ArrayLike, *, log: bool = False, complement: bool = False) -> FloatArray:
        """Evaluate the logarithm of the density.

        Parameters
        ----------
        x : array, shape (*batch_shape) or (S, *batch_shape)
            The points; see the options.
        log : bool
            Whether x holds logarithms. The density is that of the variable itself in either case.
        complement : bool
            Whether x holds 1 - x, or its logarithm, in place of x.

        Returns
        -------
        array, shape (*batch_shape) or (S, *batch_shape)
            The log density, -inf outside the support.
        """
        points = self._points(x)
        value = log_density(self._log_shapes(), self._log_shares(points, log, complement))
        np.copyto(value, -np.inf, where=points > 0 if log else self._outside(points))
        return value.astype(self.dtype, copy=False)[()]

    def score(
        self, x: ArrayLike, *, log: bool = False, complement: bool = False
    ) -> dict[str, FloatArray]:
        """Differentiate the log density at given points, by the parameters.

        Parameters
        ----------
        x : array, shape (*batch_shape) or (S, *batch_shape)
            The points; see the options.
        log : bool
            Whether x holds logarithms.
        complement : bool
            Whether x holds 1 - x, or its logarithm, in place of x.

        Returns
        -------
        dict of arrays, shape (*batch_shape) or (S, *batch_shape)
            The derivatives, by the parameters' names: the limits at 0 and 1, NaN outside.
        """
        shares = self._log_shares(self._points(x), log, complement)
        return self._cast(self._score_at(np.ascontiguousarray(np.moveaxis(shares, -1, 0))))

    def _log_shapes(self) -> Array:
        return np.stack(self._double("log_alpha", "log_beta"), axis=-1)

    def _log_shares(self, points: Array, log: bool, complement: bool) -> Array:
        """Return the logarithms of x and 1 - x along a last axis, NaN where x is not in (0, 1)."""
        out = np.empty((*points.shape, 2))
        _density.shares(points.reshape(-1), log, complement, out.reshape(-1, 2))
        return out

    def _score_at(self, log_shares: Array) -> dict[str, Array]:
        """Return the score at log x and log(1 - x), (2, *shape), which are overwritten."""
        replace_by_scores(self._log_shapes(), log_shares)
        return {"log_alpha": log_shares[0], "log_beta": log_shares[1]}

    def _entropy(self) -> Array:
        return entropy(self._log_shapes())

    def _mean(self) -> Array:
        return scipy.special.expit(self.log_alpha - self.log_beta)

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        mean = self._mean()
        grad = cotangent * mean * (1 - mean)
        return {"log_alpha": grad, "log_beta": -grad}
