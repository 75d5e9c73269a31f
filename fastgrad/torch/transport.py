"""Optimal transport of tensors: plans with an entropy, balanced or not."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastgrad.distributions import transport as _arrays
from fastgrad.torch.arguments import Operator
from fastgrad.torch.operators import build
from fastgrad.torch.tensors import real, scalar, typed

__all__ = ["Transport", "sinkhorn"]


def _plan(scores: Any, rows: Any, columns: Any, **options: Any) -> Any:
    found = _arrays.sinkhorn(scores, rows, columns, **options)
    return (
        found.matrix,
        np.asarray(found.value),
        np.asarray(found.error),
        np.asarray(found.iterations),
    )


def _plan_vjp(scores: Any, rows: Any, columns: Any, cotangent: Any, **options: Any) -> Any:
    return tuple(_arrays.sinkhorn_vjp(scores, cotangent, rows, columns, **options))


_sinkhorn = build(
    Operator(
        name="transport",
        function=_plan,
        vjp=_plan_vjp,
        arguments=(
            "Tensor scores, Tensor rows, Tensor columns, Tensor temperature, float row_penalty, "
            "float column_penalty, float tolerance, SymInt max_iterations"
        ),
        operands=(0, -1, -1),
        results=((0, None), (-2, torch.float64), (-2, torch.float64), (-2, torch.int32)),
        gradients=3,
    )
)


class Transport(NamedTuple):
    """Plans of transport, their value, and how exact they are, as tensors.

    Attributes
    ----------
    matrix : Tensor, shape (*batch, N, M)
        Mass that each row sends to each column, in the type of the scores: all that has a gradient.
    value : Tensor of float64, shape (*batch)
        The largest value of the objective, whose gradient by the scores is `matrix`.
    error : Tensor of float64, shape (*batch)
    iterations : Tensor of int32, shape (*batch)
        As of `fastgrad.transport.Transport`.
    """

    matrix: Tensor
    value: Tensor
    error: Tensor
    iterations: Tensor


def sinkhorn(
    scores: Tensor,
    rows: Tensor | None = None,
    columns: Tensor | None = None,
    *,
    temperature: float | Tensor = 1.0,
    row_penalty: float = float("inf"),
    column_penalty: float = float("inf"),
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
) -> Transport:
    """Find plans of optimal transport with an entropy: see `fastgrad.transport.sinkhorn`.

    The gradient is that of the equations which the converged plan satisfies.

    Parameters
    ----------
    scores : Tensor, shape (*batch, N, M)
        Score of each pair, minus its cost, on the CPU; no mass is sent where it is -inf. float16
        and bfloat16 are computed in float32.
    rows, columns : Tensor, shapes (*batch, N) and (*batch, M), optional
        Masses, or what they should be; they broadcast to these shapes. By default they are equal,
        of sum 1.
    temperature : float or Tensor of one number
        Weight of the entropy. It has no gradient.
    row_penalty, column_penalty, tolerance, max_iterations
        As in `fastgrad.transport.sinkhorn`.

    Returns
    -------
    Transport
        Named tuple of `matrix`, `value`, `error` and `iterations`.

    Raises
    ------
    TypeError, ValueError
        As in `fastgrad.transport.sinkhorn`, and if one is no tensor or not on the CPU.

    Examples
    --------
    >>> import torch, fastgrad.torch as fgt
    >>> scores = torch.tensor([[0.0, -1.0], [-1.0, 0.0]], requires_grad=True)
    >>> plan = fgt.transport.sinkhorn(scores, columns=torch.tensor([0.7, 0.3]))
    >>> plan.matrix.detach().sum(dim=0).round(decimals=3)
    tensor([0.7000, 0.3000])
    >>> plan.matrix[0, 0].backward()
    >>> scores.grad.shape
    torch.Size([2, 2])
    """
    x = real(scores, "scores")
    shape = x.shape if x.ndim > 1 and x.shape[-2:].numel() else torch.Size((1, 1))  # refused below
    masses = []
    for given, name, n in ((rows, "rows", shape[-2]), (columns, "columns", shape[-1])):
        mass = x.new_full((n,), 1 / n) if given is None else real(given, name)
        masses.append(mass.to(x.dtype).expand(*shape[:-2], n))
    limits = float(row_penalty), float(column_penalty), tolerance, max_iterations
    found = _sinkhorn(x, *masses, scalar(temperature, "temperature"), *limits)
    return Transport(typed(found[0], scores.dtype), *found[1:])
