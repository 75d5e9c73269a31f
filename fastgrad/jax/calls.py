"""Calls of the operations from inside a JAX program.

Most have a handler that XLA calls without Python. The others, and all where the interface of XLA is
not one that handlers can read, are callbacks in pure NumPy, with the same bits.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from fastgrad import _outputs
from fastgrad.jax import chunks, handlers
from fastgrad.jax import perturbed_operations as perturbed_operations  # fills the table as well
from fastgrad.jax import row_operations as row_operations  # likewise
from fastgrad.jax.operations import OPERATIONS
from fastgrad.jax.shared import while_used

__all__ = ["call", "first_order", "from_python", "varying"]

try:
    _buffers: Any = importlib.import_module("jax.experimental.buffer_callback").buffer_callback
except (ImportError, AttributeError):  # an older JAX
    _buffers = None


def call(name: str, *operands: Any, **options: Any) -> tuple[Any, ...]:
    """Apply an operation of the table to arrays of JAX; options are known when it is traced.

    What names the noise comes as a pair: see `keys.Address`.
    """
    operation = OPERATIONS[name]
    kinds = operation.results(*operands, **options)
    results = tuple(jax.ShapeDtypeStruct(shape, _narrow(dtype)) for shape, dtype in kinds)
    _outputs.retain(sum(math.prod(y.shape) * y.dtype.itemsize for y in results))
    x, route = operands[0], "broadcast_all"  # how vmap calls it: every operand gets the axes
    pairs = tuple(i for i, each in enumerate(operands) if isinstance(each, tuple))
    heads = [each[0] if isinstance(each, tuple) else each for each in operands]
    tails = [operands[i][1] for i in pairs]
    if handlers.native(name, x.dtype, x.shape, options):
        chunks.plan_threads()
        target = handlers.target(name, x.dtype)
        function = jax.ffi.ffi_call(target, results, vmap_method=route)
        found = tuple(function(*heads, *tails, options=handlers.packed(options)))
    else:
        callback = _callback(name, pairs, tuple(sorted(options.items())))
        found = from_python(callback, results, *heads, *tails, vmap_method=route)
    return varying(found, (*heads, *tails))


def from_python(
    function: Callable[..., Sequence[Any]],
    results: Sequence[jax.ShapeDtypeStruct],
    *operands: Any,
    vmap_method: str,
) -> tuple[Any, ...]:
    """Call a function of NumPy's arrays, in nested tuples, from inside a program.

    `jax.pure_callback` hands on arrays of JAX. To look at one may wait for a copy that is made on
    the thread which runs the program: a process with one processor stands still then
    (jax-ml/jax#25861). Buffers are looked at where they are.
    """
    if _buffers is None:
        found = jax.pure_callback(function, tuple(results), *operands, vmap_method=vmap_method)
        return tuple(found)

    def fill(context: Any, outs: Any, *buffers: Any) -> None:
        found = function(*jax.tree.map(np.asarray, buffers))
        for out, values in zip(outs, found, strict=True):
            np.asarray(out)[...] = values

    return tuple(_buffers(fill, tuple(results), vmap_method=vmap_method)(*operands))


def first_order(name: str, values: Any) -> Any:
    """Return what a gradient is made of, as it is; to differentiate that is refused."""
    return _undifferentiable(name)(values)


@functools.cache
def _undifferentiable(name):
    @jax.custom_jvp
    def same(values):
        return values

    @same.defjvp
    def _(primals, tangents):
        raise NotImplementedError(
            f"fastgrad.jax has first derivatives only: the gradient of {name} can not be "
            "differentiated"
        )

    return same


def varying(results, operands):
    """Return results as differing along those axes of `jax.shard_map` along which operands do.

    JAX has had three ways to say so: none, `vma`, and since 0.10 `manual_axis_type`.
    """
    axes = set()
    for kind in map(jax.typeof, operands) if hasattr(jax, "typeof") else ():
        manual = getattr(kind, "manual_axis_type", None)
        axes |= getattr(kind, "vma", set()) if manual is None else manual.varying
    if not axes:
        return results
    lax: Any = jax.lax
    if hasattr(lax, "pcast"):
        return tuple(lax.pcast(y, tuple(axes), to="varying") for y in results)
    return tuple(lax.pvary(y, tuple(axes)) for y in results)


def _narrow(dtype):
    """Return a dtype as JAX has it: float32 for float64 unless that was enabled."""
    return jax.dtypes.canonicalize_dtype(dtype)


@while_used
def _callback(name, pairs, options):
    """Return what runs inside a program: NumPy alone, for whatever axes vmap has put in front.

    The second halves of pairs come last, and are joined here: a callback that is given what XLA has
    concatenated ends the process in JAX 0.6.
    """
    operation, options = OPERATIONS[name], dict(options)

    def callback(*operands):
        arrays = [np.asarray(x) for x in operands]
        own = len(arrays) - len(pairs)
        for i, tail in zip(pairs, arrays[own:]):
            arrays[i] = np.concatenate([arrays[i], tail], axis=-1)
        del arrays[own:]
        lead = arrays[0].shape[: arrays[0].ndim - operation.ranks[0]]
        kinds = operation.results(
            *(_Kind(x.shape[len(lead) :], x.dtype) for x in arrays), **options
        )
        outs = tuple(np.empty((*lead, *shape), _narrow(dtype)) for shape, dtype in kinds)
        if math.prod(lead) == 1:
            found = operation.compute(*(x[(0,) * len(lead)] for x in arrays), **options)
            return tuple(y.reshape(o.shape).astype(o.dtype) for y, o in zip(found, outs))
        for index in np.ndindex(lead):
            found = operation.compute(*(x[index] for x in arrays), **options)
            for out, y in zip(outs, found, strict=True):
                out[index] = y
        return outs

    return callback


class _Kind:
    """The shape and dtype of one operand without the axes of vmap."""

    def __init__(self, shape, dtype):
        self.shape, self.dtype = shape, dtype

    def __len__(self):
        return self.shape[0]
