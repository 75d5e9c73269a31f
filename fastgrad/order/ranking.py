"""Soft ranking: the place of each value in the order of its row, relaxed."""

from __future__ import annotations

from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.order.methods import RANK, Method, product, relaxed, task

__all__ = ["soft_rank", "soft_rank_vjp"]


def soft_rank(
    values: ArrayLike,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
    descending: bool = False,
    hard: bool = False,
) -> FloatArray:
    """Rank the values of each row softly, from 1 for the least.

    Parameters
    ----------
    values : array, shape (*batch, n)
        Values, float32 or float64, any strides. -inf masks a value: it is left out, and its rank is
        0.
    method : {"quadratic", "entropic", "laplace"}
        How to relax. The quadratic and entropic results are projections of ``values / temperature``
        onto the polytope of all permutations of 1, ..., n: differences of values that are above the
        temperature rank exactly with the quadratic method. The laplace rank of value i is
        ``1 + sum over j other than i of F((x_i - x_j) / temperature)``, F the standard Laplace
        distribution function. As the temperature goes to infinity all ranks become (n + 1) / 2.
    temperature : float
        Above 0, in units of the values.
    descending : bool
        From 1 for the largest.
    hard : bool
        Rank exactly instead, and of equal values the first first; `soft_rank_vjp` is then the
        straight-through gradient. Soft ranks of equal values are equal.

    Returns
    -------
    array, shape (*batch, n)
        In the dtype of the values; the ranks of n values, none masked, have the sum n (n + 1) / 2.

    Raises
    ------
    ValueError
        If values hold NaN or +inf, or a row of nothing but -inf; if the temperature is not from
        2**-60 to 2**60, or the method is not known.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.order.soft_rank(np.array([5.0, 1.0, 2.0]), temperature=2.0)
    array([3.  , 1.25, 1.75])
    >>> fg.order.soft_rank(np.array([5.0, 1.0, 2.0]), temperature=1.0)
    array([3., 1., 2.])

    References
    ----------
    Blondel, Teboul, Berthet and Djolonga, "Fast differentiable sorting and ranking", ICML 2020.
    Struski, Bednarczyk, Podolak and Tabor, "LapSum: one method to differentiate them all", ICML
    2025.
    """
    if type(values) is not ndarray and foreign(values):
        return in_kind(soft_rank, values, locals())
    return relaxed(task(values, RANK, method, temperature, descending=descending), hard)


def soft_rank_vjp(
    values: ArrayLike,
    cotangent: ArrayLike,
    *,
    method: Method = "quadratic",
    temperature: float = 1.0,
    descending: bool = False,
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `soft_rank`.

    Parameters
    ----------
    values, method, temperature, descending
        As in the forward call.
    cotangent : array, shape (*batch, n)
        Derivative of a loss with respect to the ranks.

    Returns
    -------
    array, shape (*batch, n)
        Gradient with respect to the values, in their dtype; 0 for a masked value.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x, r = np.array([5.0, 1.0, 2.0]), np.array([0.0, 1.0, 0.0])
    >>> fg.order.soft_rank_vjp(x, r, temperature=2.0)
    array([ 0.  ,  0.25, -0.25])
    """
    if type(values) is not ndarray and foreign(values):
        return in_kind(soft_rank_vjp, values, locals())
    return product(task(values, RANK, method, temperature, descending=descending), cotangent)
