"""Optimal transport inside a JAX program: plans with an entropy, balanced or not."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from fastgrad import _validate
from fastgrad.jax import structured_operations as structured_operations  # fills the table
from fastgrad.jax.gradients import differentiable
from fastgrad.jax.operands import JaxArray, known, real

__all__ = ["Transport", "sinkhorn"]


class Transport(NamedTuple):
    """Plans of transport, their value, and how exact they are.

    Attributes
    ----------
    matrix : array, shape (*batch, N, M)
        Mass that each row sends to each column, in the dtype of the scores: all that has a
        gradient.
    value, error : array, shape (*batch)
    iterations : array of int32, shape (*batch)
        As of `fastgrad.transport.Transport`. The gradient of the value by the scores is `matrix`.
    """

    matrix: jax.Array
    value: jax.Array
    error: jax.Array
    iterations: jax.Array


def sinkhorn(
    scores: JaxArray,
    rows: JaxArray | None = None,
    columns: JaxArray | None = None,
    *,
    temperature: float = 1.0,
    row_penalty: float = math.inf,
    column_penalty: float = math.inf,
    tolerance: float = 1e-4,
    max_iterations: int = 1000,
) -> Transport:
    """Find plans of optimal transport: `fastgrad.transport.sinkhorn` inside a JAX program.

    The gradient is that of the equations which the converged plan satisfies.

    Parameters
    ----------
    scores : array, shape (*batch, N, M)
        Score of each pair, minus its cost; no mass is sent where it is -inf.
    rows, columns : array, shapes (*batch, N) and (*batch, M), optional
        Masses, or what they should be; they broadcast to these shapes. By default they are equal,
        of sum 1.
    temperature, row_penalty, column_penalty, tolerance, max_iterations
        As in `fastgrad.transport.sinkhorn`, numbers that are known when the program is traced.

    Returns
    -------
    Transport
        Named tuple of `matrix`, `value`, `error` and `iterations`.

    Raises
    ------
    TypeError, ValueError
        When it is traced, for wrong shapes or options.
    jax.errors.JaxRuntimeError
        When it runs, for scores or masses that `fastgrad.transport.sinkhorn` refuses.

    Examples
    --------
    >>> import jax.numpy as jnp, numpy as np, fastgrad.jax
    >>> scores = jnp.array([[0.0, -1.0], [-1.0, 0.0]])
    >>> plan = fastgrad.jax.transport.sinkhorn(scores, columns=jnp.array([0.7, 0.3]))
    >>> np.asarray(plan.matrix.sum(axis=0)).round(3)
    array([0.7, 0.3], dtype=float32)
    """
    x, own = real(scores, "scores")
    if x.ndim < 2 or 0 in x.shape[-2:]:
        raise ValueError(f"scores must have shape (*batch, N, M) with N, M >= 1, got {x.shape}")
    *batch, n, m = x.shape
    count = math.prod(batch)
    masses = []
    for given, name, size in ((rows, "rows", n), (columns, "columns", m)):
        mass = jnp.full(size, 1 / size, x.dtype) if given is None else real(given, name)[0]
        mass = jnp.broadcast_to(mass.astype(x.dtype), (*batch, size))
        masses.append(mass.reshape(count, size))
    options = {
        "temperature": _validate.temperature(known(temperature, "temperature")),
        "row_penalty": float(known(row_penalty, "row_penalty")),
        "column_penalty": float(known(column_penalty, "column_penalty")),
        "tolerance": float(known(tolerance, "tolerance")),
        "max_iterations": known(max_iterations, "max_iterations"),
    }
    found: Any = differentiable("transport", **options)(x.reshape(count, n, m), *masses)
    matrix, *told = found
    told = [each.reshape(tuple(batch)) for each in told]
    return Transport(matrix.reshape(x.shape).astype(own), *told)
