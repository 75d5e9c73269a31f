"""Dirichlet variables, and the density that they and beta variables share."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import scipy

from fastgrad import _marks, _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.continuous._base import Continuous, Noise, exp_within
from fastgrad.distributions.continuous.gamma import log_gamma_draws, log_gamma_slopes
from fastgrad.distributions.continuous.stirling import (
    HALF_LOG_2PI,
    digamma_gap,
    flat,
    log_gamma_remainder,
)
from fastgrad.kernels.distributions import categorical as _categorical
from fastgrad.kernels.distributions.continuous import dirichlet_density as _density
from fastgrad.random import Key

__all__ = ["Dirichlet"]


def log_normalised(y: Array) -> Array:
    """Return y - log(sum(exp(y))), of which the largest keeps its digits however close to 0."""
    out = np.empty(y.shape)
    rows = _validate.real_array(y, "y").reshape(-1, y.shape[-1])
    _marks.checking(_categorical.log_softmax, rows, None, out.reshape(rows.shape))
    return out


def log_density(log_a: Array, log_x: Array) -> Array:
    """Return the log density of shares (..., K), given as logarithms, with concentrations a."""
    k = log_a.shape[-1]
    log_a = log_a.reshape(-1, k)
    a, constant, out = np.exp(log_a), np.empty(len(log_a)), np.empty(log_x.shape[:-1])
    _density.constants(log_a, a, constant)
    rows = _validate.real_array(log_x, "x").reshape(-1, k)
    _density.log_prob(rows, *flat(a, log_normalised(log_a)), constant, out.reshape(-1))
    return out


def log_score(log_a: Array, log_x: Array) -> Array:
    """Return the derivative of `log_density` by log_a."""
    out = np.empty(log_x.shape)
    points = _validate.real_array(log_x, "x").reshape(-1)
    _density.score(points, *flat(*_of_score(log_a)), out.reshape(-1))
    return out


def replace_by_scores(log_a: Array, log_x: Array) -> None:
    """Put `log_score` in place of shares whose components are the first axis, (K, *shape)."""
    for x, *own in zip(log_x.reshape(len(log_x), -1), *(each.T for each in _of_score(log_a))):
        _density.score(x, *flat(*own), x)


def _of_score(log_a: Array) -> tuple[Array, Array, Array]:
    """Return what the score has of the parameters, each (N, K)."""
    log_a = log_a.reshape(-1, log_a.shape[-1])
    a, gap = np.exp(log_a), np.empty(log_a.shape)
    _density.gaps(a, gap)
    return a, log_normalised(log_a), gap


def entropy(log_a: Array) -> Array:
    """Return the differential entropy of shares with concentrations a, (..., K)."""
    a, k = np.exp(log_a), log_a.shape[-1]
    total = a.sum(axis=-1)
    terms = 0.5 * log_a + log_gamma_remainder(a) + (a - 1) * digamma_gap(a)
    whole = log_gamma_remainder(total) + (total - k) * digamma_gap(total)
    return terms.sum(axis=-1) - whole - (k - 0.5) * np.log(total) + (k - 1) * HALF_LOG_2PI


@dataclasses.dataclass(frozen=True, eq=False)
class Dirichlet(Continuous):
    """Dirichlet variables: vectors of K positive numbers that sum to 1.

    The density is proportional to the product of x_k^(concentration_k - 1).

    Parameters
    ----------
    log_concentration : array, shape (*batch, K)
        Logarithms of the concentrations, K >= 1.

    Raises
    ------
    TypeError
        If the parameter is not real.
    ValueError
        If it has no last axis or no components, is not finite, or is too large or too small for
        its exponential to be a normal number of its dtype.

    Notes
    -----
    A component below the smallest normal number of its dtype is replaced by that number; this is
    common for concentrations below 0.1. ``sample(..., log=True)`` returns the logarithms of the
    samples, which are not clipped. The score of samples, `transform_score`, is not affected.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Dirichlet(np.log([1.0, 2.0, 5.0]))
    >>> d.batch_shape, d.mean()
    ((), array([0.125, 0.25 , 0.625]))
    >>> float(d.log_prob([0.2, 0.3, 0.5]).round(6))
    1.370546
    """

    log_concentration: FloatArray

    event_rank = 1
    support: ClassVar[tuple[float, float]] = (0.0, 1.0)

    if TYPE_CHECKING:

        def __init__(self, log_concentration: ArrayLike) -> None: ...

    def _noise(self, count: int, key: Key, offset: int) -> Noise:
        (log_a,) = self._double("log_concentration")
        return log_gamma_draws(np.exp(log_a), count, key, offset)

    def transform(self, noise: Noise, *, log: bool = False) -> FloatArray:
        """Turn noise, the logarithms of gamma variates, into samples.

        Parameters
        ----------
        noise : array
            The noise that `noise` returned.
        log : bool
            Whether to return the logarithms of the samples, which are not clipped.

        Returns
        -------
        array, shape (S, *batch_shape, K)
        """
        if log:
            return log_normalised(noise).astype(self.dtype)
        return exp_within(scipy.special.log_softmax(noise, axis=-1), self.dtype)

    def _transform_vjp(self, noise: Noise, cotangent: Array) -> dict[str, Array]:
        (log_a,) = self._double("log_concentration")
        x = scipy.special.softmax(noise, axis=-1)
        centred = cotangent - (x * cotangent).sum(axis=-1, keepdims=True)
        return {"log_concentration": x * centred * log_gamma_slopes(np.exp(log_a), noise)}

    def _transform_score(self, noise: Noise) -> dict[str, Array]:
        return self._score_at(log_normalised(noise))

    def log_prob(self, x: ArrayLike, *, log: bool = False) -> FloatArray:
        """Evaluate the logarithm of the density, by the first K - 1 components.

        Parameters
        ----------
        x : array, shape (*batch_shape, K) or (S, *batch_shape, K)
            Points on the simplex, or with log=True their logarithms. They are divided by their
            sum, so that rounding does not take them off the simplex.
        log : bool
            Whether x holds logarithms. The density is that of the variable itself in either case.

        Returns
        -------
        array, shape (*batch_shape) or (S, *batch_shape)

        Raises
        ------
        ValueError
            If a component is negative, or the components do not sum to 1 within 1e-9 (1e-5 where
            x is float32): as in `scipy.stats.dirichlet`, such points have no density.
        """
        (log_a,) = self._double("log_concentration")
        with np.errstate(all="ignore"):
            value = log_density(log_a, self._log_shares(x, log))
        return value.astype(self.dtype)[()]

    def score(self, x: ArrayLike, *, log: bool = False) -> dict[str, FloatArray]:
        """Differentiate the log density at given points, by the parameters.

        Parameters
        ----------
        x : array, shape (*batch_shape, K) or (S, *batch_shape, K)
            Points on the simplex, or with log=True their logarithms, divided by their sum.
        log : bool
            Whether x holds logarithms.

        Returns
        -------
        dict of arrays, shape (*batch_shape, K) or (S, *batch_shape, K)
            The derivatives, by the parameters' names: -inf for a component that is 0.

        Raises
        ------
        ValueError
            If a point is off the simplex, as for `log_prob`.
        """
        with np.errstate(all="ignore"):
            return self._cast(self._score_at(self._log_shares(x, log)))

    def _score_at(self, log_x: Array) -> dict[str, Array]:
        (log_a,) = self._double("log_concentration")
        return {"log_concentration": log_score(log_a, log_x)}

    def _log_shares(self, x: ArrayLike, log: bool) -> Array:
        """Return the logarithms of points, checked and normalised."""
        single = getattr(x, "dtype", None) == np.float32
        points = self._points(x)
        shares = np.exp(points) if log else points
        # A product is many times faster than sums over so few numbers.
        total = shares.reshape(-1, shares.shape[-1]) @ np.ones(shares.shape[-1])
        on = np.asarray(np.abs(total - 1) <= (1e-5 if single else 1e-9))
        if not on.all() or not (shares >= 0).all():
            column = (*shares.shape[:-1], 1)
            off = ~(on.reshape(column) & (shares >= 0))
            total = np.broadcast_to(total.reshape(column), shares.shape)
            index = np.unravel_index(np.argmax(off), off.shape)
            raise ValueError(
                f"{'exp(x)' if log else 'x'} must be at least 0 and sum to 1 over its last axis, "
                f"got {shares[index]} in a sum of {total[index]} at index "
                f"{tuple(int(i) for i in index)}"
            )
        return log_normalised(points if log else np.log(points))

    def _entropy(self) -> Array:
        return entropy(*self._double("log_concentration"))

    def _mean(self) -> Array:
        return scipy.special.softmax(self.log_concentration, axis=-1)

    def _mean_vjp(self, cotangent: Array) -> dict[str, Array]:
        mean = self._mean()
        return {"log_concentration": mean * (cotangent - (mean * cotangent).sum(-1, keepdims=True))}
