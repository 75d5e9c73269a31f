"""Handlers of the operations: XLA calls them itself.

They copy nothing, hold no lock of Python's, and run their chunks on Numba's threads. They are kept
in the cache of kernels: by the sources of all that they are made of.
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
from fastgrad.jax.bodies import COUPLED, DESCENDING, ENTROPIC, LOG, MEMORY, MESSAGES, NOISY, TABLE
from fastgrad.jax.frames import dtype_of, fail, texts, words
from fastgrad.kernels.compiler import jit
from fastgrad.kernels.distributions.categorical_long import SEGMENT
from fastgrad.sparse.entmax import curve

__all__ = ["native", "packed", "target"]

INVALID_ARGUMENT, RESOURCE_EXHAUSTED, INTERNAL = 3, 8, 13  # as XLA numbers its errors

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


def _handler(name: str, dtype: str) -> Any:
    """Compile a handler, or load it from the cache of kernels.

    Return its address, and what must be kept for ever, as XLA keeps the address.
    """
    operands, results, make = TABLE[name]
    body, expected, version = make(np.dtype(dtype).type), frames.DTYPES[dtype], frames.version()
    major, minor = version or (0, 0)
    last, text = len(MESSAGES), texts(MESSAGES)  # the last: "internal"

    def run(frame):
        f = words(frame, 22)
        extension, asked = f[1], False
        while extension != 0:
            e = words(extension, 4)
            if e[1] & 0xFFFFFFFF == 1:
                words(e[3], 4)[3] = major | minor << 32
                asked = True
            extension = e[2]
        if asked:
            return 0
        if f[7] != operands or f[12] != results or f[17] != 1:
            return fail(frame, text(last), INTERNAL)
        ins, outs = words(f[9], operands), words(f[14], results)
        if dtype_of(ins[0]) != expected:
            return fail(frame, text(last), INTERNAL)
        attribute = words(words(f[20], 1)[0], 3)
        try:
            found = body(ins, outs, words(attribute[2], attribute[1]))
        except Exception:  # memory of its own: what a C function raises would pass for success
            found = MEMORY
        if found != 0:
            code = RESOURCE_EXHAUSTED if found == MEMORY else INVALID_ARGUMENT
            return fail(frame, text(found), code)
        return 0

    run.__qualname__ = f"{name}_{dtype}"
    return jit.callback(run, (name, dtype, version))


@functools.cache
def _registered(name: str, dtype: str) -> str:
    target = f"fastgrad_{name}_{dtype}"
    if target not in frames.KEPT:
        jit.threading_layer()
        address, kept = _handler(name, dtype)
        jax.ffi.register_ffi_target(target, jax.ffi.pycapsule(address), platform="cpu")
        frames.KEPT[target] = kept
    return target


def target(name: str, dtype: Any) -> str:
    """Return the name by which XLA knows a handler, which is made when it is first needed."""
    with _lock:
        return _registered(name, str(dtype))
