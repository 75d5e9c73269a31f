"""XLA's call frames, read by compiled code: a typed FFI handler without C++ and without Python.

A handler is a C function of the address of a frame. Structs are read as words of 8 bytes, whose
places are those of ``xla/ffi/api/c_api.h``; they all begin with their size and their extensions:

    frame        2 api, 5-9 operands (7 how many, 9 their addresses), 10-14 results (the same),
                 15-20 attributes (20 the addresses of their values, in the order of their names)
    buffer       2 dtype, 3 data, 4 rank, 5 sizes of the axes
    array        0 dtype, 1 how many numbers, 2 data: a value of an attribute
    extension    1 kind (1 asks for metadata), 2 the next, 3 metadata
    metadata     1 to 3 version of the interface (its second word two int32)
    api          6 the function that makes errors

The layout is that of the versions of `VERSIONS`; any other must not be read by these places.
"""

from __future__ import annotations

import functools
import pathlib
import platform
import re
import sys
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from fastgrad.kernels.compiler.addresses import WORD, call_kernel, instruction, linked
from fastgrad.kernels.compiler.addresses import read_only as read_only
from fastgrad.kernels.compiler.jit import Kernel, block, shared
from fastgrad.kernels.tiles.memory import array_at

if not hasattr(jax, "ffi"):
    raise ImportError(f"fastgrad.jax needs JAX 0.5 or newer, got {jax.__version__}: update it")

# XLA holds addresses for ever, and names that cannot be given again: what they mean is kept in a
# place that outlives this module, which a process may import anew.
KEPT: dict[str, Any] = jax.ffi.__dict__.setdefault("_fastgrad", {})
VERSIONS = ((0, 1), (0, 2), (0, 3))
MACHINES = ("x86_64", "AMD64", "aarch64", "arm64")
DTYPES = {"float32": 11, "float64": 12}  # as XLA numbers them


@functools.cache
def version() -> tuple[int, int] | None:
    """Return the version of the installed interface, or None where its frames cannot be read."""
    if platform.machine() not in MACHINES or sys.byteorder != "little" or sys.maxsize < 2**32:
        return None
    try:
        header = pathlib.Path(jax.ffi.include_dir(), "xla", "ffi", "api", "c_api.h").read_text()
    except (OSError, AttributeError):
        return None
    parts = (re.search(rf"define XLA_FFI_API_{n} (\d+)", header) for n in ("MAJOR", "MINOR"))
    found = tuple(int(part[1]) for part in parts if part)
    return next((known for known in VERSIONS if known == found), None)


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function that handlers call: a part of them, as blocks are parts of kernels."""
    return block(function)


def common(function: Callable[..., Any]) -> Any:
    """Compile a function that many handlers call, once, to machine code that they share."""
    return shared(function)


@instruction
def _make_error(typingctx, function, text, code):
    """Call the C function that makes errors; no memory but the stack's is needed for its struct."""

    def codegen(context, builder, signature, values):
        # The size without padding, extensions, text, code.
        place = cgutils.pack_array(builder, [WORD(28), WORD(0), values[1], values[2]])
        struct = cgutils.alloca_once_value(builder, place)
        kind = ir.FunctionType(WORD, [WORD])
        function = builder.inttoptr(values[0], kind.as_pointer())
        return builder.call(function, [builder.ptrtoint(struct, WORD)])

    return types.int64(types.int64, types.int64, types.int64), codegen


def caller(kernel: Kernel) -> Any:
    """Return a compiled function (chunk, chunks, args) that runs a kernel, by its machine code.

    It returns whether the kernel failed, which it only does for want of memory.
    """
    KEPT[f"kernel {id(kernel)}"] = kernel
    module, name = kernel.function.__module__, kernel.function.__name__

    def run(typingctx, chunk, chunks, args):
        kinds = types.int64, types.int64, *args.types

        def codegen(context, builder, signature, values):
            code = linked(context, builder, module, name, kinds)
            return call_kernel(context, builder, code, kinds, values)

        return types.int64(types.int64, types.int64, args), codegen

    run.__qualname__ = f"{module}.{name}"  # what calls it is named after it: see `jit.named`
    return instruction(run)


def attempt(function: Any, failed: int) -> Any:
    """Return a compiled function that does as this one, which returns a word, or gives `failed`.

    An exception goes no further, as by `try`, which takes Numba longer to compile than all else.
    """

    def run(typingctx, ins, outs, options):
        found = types.Dispatcher(function).get_call_type(typingctx, (ins, outs, options), {})

        def codegen(context, builder, signature, values):
            made = function.overloads[found.args]
            context.active_code_library.add_linking_library(made.library)
            status, word = context.call_internal_no_propagate(builder, made.fndesc, found, values)
            word = context.cast(builder, word, found.return_type, types.int64)
            return builder.select(status.is_error, WORD(failed), word)

        return types.int64(*found.args), codegen

    run.__qualname__ = function.py_func.__qualname__  # what calls it is named after it
    return instruction(run)


def address(module: str, name: str, kinds: Any = None) -> Any:
    """Return a compiled function of nothing: the address of what `linked` finds."""

    def place(typingctx):
        def codegen(context, builder, signature, values):
            return linked(context, builder, module, name, kinds)

        return types.int64(), codegen

    place.__qualname__ = f"{module}.{name}"
    return instruction(place)


def texts(messages: tuple[str, ...]) -> Any:
    """Return a compiled function (number) that gives the address of a message, counted from 1."""

    @instruction
    def text(typingctx, number):
        def codegen(context, builder, signature, values):
            found = [context.insert_const_string(builder.module, m) for m in messages]
            kind = ir.ArrayType(found[0].type, len(found))
            table = cgutils.global_constant(builder, "messages", ir.Constant(kind, found))
            number = builder.sub(values[0], WORD(1))
            place = builder.gep(table, [WORD(0), number], inbounds=True)
            return builder.ptrtoint(builder.load(place), WORD)

        return types.int64(types.int64), codegen

    return text


@compiled
def words(address, n):
    """Return n words at an address."""
    return array_at(address, n, np.int64)


@compiled
def sizes(buffer):
    """Return the sizes of the axes of a buffer."""
    return words(words(buffer, 6)[5], words(buffer, 6)[4])


@compiled
def dtype_of(buffer):
    """Return the type of a buffer, as XLA numbers them."""
    return words(buffer, 6)[2] & 0xFFFFFFFF


@compiled
def groups(buffer, rank):
    """Return how many arrays of that rank vmap has put in a buffer."""
    axes = sizes(buffer)
    count = 1
    for i in range(axes.size - rank):
        count *= axes[i]
    return count


@compiled
def array(buffer, group, shape, dtype):
    """Return the array of one group in a buffer, of a shape that is known, to be written to."""
    data = words(buffer, 6)[3]
    return array_at(data + group * array_at(data, shape, dtype).nbytes, shape, dtype)


@compiled
def fail(frame, text, code):
    """Return an error as XLA makes them: of the address of a text, and a code."""
    return _make_error(words(words(frame, 3)[2], 7)[6], text, code)
