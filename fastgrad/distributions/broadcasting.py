"""Pairs of arrays that need not agree in shape and type, and gradients in the shape of each."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray


def pair(
    first: FloatArray, second: FloatArray, names: tuple[str, str]
) -> tuple[FloatArray, FloatArray]:
    """Return two arrays in their common type and broadcast shape, C-contiguous and read-only."""
    if first.shape == second.shape and first.dtype == second.dtype:
        return first, second
    dtype = np.result_type(first, second)
    try:
        shape = np.broadcast_shapes(first.shape, second.shape)
    except ValueError:
        raise ValueError(
            f"{names[1]} must have a shape that broadcasts with that of {names[0]}, "
            f"{first.shape}, got {second.shape}"
        ) from None
    whole = (np.broadcast_to(x.astype(dtype, copy=False), shape) for x in (first, second))
    first, second = (_validate.frozen(np.asarray(x, order="C")) for x in whole)
    return first, second


def sum_to(grad: FloatArray, x: FloatArray) -> FloatArray:
    """Return a gradient summed over the axes along which x was broadcast, in the type of x."""
    if grad.shape != x.shape:
        lead = grad.ndim - x.ndim
        stretched = [lead + i for i, n in enumerate(x.shape) if n != grad.shape[lead + i]]
        grad = grad.sum(axis=(*range(lead), *stretched)).reshape(x.shape)
    return grad.astype(x.dtype, copy=False)
