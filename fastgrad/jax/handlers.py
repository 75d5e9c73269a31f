"""Handlers of the operations: XLA calls them itself.

They copy nothing, hold no lock of Python's, and run their chunks on Numba's threads.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import jax
import numpy as np

from fastgrad.jax import combinatorial_bodies as combinatorial_bodies  # fills the table as well
from fastgrad.jax import concrete_bodies as concrete_bodies
from fastgrad.jax import frames
from fastgrad.jax import row_bodies as row_bodies
from fastgrad.jax.bodies import COUPLED, DESCENDING, ENTROPIC, LOG, MESSAGES, NOISY, TABLE
from fastgrad.kernels.compiler import jit
from fastgrad.kernels.distributions.categorical_long import SEGMENT
from fastgrad.sparse.entmax import curve

__all__ = ["native", "packed", "target"]

_lock = threading.Lock()


def native(name: str, dtype: Any, shape: tuple[int, ...], options: dict[str, Any]) -> bool:
    """Return whether an operation has a handler for logits of that dtype and shape."""
    if name not in TABLE or str(dtype) not in frames.DTYPES or frames.version() is None:
        return False
    if options.get("method") == "gumbel":
        return False
    return shape[-1] <= SEGMENT or name not in ("sample", "log_prob")


def packed(options: dict[str, Any]) -> Any:
    """Return those options that handlers need as an array of int64: flags, then numbers by place.

    These are the size of subsets, how the iterations of Sinkhorn's method are bounded, and alpha.
    """
    number, real = options.get("mode", options.get("kind", 0)), options.get("tolerance", 0)
    if "alpha" in options:
        number, real = curve(options["alpha"])
    flags = int(number) | ENTROPIC * (options.get("method") == "entropic")
    for name, bit in (("coupled", COUPLED), ("log", LOG), ("descending", DESCENDING)):
        flags |= bit * options.get(name, False)
    flags |= NOISY * options.get("noisy", False)
    numbers = (options.get(name, 0) for name in ("k", "max_iterations", "newton"))
    return np.array([flags, *numbers, np.float64(real).view(np.int64)], np.int64)


@functools.cache
def _registered(name: str, dtype: str) -> str:
    target = f"fastgrad_{name}_{dtype}"
    if target not in frames.KEPT:
        operands, results, make = TABLE[name]
        jit.threading_layer()
        made = frames.handler(make(np.dtype(dtype).type), dtype, operands, results, MESSAGES)
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(made.address), platform="cpu")
        frames.KEPT[target] = made
    return target


def target(name: str, dtype: Any) -> str:
    """Return the name under which XLA knows the handler, which is compiled when first needed."""
    with _lock:
        return _registered(name, str(dtype))
