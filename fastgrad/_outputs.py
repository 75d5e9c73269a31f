"""Arrays that results are written to: new ones, or those of a caller, checked."""

import itertools

import numpy as np


def output(out, shape, dtype, *inputs, name="out") -> np.ndarray:
    """Return an array for results: `out` when it fits exactly, a new one when it is None.

    It may be an input, as rows are read before they are written, but not overlap one.
    """
    if out is None:
        return np.empty(shape, dtype)
    plain = isinstance(out, np.ndarray) and not isinstance(out, np.ma.MaskedArray)
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


def apart(*arrays):
    """Refuse results that share memory with the logits, the first of the arrays, or each other."""
    for one, other in itertools.combinations(arrays, 2):
        if np.may_share_memory(one, other):
            raise ValueError("out must share no memory with the logits, nor within itself")
