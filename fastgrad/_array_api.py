"""Arrays of other libraries: taken where they lie, and answered in their own kind.

Whatever has ``__dlpack__`` and lies on the CPU is such an array: tensors of torch, arrays of JAX,
and all that follow the array API standard. No library is imported for it. A function begins with

    if type(logits) is not ndarray and foreign(logits):
        return in_kind(sample, logits, locals())

which is not a decorator since a call of its own would cost small calls of NumPy arrays a hundredth
of their time.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy import ndarray as ndarray

NUMPY = (np.ndarray, np.generic)
CPU = 1  # as DLPack numbers devices


def foreign(x: Any) -> bool:
    """Return whether x is an array of another library, or stands for one."""
    kind = type(x)
    return (hasattr(kind, "__dlpack__") or hasattr(kind, "aval")) and not isinstance(x, NUMPY)


def numpy_of(x: Any, name: str) -> np.ndarray:
    """Return an array of NumPy of what is one already, or means one: a view where it can be."""
    graph = getattr(x, "__dask_graph__", None)
    if graph is not None and graph() is not None:  # to be computed at once, and without a word
        raise TypeError(
            f"{name} must be an array in memory, got one of Dask: functions of these are in "
            "fastgrad.dask, or call its compute()"
        )
    if _device(x) != CPU:
        where = getattr(x, "device", "another device")
        raise ValueError(f"{name} must be on the CPU, where fastgrad computes, got {where}")
    try:
        if hasattr(x, "__dlpack__") and not hasattr(x, "__array__"):
            return np.from_dlpack(x)
        return np.asarray(x)
    except ValueError:
        raise ValueError(f"{name} must be an array: its rows differ in length") from None
    except (TypeError, RuntimeError, BufferError) as error:  # how libraries refuse
        if hasattr(x, "aval"):
            raise TypeError(
                f"{name} must have values, got a tracer of JAX: inside its programs, "
                "call the functions of fastgrad.jax"
            ) from None
        if getattr(x, "requires_grad", False):
            raise TypeError(
                f"{name} must be an array, got a tensor that requires grad: functions of tensors, "
                "with gradients, are in fastgrad.torch"
            ) from None
        raise TypeError(
            f"{name} must be an array of real numbers, got {kind_of(x, type(x).__name__)}: {error}"
        ) from None


def _device(x):
    """Return the kind of device on which x lies, as DLPack numbers it."""
    try:
        return x.__dlpack_device__()[0] if hasattr(x, "__dlpack_device__") else CPU
    except Exception:  # a tracer, or without memory: to be refused when it is read
        return CPU


def kind_of(x: Any, otherwise: str) -> str:
    """Name the dtype that x calls its own, be it NumPy's or not."""
    own = getattr(x, "dtype", None)
    return otherwise if own is None else f"dtype {own}"


def in_kind(function: Callable[..., Any], x: Any, arguments: dict[str, Any]) -> Any:
    """Call a function with views of the memory of its arrays; answer in the kind of x.

    Arguments are by name, as `locals` has them at the beginning of a function.
    """
    plain = {name: _plain(argument, name) for name, argument in arguments.items()}
    return answered(function(**plain), x)


def answered(answer: Any, x: Any) -> Any:
    """Return an answer, an array or a named tuple of arrays, in the kind of x."""
    if isinstance(answer, tuple):
        return _like_tuple(answer, [answered(part, x) for part in answer])
    return _maker(x)(np.asarray(answer)) if isinstance(answer, NUMPY) else answer


def _like_tuple(x, parts):
    return type(x)(*parts) if hasattr(x, "_fields") else tuple(parts)


def _plain(x, name):
    if isinstance(x, tuple) and any(map(foreign, x)):  # such as several arrays of out=
        return _like_tuple(x, [_plain(part, name) for part in x])
    return numpy_of(x, name) if foreign(x) else x


def _maker(x):
    """Return what makes an array of the kind of x of one of NumPy's, of the same memory."""
    if any(base.__module__.partition(".")[0] == "torch" for base in type(x).__mro__):
        make = sys.modules["torch"].from_numpy
        return lambda a: make(a if a.flags.writeable else a.copy())
    if not hasattr(x, "__array_namespace__"):
        return lambda a: a
    space = x.__array_namespace__()

    def make(a):
        try:
            return space.from_dlpack(a)
        except Exception:  # read-only memory, or a type that it has not: each has its own error
            return space.asarray(a)

    return make
