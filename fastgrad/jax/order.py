"""Order statistics inside a JAX program, differentiable: the functions of `fastgrad.order`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer

from fastgrad import _validate
from fastgrad.jax.gradients import differentiable
from fastgrad.jax.operands import JaxArray, flag, known, logits_of, one_number
from fastgrad.kernels.order.sorting import RANK, SORT, TOP_K
from fastgrad.order.methods import METHODS, Method

__all__ = ["soft_median", "soft_quantile", "soft_rank", "soft_sort", "soft_top_k"]


def soft_sort(
    values: JaxArray,
    *,
    method: Method = "quadratic",
    temperature: Any = 1.0,
    descending: bool = False,
    hard: bool = False,
) -> jax.Array:
    """Sort each row softly: `fastgrad.order.soft_sort` inside a JAX program.

    Parameters
    ----------
    values : array, shape (*batch, n)
        Values; -inf masks one. float16 and bfloat16 are computed in float32.
    method, descending
        As in `fastgrad.order.soft_sort`.
    temperature : float or array of one number
        From 2**-60 to 2**60; it may be traced. It has no gradient.
    hard : bool
        Sort exactly; the gradient is that of the soft sort (straight-through).

    Returns
    -------
    array, shape (*batch, n)
        In the dtype of the values.

    Raises
    ------
    TypeError, ValueError
        When it is traced, for a wrong type, shape or option.
    jax.errors.JaxRuntimeError
        When it runs, if values hold NaN or +inf, or a row of nothing but -inf, or a traced
        temperature is out of its range.

    Examples
    --------
    >>> import jax, jax.numpy as jnp, fastgrad.jax
    >>> x = jnp.array([5.0, 1.0, 2.0])
    >>> fastgrad.jax.order.soft_sort(x, temperature=0.1)
    Array([1., 2., 5.], dtype=float32)
    >>> jax.grad(lambda x: fastgrad.jax.order.soft_sort(x, temperature=0.1)[0])(x)
    Array([0., 1., 0.], dtype=float32)
    """
    return _order(values, SORT, 1, method, temperature, descending, hard)


def soft_rank(
    values: JaxArray,
    *,
    method: Method = "quadratic",
    temperature: Any = 1.0,
    descending: bool = False,
    hard: bool = False,
) -> jax.Array:
    """Rank the values of each row softly: `fastgrad.order.soft_rank` inside a JAX program.

    Parameters
    ----------
    values, temperature
        As in `soft_sort`.
    method, descending
        As in `fastgrad.order.soft_rank`.
    hard : bool
        Rank exactly; the gradient is that of the soft ranks (straight-through).

    Returns
    -------
    array, shape (*batch, n)
        From 1 for the least value, 0 for a masked one, in the dtype of the values.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `soft_sort`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.order.soft_rank(jnp.array([5.0, 1.0, 2.0]), temperature=2.0)
    Array([3.  , 1.25, 1.75], dtype=float32)
    """
    return _order(values, RANK, 1, method, temperature, descending, hard)


def soft_top_k(
    values: JaxArray,
    k: int,
    *,
    method: Method = "quadratic",
    temperature: Any = 1.0,
    hard: bool = False,
) -> jax.Array:
    """Mark the k largest values of each row: `fastgrad.order.soft_top_k` inside a JAX program.

    Parameters
    ----------
    values, temperature
        As in `soft_sort`.
    k : int
        How many, at most the number of values above -inf in every row.
    method
        As in `fastgrad.order.soft_top_k`.
    hard : bool
        Mark exactly k with 1; the gradient is that of the soft marks (straight-through).

    Returns
    -------
    array, shape (*batch, n)
        From 0 to 1, of sum k, in the dtype of the values.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `soft_sort`; also where a row has fewer than k values above -inf.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.order.soft_top_k(jnp.array([5.0, 1.0, 4.5]), 1)
    Array([0.75, 0.  , 0.25], dtype=float32)
    """
    k = _validate.integer(known(k, "k"), "k", 1)
    return _order(values, TOP_K, k, method, temperature, False, hard)


def soft_quantile(
    values: JaxArray,
    q: float | Sequence[float],
    *,
    method: Method = "quadratic",
    temperature: Any = 1.0,
    hard: bool = False,
) -> jax.Array:
    """Compute soft quantiles of each row: `fastgrad.order.soft_quantile` inside a JAX program.

    They are computed in a callback of NumPy, so that they are the same bits.

    Parameters
    ----------
    values, method, temperature
        As in `soft_sort`.
    q : float, or array or sequence of them
        Levels, from 0 to 1, the same for all rows: known when the program is traced.
    hard : bool
        Compute quantiles exactly; the gradient is that of the soft ones (straight-through).

    Returns
    -------
    array, shape (*levels, *batch)
        In the dtype of the values.

    Raises
    ------
    TypeError, ValueError, jax.errors.JaxRuntimeError
        As in `soft_sort`; also for levels that are traced, or not from 0 to 1.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> x = jnp.array([[3.0, 1.0, 2.0, 9.0]])
    >>> fastgrad.jax.order.soft_quantile(x, [0.0, 0.5], temperature=0.1)
    Array([[1. ],
           [2.5]], dtype=float32)
    """
    method = _validate.named(method, "method", METHODS)
    x, own = logits_of(values, "values")
    levels = levels_of(known(q, "q"))
    options = {"q": tuple(levels.ravel().tolist()), "method": method, "hard": flag(hard, "hard")}
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    found = differentiable("quantile", **options)(rows, _parts(temperature))[0]
    return found.reshape(*levels.shape, *x.shape[:-1]).astype(own)


def soft_median(
    values: JaxArray,
    *,
    method: Method = "quadratic",
    temperature: Any = 1.0,
    hard: bool = False,
) -> jax.Array:
    """Compute the soft median of each row: `soft_quantile` at level 1/2.

    Parameters, errors and results are those of `soft_quantile`.

    Examples
    --------
    >>> import jax.numpy as jnp, fastgrad.jax
    >>> fastgrad.jax.order.soft_median(jnp.array([3.0, 1.0, 2.0, 90.0]), temperature=0.01)
    Array(2.5, dtype=float32)
    """
    return soft_quantile(values, 0.5, method=method, temperature=temperature, hard=hard)


def _order(
    values: JaxArray,
    kind: int,
    k: int,
    method: str,
    temperature: Any,
    descending: bool,
    hard: bool,
) -> jax.Array:
    """Return order statistics of a kind, by the operation that has the method."""
    method = _validate.named(method, "method", METHODS)
    name = "laplace_order" if method == "laplace" else "isotonic_order"
    falls, hard = flag(descending, "descending"), flag(hard, "hard")
    options = {"kind": kind, "k": k, "descending": falls, "method": method}
    x, own = logits_of(values, "values")
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    function = differentiable("hard_order" if hard else name, **options)
    return function(rows, _parts(temperature))[0].reshape(x.shape).astype(own)


def _parts(temperature: Any) -> jax.Array:
    """Return a temperature as three float32 whose sum it is."""
    if isinstance(temperature, Tracer):
        t: Any = one_number(temperature, jnp.floating)
        rest, parts = jax.lax.stop_gradient(t), []
        for _ in range(3):
            parts.append(jax.lax.reduce_precision(rest, 8, 23))  # to float32 and back
            rest = rest - parts[-1]
        return jnp.stack(parts).astype(jnp.float32)
    rest, parts = _validate.temperature(np.asarray(temperature)[()]), []
    for _ in range(3):
        parts.append(np.float32(rest))
        rest -= float(parts[-1])
    return jnp.asarray(np.array(parts))


def levels_of(q: Any) -> np.ndarray[Any, Any]:
    """Return levels of quantiles as float64, all from 0 to 1."""
    levels = _validate.real_array(np.asarray(q), "q").astype(np.float64)
    fine = (levels >= 0) & (levels <= 1)
    if not fine.all():
        raise ValueError(f"q must be from 0 to 1, got {levels[~fine][0]}")
    return levels
