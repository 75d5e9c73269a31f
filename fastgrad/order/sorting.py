"""Soft sorting: the values of each row in order, as a function whose gradients say something."""

from __future__ import annotations

from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.order.methods import SORT, Method, product, relaxed, task

__all__ = ["soft_sort", "soft_sort_vjp"]


def soft_sort(
    values: ArrayLike,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
    descending: bool = False,
    hard: bool = False,
) -> FloatArray:
    """Sort each row softly: as the temperature goes to 0, the result becomes the sorted row.

    Parameters
    ----------
    values : array, shape (*batch, n)
        Values, float32 or float64, any strides. -inf masks a value: it is left out, and stands in
        the result where sorting puts it.
    method : {"quadratic", "entropic", "laplace"}
        How to relax. The quadratic and entropic results are projections of ``(n, ..., 1) /
        temperature`` onto the polytope of all permutations of a row (of their exponentials, for
        "entropic": the result is the logarithm); at high temperatures all become the mean (the
        log-mean-exp, and its mirror image where the order is ascending). The laplace result i
        solves ``sum over j of F((y_i - x_j) / temperature) = i - 1/2``, F the standard Laplace
        distribution function: at high temperatures it spreads out.
    temperature : float
        Above 0. Its inverse is in units of the values for the quadratic and entropic methods: where
        no two neighbours in the order are further apart than that, the quadratic result is exact.
        For the laplace method the temperature itself is in units of the values.
    descending : bool
        From the largest down.
    hard : bool
        Sort exactly instead; `soft_sort_vjp` is then the straight-through gradient.

    Returns
    -------
    array, shape (*batch, n)
        In the dtype of the values: the same bits for any number of threads.

    Raises
    ------
    ValueError
        If values hold NaN or +inf, or a row of nothing but -inf; if the temperature is not from
        2**-60 to 2**60, or the method is not known.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.order.soft_sort(np.array([5.0, 1.0, 2.0])).round(3)
    array([1.667, 2.667, 3.667])
    >>> fg.order.soft_sort(np.array([5.0, 1.0, 2.0]), temperature=0.1)
    array([1., 2., 5.])

    References
    ----------
    Blondel, Teboul, Berthet and Djolonga, "Fast differentiable sorting and ranking", ICML 2020.
    Struski, Bednarczyk, Podolak and Tabor, "LapSum: one method to differentiate them all", ICML
    2025.
    """
    if type(values) is not ndarray and foreign(values):
        return in_kind(soft_sort, values, locals())
    return relaxed(task(values, SORT, method, temperature, descending=descending), hard)


def soft_sort_vjp(
    values: ArrayLike,
    cotangent: ArrayLike,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
    descending: bool = False,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `soft_sort`.

    Parameters
    ----------
    values, method, temperature, descending
        As in the forward call.
    cotangent : array, shape (*batch, n)
        Derivative of a loss with respect to the sorted values.

    Returns
    -------
    array, shape (*batch, n)
        Gradient with respect to the values, in their dtype; 0 for a masked value.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x, r = np.array([5.0, 1.0, 2.0]), np.array([1.0, 0.0, 0.0])
    >>> fg.order.soft_sort_vjp(x, r, temperature=0.1)
    array([0., 1., 0.])
    >>> fg.order.soft_sort_vjp(x, r).round(3)
    array([0.333, 0.333, 0.333])
    """
    if type(values) is not ndarray and foreign(values):
        return in_kind(soft_sort_vjp, values, locals())
    return product(task(values, SORT, method, temperature, descending=descending), cotangent)
