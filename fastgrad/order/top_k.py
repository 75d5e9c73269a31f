"""Soft selection: marks from 0 to 1 of the k largest values of each row."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.order.methods import TOP_K, Method, Task, product, relaxed, task

__all__ = ["soft_top_k", "soft_top_k_vjp"]


def soft_top_k(
    values: ArrayLike,
    k: int,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
    hard: bool = False,
) -> FloatArray:
    """Mark the k largest values of each row softly: marks from 0 to 1 whose sum is k.

    Parameters
    ----------
    values : array, shape (*batch, n)
        Values, float32 or float64, any strides. -inf masks a value: its mark is 0.
    k : int
        How many: at most the number of values above -inf in every row.
    method : {"quadratic", "entropic", "laplace"}
        How to relax. The quadratic and entropic results are projections of ``values / temperature``
        onto the marks of sum k: quadratic marks may be exactly 0 and 1, entropic ones exactly 1.
        The laplace marks are ``F((x_i - b) / temperature)``, F the standard Laplace distribution
        function and b such that they have the sum k. As the temperature goes to infinity all marks
        become k / n.
    temperature : float
        Above 0, in units of the values.
    hard : bool
        Mark the k largest with 1 and others with 0, and of equal values the first;
        `soft_top_k_vjp` is then the straight-through gradient.

    Returns
    -------
    array, shape (*batch, n)
        In the dtype of the values.

    Raises
    ------
    ValueError
        If values hold NaN or +inf, or a row of fewer than k values above -inf; if the temperature
        is not from 2**-60 to 2**60, or the method is not known.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.order.soft_top_k(np.array([5.0, 1.0, 4.5]), 1)
    array([0.75, 0.  , 0.25])

    References
    ----------
    Struski, Bednarczyk, Podolak and Tabor, "LapSum: one method to differentiate them all", ICML
    2025.
    Blondel, Teboul, Berthet and Djolonga, "Fast differentiable sorting and ranking", ICML 2020.
    """
    if type(values) is not ndarray and foreign(values):
        return in_kind(soft_top_k, values, locals())
    return relaxed(selection(values, k, method, temperature), hard)


def soft_top_k_vjp(
    values: ArrayLike,
    cotangent: ArrayLike,
    k: int,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `soft_top_k`.

    Parameters
    ----------
    values, k, method, temperature
        As in the forward call.
    cotangent : array, shape (*batch, n)
        Derivative of a loss with respect to the marks.

    Returns
    -------
    array, shape (*batch, n)
        Gradient with respect to the values, in their dtype; 0 for a masked value.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.order.soft_top_k_vjp(np.array([5.0, 1.0, 4.5]), np.array([1.0, 0.0, 0.0]), 1)
    array([ 0.5,  0. , -0.5])
    """
    if type(values) is not ndarray and foreign(values):
        return in_kind(soft_top_k_vjp, values, locals())
    return product(selection(values, k, method, temperature), cotangent)


def selection(values: ArrayLike, k: int, method: str, temperature: float) -> Task:
    """Check what a selection of k was given, and return it as a Task."""
    k = _validate.integer(k, "k", 1)
    given = task(values, TOP_K, method, temperature, k=k)
    support = given.rows.shape[1] - np.isneginf(given.rows).sum(axis=1)
    if given.rows.size and support.min() < k:
        raise ValueError(
            f"k must be at most the number of values above -inf, {support.min()} in row "
            f"{int(support.argmin())}, got {k}"
        )
    return given
