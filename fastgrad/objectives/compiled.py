"""Objectives that are functions compiled by Numba: f of one example, called from kernels."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray, IntArray
from fastgrad.kernels.objectives import compiled as _kernels
from fastgrad.kernels.objectives import compiled_evaluators as _evaluators

__all__ = ["Compiled"]

NAMES = ("compiled", "compiled_value_and_grad")
ARGUMENTS = ("(example, z, *data)", "(example, x, grad, *data)")


@dataclasses.dataclass(frozen=True, eq=False)
class Compiled:
    """f of one example as one or two compiled functions: see `fastgrad.objective`.

    Parameters
    ----------
    function : function compiled by `numba.njit`, optional
        ``function(example, z, *data)`` returns f at outcomes z.
    value_and_grad : function compiled by `numba.njit`, optional
        ``value_and_grad(example, x, grad, *data)`` returns f at features x and fills grad.
    data : tuple of arrays and numbers
        What the functions are given besides.
    examples : int
        Number of leading axes of the batch over which f has values.
    first : int
        Number of the first example of a call.

    Raises
    ------
    TypeError
        If a function is not one of `numba.njit`, or data is not a tuple of arrays and numbers.
    ValueError
        If a function is compiled to run in parallel, or examples is below 0.
    """

    function: Callable[..., Any] | None
    value_and_grad: Callable[..., Any] | None
    data: tuple[Any, ...] = ()
    examples: int = 1
    first: int = 0

    def __post_init__(self) -> None:
        for name, function in zip(NAMES, (self.function, self.value_and_grad)):
            if function is not None:
                if not _evaluators.is_compiled(function):
                    raise TypeError(f"{name} must be a function of numba.njit, got {function!r}")
                if _evaluators.is_parallel(function):
                    raise ValueError(
                        f"{name} must not have parallel=True: it is called in parallel"
                    )
        if not isinstance(self.data, (tuple, list)):
            kind = type(self.data).__name__
            raise TypeError(f"data must be a tuple of arrays and numbers, got {kind}")
        data = tuple(_datum(x, f"data[{i}]") for i, x in enumerate(self.data))
        object.__setattr__(self, "data", data)
        _validate.integer(self.examples, "examples", 0)

    def from_example(self, first: int, examples: int) -> Compiled:
        """Return the same f of the examples from number `first` on, which have so many axes."""
        return dataclasses.replace(self, first=self.first + first, examples=examples)

    def shape(self, batch: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """Return of a shape (*batch, ...) that of the examples, and what is left to an event."""
        if len(batch) < self.examples:
            raise ValueError(
                f"examples must be at most {len(batch)}, the axes of the batch, got {self.examples}"
            )
        return batch[: self.examples], batch[self.examples :]

    # -- parts of an objective ------------------------------------------------------------------

    def at_outcomes(self, z: IntArray) -> FloatArray:
        """Evaluate f at outcomes z, shape (S, *batch): values (S, *examples)."""
        examples, event = self.shape(z.shape[1:])
        z = _validate.frozen(np.ascontiguousarray(z, np.int32))
        value = np.empty((len(z), math.prod(examples)))
        flat = z.reshape(len(z), math.prod(z.shape[1:]))
        with self.outcomes(event) as where:
            call(_kernels.outcomes, where, self.first, flat, value)
        return value.reshape(len(z), *examples)

    def at_features(self, x: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Evaluate f and its gradient at features x, shape (S, *logits.shape)."""
        examples, event = self.shape(x.shape[1:])
        x = _validate.real_array(x, "x")
        value, grad = np.empty((len(x), math.prod(examples))), np.empty(x.shape, x.dtype)
        shape = len(x), math.prod(x.shape[1:])
        with self.features(event, x.dtype) as where:
            flat = x.reshape(shape), value, grad.reshape(shape)
            call(_kernels.features, where, self.first, *flat)
        return value.reshape(len(x), *examples), grad

    # -- machine code ---------------------------------------------------------------------------

    def outcomes(self, event: tuple[int, ...]) -> _Where:
        """Return where machine code for outcomes of this shape is."""
        assert self.function is not None, "f of outcomes is given"
        make = functools.partial(_evaluators.at_outcomes, self.function, len(event), self._kinds)
        return _Where(self._made(0, make), event, self.data)

    def features(self, event: tuple[int, ...], dtype: Any) -> _Where:
        """Return where machine code for features of this shape is."""
        given = self.value_and_grad, len(event), self._kinds
        make = functools.partial(_evaluators.at_features, *given, dtype)
        return _Where(self._made(1, make), event or (1,), self.data)

    @property
    def _kinds(self) -> tuple[Any, ...]:
        return tuple(map(_evaluators.kind_of, self.data))

    def _made(self, which: int, make: Callable[[], Any]) -> Any:
        try:
            return make()
        except _evaluators.Refused as refused:
            raise TypeError(
                f"{NAMES[which]} must be a function {ARGUMENTS[which]} that Numba compiles and "
                f"that returns a number: {refused}"
            ) from refused.__cause__


class _Where:
    """Where an evaluator and its table are: addresses that hold in the block of a `with`."""

    kept: tuple[Any, Any, tuple[Array, ...]]

    def __init__(self, evaluator: Any, event: tuple[int, ...], data: tuple[Array, ...]) -> None:
        self.kept = evaluator, _evaluators.table(event, data), data

    def __enter__(self) -> tuple[int, int]:
        evaluator, table, _ = self.kept
        return evaluator.address, table.ctypes.data

    def __exit__(self, *_: object) -> None:
        pass


def call(kernel: Any, *args: Any) -> None:
    """Call a kernel that calls f; where f has raised an exception on some thread, raise it."""
    try:
        kernel(*args)
    except MemoryError:  # all that threads say: serially, it is the exception itself
        kernel.dispatcher(0, 1, *args)


def _datum(x: Any, name: str) -> Array:
    """Return data as a C-contiguous array, in memory of its own only where it is not one."""
    x = np.asarray(_validate.array(x, name), order="C")
    if x.dtype.kind not in "biufc" or not x.dtype.isnative:
        raise TypeError(f"{name} must be an array of numbers or a number, got dtype {x.dtype}")
    return x
