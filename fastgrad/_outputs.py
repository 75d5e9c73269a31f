"""Arrays that results are written to: new ones, or those of a caller, checked."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from fastgrad._typing import Array


def output(
    out: Any, shape: tuple[int, ...], dtype: Any, *inputs: Array, name: str = "out"
) -> np.ndarray:
    """Return an array for results: `out` when it fits exactly, a new one when it is None.

    It may be an input, as rows are read before they are written, but not overlap one.
    """
    if out is None:
        try:
            return np.empty(shape, dtype)
        except ValueError:  # more bytes than can be addressed
            raise ValueError(f"a result of shape {shape} is larger than any memory") from None
    # A matrix stays two-dimensional however it is reshaped for kernels.
    plain = isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray | np.matrix)
    if not plain or out.shape != shape or out.dtype != dtype:
        got = f"{out.shape} {out.dtype}" if plain else repr(type(out).__name__)
        raise ValueError(
            f"{name} must be an array of shape {shape} and dtype {np.dtype(dtype)}, got {got}"
        )
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError(f"{name} must be C-contiguous and writeable")
    for x in inputs:
        if np.may_share_memory(out, x) and (out.nbytes, out.ctypes.data) != (
            x.nbytes,
            x.ctypes.data,
        ):
            raise ValueError(f"{name} must not share memory with an input, unless it is the same")
    return out


def with_margin(
    out: Any, shape: tuple[int, ...], dtype: Any, margin: int, *inputs: Array
) -> np.ndarray:
    """Return `out` when planes fit in it inside a margin, and it overlaps no input."""
    n, *sides = shape
    height, width = (side + 2 * margin for side in sides)
    fits = isinstance(out, np.ndarray) and out.dtype == dtype and out.ndim == 3 and len(out) == n
    if not (fits and out.shape[1] >= height and out.shape[2] >= width):
        got = f"{out.shape} {out.dtype}" if isinstance(out, np.ndarray) else repr(out)
        raise ValueError(
            f"out must be an array of shape ({n}, {height} or more, {width} or more) "
            f"and dtype {np.dtype(dtype)}, got {got}"
        )
    if not (out.flags.c_contiguous and out.flags.writeable):
        raise ValueError("out must be C-contiguous and writeable")
    if any(np.may_share_memory(out, x) for x in inputs):
        raise ValueError("out must not share memory with an input")
    return out


def apart(*arrays: Array) -> None:
    """Refuse results that share memory with the logits, the first of the arrays, or each other."""
    for one, other in itertools.combinations(arrays, 2):
        if np.may_share_memory(one, other):
            raise ValueError("out must share no memory with the logits, nor within itself")


_retained = 0  # bytes of the largest block that `retain` has freed
LARGEST = 2**25 - 2**16  # of such a block: glibc takes no notice of larger ones


def retain(nbytes: int) -> None:
    """Let the memory of results of so many bytes stay with the process when they are freed.

    glibc gives the end of its heap back to the system when more is free there than twice the
    largest block that it had mapped for itself. Results of a training step then come in new pages
    each time, which takes longer than to fill them. To free a larger block once, which is never
    touched, moves the bound to 16 times the results, at most 64 MB. Elsewhere nothing happens.
    """
    global _retained
    block = min(8 * nbytes, LARGEST)
    if block > _retained:
        _retained = block
        np.empty(block, np.uint8)
