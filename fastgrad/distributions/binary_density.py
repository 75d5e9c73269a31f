"""Densities of the binary Concrete distribution, of its samples and of their log odds."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray

__all__ = ["concrete_log_prob", "exp_concrete_log_prob"]


def concrete_log_prob(logits: ArrayLike, x: ArrayLike, *, temperature: ArrayLike) -> FloatArray:
    """Compute the log density of the binary Concrete distribution at points between 0 and 1.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, float32 or float64; infinite where the outcome is certain.
    x : array, shape (S, *batch) or (*batch)
        Points above 0 and below 1; also 0 and 1 where a logit is infinite.
    temperature : float or array
        Temperature of the distribution: one for all variables, or an array of them that broadcasts
        to the shape of the logits.

    Returns
    -------
    array, the shape of x
        In the dtype of the logits. For an infinite logit, 0 at the certain outcome (0 or 1) and
        -inf elsewhere.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.bernoulli.concrete_log_prob(np.array(0.0), np.array(0.5), temperature=1.0))
    0.0

    References
    ----------
    Maddison, Mnih and Teh, "The Concrete distribution", ICLR 2017, appendix B.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(concrete_log_prob, logits, locals())
    sites, x, certain = _points(logits, x, "x")
    temperature = _validate.temperatures(temperature, np.shape(logits))
    inside = np.where(certain, (x >= 0) & (x <= 1), (x > 0) & (x < 1))
    _check(inside, "x must be above 0 and below 1, or 0 or 1 where a logit is infinite")
    with np.errstate(divide="ignore", invalid="ignore"):
        log_x, log_rest = np.log(x), np.log1p(-x)
        value = _logistic(sites, log_x - log_rest, temperature)
        return np.where(certain, value, value - log_x - log_rest)


def exp_concrete_log_prob(
    logits: ArrayLike, log_odds: ArrayLike, *, temperature: ArrayLike
) -> FloatArray:
    """Compute the log density of the log odds of a binary Concrete sample, a logistic density.

    Parameters
    ----------
    logits : array, shape (*batch)
        Log odds of the outcome 1, float32 or float64; infinite where the outcome is certain.
    log_odds : array, shape (S, *batch) or (*batch)
        Log odds, as ``gumbel_softmax(..., log=True)`` draws them.
    temperature : float or array
        Temperature of the distribution: one for all variables, or an array of them that broadcasts
        to the shape of the logits.

    Returns
    -------
    array, the shape of log_odds
        In the dtype of the logits. For an infinite logit, 0 at that infinity and -inf elsewhere.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, z = np.array(0.0), np.array(0.0)
    >>> float(fg.bernoulli.exp_concrete_log_prob(logits, z, temperature=1.0).round(4))
    -1.3863

    References
    ----------
    Maddison, Mnih and Teh, "The Concrete distribution", ICLR 2017, appendix B.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(exp_concrete_log_prob, logits, locals())
    sites, z, certain = _points(logits, log_odds, "log_odds")
    temperature = _validate.temperatures(temperature, np.shape(logits))
    _check(np.isfinite(z) | (certain & ~np.isnan(z)), "log_odds must be finite where logits are")
    return _logistic(sites, z, temperature)


def _points(logits: Any, x: Any, name: str) -> tuple[Array, Array, Array]:
    """Check logits and points; return both in the shape of the points, and where x is certain."""
    sites, batch = _validate.sites(logits)
    x = _validate.real_array(x, name).astype(sites.dtype, copy=False)
    if x.shape != batch and x.shape[1:] != batch:
        raise ValueError(f"{name} must have shape {batch} or (S, *{batch}), got {x.shape}")
    sites = np.broadcast_to(sites.reshape(batch), x.shape)
    return sites, x, np.isinf(sites)


def _check(good: Array, message: str) -> None:
    if not good.all():
        raise ValueError(f"{message}, but not at index {tuple(np.argwhere(~good)[0].tolist())}")


def _logistic(sites: Array, z: Array, temperature: Any) -> Array:
    """Log density of z, where temperature z - logits is standard logistic."""
    temperature = np.asarray(temperature)
    with np.errstate(invalid="ignore"):
        gap = abs(sites - temperature.astype(sites.dtype) * z)
    value = np.log(temperature) - gap - 2 * np.log1p(np.exp(-gap))
    return np.where(np.isinf(sites), np.where(z == sites, 0, -np.inf), value).astype(sites.dtype)
