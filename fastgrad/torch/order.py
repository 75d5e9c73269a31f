"""Functions of tensors of values: soft sorts, ranks, selections and quantiles, in O(n log n)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from fastgrad import _validate
from fastgrad import order as _arrays
from fastgrad.order.methods import Method
from fastgrad.torch.arguments import Operator
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import CPU, real, scalar, typed

__all__ = ["soft_median", "soft_quantile", "soft_rank", "soft_sort", "soft_top_k"]

_soft_sort = build(
    Operator(
        name="soft_sort",
        function=_arrays.soft_sort,
        vjp=_arrays.soft_sort_vjp,
        arguments="Tensor values, Tensor temperature, str method, bool descending, bool hard",
    )
)
_soft_rank = build(
    Operator(
        name="soft_rank",
        function=_arrays.soft_rank,
        vjp=_arrays.soft_rank_vjp,
        arguments="Tensor values, Tensor temperature, str method, bool descending, bool hard",
    )
)
_soft_top_k = build(
    Operator(
        name="soft_top_k",
        function=_arrays.soft_top_k,
        vjp=_arrays.soft_top_k_vjp,
        arguments="Tensor values, Tensor temperature, SymInt k, str method, bool hard",
    )
)


def soft_sort(
    values: Tensor,
    *,
    method: Method = "quadratic",
    temperature: float | Tensor = 1.0,
    descending: bool = False,
    hard: bool = False,
) -> Tensor:
    """Sort each row softly, differentiably: see `fastgrad.order.soft_sort`.

    Parameters
    ----------
    values : Tensor, shape (*batch, n)
        Values, on the CPU; -inf masks a value. float16 and bfloat16 are computed in float32.
    method, descending
        As in `fastgrad.order.soft_sort`.
    temperature : float or Tensor of one number
        From 2**-60 to 2**60. It has no gradient.
    hard : bool
        Sort exactly; the gradient is that of the soft sort (straight-through).

    Returns
    -------
    Tensor, shape (*batch, n)
        In the type of the values.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.order.soft_sort`, and if values are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> x = torch.tensor([5.0, 1.0, 2.0], requires_grad=True)
    >>> y = fgt.order.soft_sort(x, temperature=0.1)
    >>> y[0].backward()
    >>> y.detach(), x.grad
    (tensor([1., 2., 5.]), tensor([0., 1., 0.]))
    """
    x = real(values, "values")
    found = _soft_sort(x, scalar(temperature, "temperature"), method, descending, hard)
    return typed(found, values.dtype)


def soft_rank(
    values: Tensor,
    *,
    method: Method = "quadratic",
    temperature: float | Tensor = 1.0,
    descending: bool = False,
    hard: bool = False,
) -> Tensor:
    """Rank the values of each row softly, differentiably: see `fastgrad.order.soft_rank`.

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
    Tensor, shape (*batch, n)
        From 1 for the least value, 0 for a masked one, in the type of the values.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.order.soft_rank`, and if values are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.order.soft_rank(torch.tensor([5.0, 1.0, 2.0]), temperature=2.0)
    tensor([3.0000, 1.2500, 1.7500])
    """
    x = real(values, "values")
    found = _soft_rank(x, scalar(temperature, "temperature"), method, descending, hard)
    return typed(found, values.dtype)


def soft_top_k(
    values: Tensor,
    k: int,
    *,
    method: Method = "quadratic",
    temperature: float | Tensor = 1.0,
    hard: bool = False,
) -> Tensor:
    """Mark the k largest values of each row, differentiably: see `fastgrad.order.soft_top_k`.

    Parameters
    ----------
    values, temperature
        As in `soft_sort`.
    k : int
        How many.
    method
        As in `fastgrad.order.soft_top_k`.
    hard : bool
        Mark exactly k with 1; the gradient is that of the soft marks (straight-through).

    Returns
    -------
    Tensor, shape (*batch, n)
        From 0 to 1, of sum k, in the type of the values.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.order.soft_top_k`, and if values are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.order.soft_top_k(torch.tensor([5.0, 1.0, 4.5]), 1)
    tensor([0.7500, 0.0000, 0.2500])
    """
    x = real(values, "values")
    found = _soft_top_k(x, scalar(temperature, "temperature"), k, method, hard)
    return typed(found, values.dtype)


def soft_quantile(
    values: Tensor,
    q: float | Sequence[float] | Tensor,
    *,
    method: Method = "quadratic",
    temperature: float | Tensor = 1.0,
    hard: bool = False,
) -> Tensor:
    """Compute soft quantiles of each row, differentiably: see `fastgrad.order.soft_quantile`.

    Parameters
    ----------
    values, method, temperature
        As in `soft_sort`.
    q : float, sequence of float, or Tensor
        Levels, from 0 to 1, the same for all rows. They have no gradient; a graph of
        `torch.compile` needs them as numbers.
    hard : bool
        Compute quantiles exactly; the gradient is that of the soft ones (straight-through).

    Returns
    -------
    Tensor, shape (*levels, *batch)
        In the type of the values.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.order.soft_quantile`, and if values are no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> x = torch.tensor([[3.0, 1.0, 2.0, 9.0]])
    >>> fgt.order.soft_quantile(x, [0.0, 0.5], temperature=0.1)
    tensor([[1.0000],
            [2.5000]])
    """
    x = real(values, "values")
    levels = _levels(q)
    ordered = _soft_sort(x, scalar(temperature, "temperature"), method, False, hard)
    n = x.shape[-1]
    masked = x.detach().isneginf().sum(-1, keepdim=True)
    place = (n - masked - 1) * levels.reshape(-1)
    low = torch.minimum(place.long(), (n - masked - 2).clamp(min=0))
    part = (place - low).to(x.dtype)
    below = ordered.gather(-1, masked + low)
    above = ordered.gather(-1, (masked + low + 1).clamp(max=n - 1))
    found = (below + (above - below) * part).movedim(-1, 0)
    return typed(found.reshape((*levels.shape, *x.shape[:-1])), values.dtype)


def soft_median(
    values: Tensor,
    *,
    method: Method = "quadratic",
    temperature: float | Tensor = 1.0,
    hard: bool = False,
) -> Tensor:
    """Compute the soft median of each row, differentiably: `soft_quantile` at level 1/2.

    Parameters, errors and results are those of `soft_quantile`.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> fgt.order.soft_median(torch.tensor([3.0, 1.0, 2.0, 90.0]), temperature=0.01)
    tensor(2.5000)
    """
    return soft_quantile(values, 0.5, method=method, temperature=temperature, hard=hard)


def _levels(q: float | Sequence[float] | Tensor) -> Tensor:
    """Return levels as float64, all from 0 to 1."""
    listed = q.tolist() if isinstance(q, Tensor) else q
    _check_levels(listed)
    return torch.tensor(listed, dtype=torch.float64, device=CPU)


def _check_levels(q: Any) -> None:
    """Refuse a level, in lists or not, that is not from 0 to 1."""
    if isinstance(q, (list, tuple)):
        for level in q:
            _check_levels(level)
    else:
        _validate.number(q, "q", 0, 1)
