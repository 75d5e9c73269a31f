"""Soft quantiles: what `numpy.quantile` interpolates, of values that are sorted softly."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.order.methods import SORT, Method, Task, product, relaxed, task

__all__ = ["soft_median", "soft_median_vjp", "soft_quantile", "soft_quantile_vjp"]


def soft_quantile(
    values: ArrayLike,
    q: ArrayLike,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
    hard: bool = False,
) -> FloatArray:
    """Compute soft quantiles of each row: linear interpolation between values sorted softly.

    Parameters
    ----------
    values : array, shape (*batch, n)
        Values, float32 or float64, any strides. -inf masks a value: it is left out.
    q : float or array, shape (*levels)
        Levels, from 0 to 1, the same for all rows.
    method, temperature
        As for `soft_sort`.
    hard : bool
        Compute ``numpy.quantile(values, q, axis=-1)`` instead, of the values above -inf;
        `soft_quantile_vjp` is then the straight-through gradient.

    Returns
    -------
    array, shape (*levels, *batch)
        In the dtype of the values.

    Raises
    ------
    ValueError
        If a level is not from 0 to 1; for whatever else `soft_sort` refuses.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = np.array([[3.0, 1.0, 2.0, 9.0]])
    >>> fg.order.soft_quantile(x, [0.0, 0.5], temperature=0.1)
    array([[1. ],
           [2.5]])
    """
    if type(values) is not ndarray and foreign(values):
        return in_kind(soft_quantile, values, locals())
    given = task(values, SORT, method, temperature)
    low, high, part, shape = _places(given, q)
    ordered = relaxed(given, hard).reshape(given.rows.shape)
    below, above = (np.take_along_axis(ordered, i, axis=1) for i in (low, high))
    found = below + (above - below) * part
    return np.ascontiguousarray(found.T, given.rows.dtype).reshape((*shape, *given.batch))


def soft_quantile_vjp(
    values: ArrayLike,
    cotangent: ArrayLike,
    q: ArrayLike,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `soft_quantile`, and sum over levels.

    Parameters
    ----------
    values, q, method, temperature
        As in the forward call.
    cotangent : array, shape (*levels, *batch)
        Derivative of a loss with respect to the quantiles.

    Returns
    -------
    array, shape (*batch, n)
        Gradient with respect to the values, in their dtype; 0 for a masked value.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = np.array([3.0, 1.0, 2.0, 9.0])
    >>> fg.order.soft_quantile_vjp(x, np.array(1.0), 0.5, temperature=0.1)
    array([0.5, 0. , 0.5, 0. ])
    """
    if type(values) is not ndarray and foreign(values):
        return in_kind(soft_quantile_vjp, values, locals())
    given = task(values, SORT, method, temperature)
    low, high, part, shape = _places(given, q)
    n, levels = low.shape
    full = (*shape, *given.batch)
    r = _validate.like(cotangent, full, given.rows.dtype, "cotangent", (levels, n)).T
    spread, row = np.zeros(given.rows.shape, given.rows.dtype), np.arange(n)
    for i in range(levels):  # two levels may meet in one place
        spread[row, low[:, i]] += r[:, i] * (1 - part[:, i])
        spread[row, high[:, i]] += r[:, i] * part[:, i]
    return product(given, spread.reshape(given.shape))


def soft_median(
    values: ArrayLike,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
    hard: bool = False,
) -> FloatArray:
    """Compute the soft median of each row: `soft_quantile` at level 1/2.

    Parameters and results are those of `soft_quantile`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.order.soft_median(np.array([3.0, 1.0, 2.0, 90.0]), temperature=0.01))
    2.5
    """
    return soft_quantile(values, 0.5, method=method, temperature=temperature, hard=hard)


def soft_median_vjp(
    values: ArrayLike,
    cotangent: ArrayLike,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `soft_median`: see `soft_quantile_vjp`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.order.soft_median_vjp(np.array([3.0, 1.0, 2.0]), np.array(1.0), temperature=0.5)
    array([0., 0., 1.])
    """
    return soft_quantile_vjp(values, cotangent, 0.5, method=method, temperature=temperature)


def _places(given: Task, q: ArrayLike) -> tuple[Array, Array, FloatArray, tuple[int, ...]]:
    """Return for each row and level the places that it lies between, how far, and q's shape."""
    levels = _validate.real_array(q, "q").astype(np.float64)
    if not ((levels >= 0) & (levels <= 1)).all():
        bad = levels[~((levels >= 0) & (levels <= 1))][0]
        raise ValueError(f"q must be from 0 to 1, got {bad}")
    n = given.rows.shape[1]
    masked = np.isneginf(given.rows).sum(axis=1, keepdims=True)
    place = (n - masked - 1) * levels.reshape(1, -1)
    low = np.minimum(place.astype(np.intp), np.maximum(n - masked - 2, 0))
    part = (place - low).astype(given.rows.dtype)
    return masked + low, np.minimum(masked + low + 1, n - 1), part, levels.shape
