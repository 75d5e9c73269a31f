"""Densities of the Concrete distribution and of its logarithm."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.normalisation import normaliser


def concrete_log_prob(logits: ArrayLike, x: ArrayLike, *, temperature: ArrayLike) -> FloatArray:
    """Compute the log density of the Concrete distribution at points of the simplex.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf masks a category.
    x : array, shape (S, *batch, K) or (*batch, K)
        Points of the simplex: entries above 0 that sum to 1, but 0 for masked categories.
    temperature : float or array
        Temperature of the distribution: one for all rows, or an array of them that broadcasts to
        the batch shape.

    Returns
    -------
    array, shape (S, *batch) or (*batch)
        Log density with respect to the Lebesgue measure on the first K' - 1 of the K' unmasked
        coordinates, in the dtype of the logits.

    Raises
    ------
    ValueError
        If the logits or the temperature are refused, or a point is not inside the simplex.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.concrete_log_prob(np.zeros(2), np.array([0.5, 0.5]), temperature=1.0))
    0.0

    References
    ----------
    Maddison, Mnih and Teh, "The Concrete distribution", ICLR 2017, equation 10.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(concrete_log_prob, logits, locals())
    x = _validate.real_array(x, "x")
    with np.errstate(divide="ignore", invalid="ignore"):  # refused below, unless masked
        log_x = np.log(x)
    value, allowed = _exp_concrete(logits, log_x, temperature, "x")
    return value - np.sum(log_x, axis=-1, where=allowed)


def exp_concrete_log_prob(
    logits: ArrayLike, log_x: ArrayLike, *, temperature: ArrayLike
) -> FloatArray:
    """Compute the log density of the ExpConcrete distribution: of the logarithms of a sample.

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Unnormalised log probabilities, float32 or float64; -inf masks a category.
    log_x : array, shape (S, *batch, K) or (*batch, K)
        Logarithms of points of the simplex, of logsumexp 0; -inf for masked categories.
    temperature : float or array
        Temperature of the distribution: one for all rows, or an array of them that broadcasts to
        the batch shape.

    Returns
    -------
    array, shape (S, *batch) or (*batch)
        In the dtype of the logits. Finite at any temperature for samples of
        ``gumbel_softmax(..., log=True)``.

    Raises
    ------
    ValueError
        If the logits or the temperature are refused, or a point is not inside the simplex.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.exp_concrete_log_prob(np.zeros(2), np.log([0.5, 0.5]), temperature=1.0).round(4))
    -1.3863

    References
    ----------
    Maddison, Mnih and Teh, "The Concrete distribution", ICLR 2017, equation 22.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(exp_concrete_log_prob, logits, locals())
    return _exp_concrete(logits, log_x, temperature, "log_x")[0]


def _exp_concrete(logits: Any, log_x: Any, temperature: Any, name: str) -> tuple[Array, Array]:
    """Return the ExpConcrete log density and which categories are unmasked."""
    rows, batch = _validate.rows(logits)
    temperature = np.asarray(_validate.temperatures(temperature, batch))
    log_x = _validate.real_array(log_x, name).astype(rows.dtype, copy=False)
    k = rows.shape[1]
    if log_x.shape[-1:] != (k,) or (log_x.shape[:-1] != batch and log_x.shape[1:-1] != batch):
        raise ValueError(
            f"{name} must have shape {(*batch, k)} or (S, *{(*batch, k)}), got {log_x.shape}"
        )
    logits = rows.reshape(*batch, k)
    allowed = np.broadcast_to(logits > -np.inf, log_x.shape)
    inside = np.isfinite(log_x) | ~allowed
    if not inside.all():
        bad = tuple(int(i) for i in np.argwhere(~inside)[0])
        raise ValueError(
            f"{name} must be inside the simplex where logits are finite, but not at index {bad}"
        )
    # Relative to the row's largest logit, and then to the largest exponent: no shift matters.
    logits = logits - logits.max(axis=-1, keepdims=True)
    exponent = np.subtract(
        logits,
        temperature[..., None].astype(rows.dtype) * log_x,
        where=allowed,
        out=np.full(log_x.shape, -np.inf, rows.dtype),
    )
    n = allowed.sum(axis=-1)
    top, log_sum = normaliser(_validate.frozen(exponent.reshape(-1, k)))
    top, log_sum = (a.reshape(log_x.shape[:-1]) for a in (top, log_sum))
    value = (
        scipy.special.gammaln(n)
        + (n - 1) * np.log(temperature)
        + np.subtract(exponent, top[..., None]).sum(axis=-1, where=allowed)
        - n * log_sum
    )
    return value.astype(rows.dtype), allowed
