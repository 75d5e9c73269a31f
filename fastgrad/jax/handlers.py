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
from fastgrad.jax.frames import attempt, common, dtype_of, fail, texts, words
from fastgrad.kernels.compiler import jit
from fastgrad.kernels.distributions.categorical_long import SEGMENT
from fastgrad.sparse.entmax import curve

__all__ = ["native", "packed", "target"]

STATUS_OF_INPUT, STATUS_OF_MEMORY, STATUS_OF_FRAME = 3, 8, 13  # as XLA numbers its errors
INTERNAL, ASKED = len(MESSAGES), -1

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


_text = texts(MESSAGES)


@common
def _opened(frame, expected):
    """Return what is wrong with a frame, and its operands, results and options.

    Wrong is INTERNAL, or ASKED where XLA only asks for the version of the interface. What is
    expected comes as an array: Numba compiles anew for each number that it knows.
    """
    operands, results, dtype, version = expected[0], expected[1], expected[2], expected[3]
    f, none = words(frame, 22), words(frame, 0)
    extension, wrong = f[1], 0
    while extension != 0:
        e = words(extension, 4)
        if e[1] & 0xFFFFFFFF == 1:
            words(e[3], 4)[3] = version
            wrong = ASKED
        extension = e[2]
    if wrong == 0 and (f[7] != operands or f[12] != results or f[17] != 1):
        wrong = INTERNAL
    if wrong != 0:
        return wrong, none, none, none
    ins, outs = words(f[9], operands), words(f[14], results)
    if dtype_of(ins[0]) != dtype:
        wrong = INTERNAL
    attribute = words(words(f[20], 1)[0], 3)
    return wrong, ins, outs, words(attribute[2], attribute[1])


@common
def _answered(frame, wrong):
    """Return what XLA is told: an error, or 0."""
    if wrong == 0 or wrong == ASKED:
        return 0
    code = STATUS_OF_INPUT
    if wrong == MEMORY:
        code = STATUS_OF_MEMORY
    elif wrong == INTERNAL:
        code = STATUS_OF_FRAME
    return fail(frame, _text(wrong), code)


def _handler(name: str, dtype: str) -> Any:
    """Compile a handler, or load it from the cache of kernels.

    Return its address, and what must be kept for ever, as XLA keeps the address.
    """
    operands, results, make = TABLE[name]
    # Memory of its own that is not to be had: what a C function raises would pass for success.
    body = attempt(make(np.dtype(dtype).type), MEMORY)
    version = frames.version()
    major, minor = version or (0, 0)
    numbers = operands, results, frames.DTYPES[dtype], major | minor << 32
    expected = np.array(numbers, np.int64)

    def run(frame):
        wrong, ins, outs, options = _opened(frame, expected)
        if wrong == 0:
            wrong = body(ins, outs, options)
        return _answered(frame, wrong)

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
