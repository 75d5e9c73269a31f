"""What operators do on the CPU: calls of the NumPy API on the memory of tensors.

Arguments by name are read apart from the work, since a backward pass has them already.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastgrad import _outputs, _validate
from fastgrad.torch.arguments import Operator, lead_of, names_of, reader, shapes_of
from fastgrad.torch.tensors import CPU, empty

__all__ = ["Call", "forward_of", "one_or_all", "product_of", "summed_relaxations", "summed_scores"]


class Call(NamedTuple):
    """A call of the NumPy API.

    Attributes
    ----------
    read : callable
        Takes all arguments of an operator; returns those that go by name.
    run : callable
        Takes a sequence of the tensors before these, and a dictionary of what `read` returns.
    """

    read: Callable[..., dict[str, Any]]
    run: Callable[..., Any]

    def __call__(self, *args: Any) -> Any:
        """Do as the operator does."""
        return self.run(args, self.read(args))


def _array(x: Tensor) -> Any:
    """Return an array of the memory of a tensor, with its sign where the negation is lazy."""
    try:
        return x.numpy()
    except RuntimeError:  # which asks more than twice as fast
        return x.numpy(force=True)


def forward_of(row: Operator) -> Call:
    """Return the forward call of a row."""
    names, function, count = names_of(row), row.function, len(row.operands)
    writes = "out" in inspect.signature(function).parameters
    drawn = "num_samples" in names
    alike = row.results == ((0, None),)  # to the first operand, but for an axis of samples

    def run(args: Sequence[Any], options: dict[str, Any]) -> Any:
        arrays = [_array(x) for x in args[:count]]
        if not writes:
            return _tensors(function(*arrays, **options))
        if drawn:
            _, lead = _validate.samples(options["num_samples"])
        else:
            lead = lead_of(row, args[:count], options)
        x = args[0]
        if alike:
            result = empty(lead, x)
            _outputs.retain(result.nbytes)
            function(*arrays, out=result.numpy(), **options)
            return result
        results = [
            torch.empty(shape, dtype=kind, device=CPU) for shape, kind in shapes_of(row, lead, x)
        ]
        _outputs.retain(sum([x.nbytes for x in results]))
        function(*arrays, out=one_or_all([x.numpy() for x in results]), **options)
        return one_or_all(results)

    return Call(reader(names, count, {*names, "rng"}), run)


def product_of(row: Operator) -> Call:
    """Return the call of the vector-Jacobian product of a row.

    Its tensors are cotangents, the results that it reuses, and the operands. What is read of the
    forward call may be more than it takes.
    """
    cotangents, names = len(row.differentiable), names_of(row)
    vjp: Callable[..., Any] = row.vjp  # pyright: ignore
    parameters = inspect.signature(vjp).parameters
    takes_all = "options" in parameters
    known = {*names, "rng"} if takes_all else set(parameters)
    first = cotangents + len(row.reuses)
    last = first + len(row.operands)

    def run(args: Sequence[Any], options: dict[str, Any]) -> Any:
        arrays = [_array(x) for x in args[:last]]
        given = (*arrays[first:], *arrays[cotangents:first], *arrays[:cotangents])
        if not takes_all:
            options = {name: x for name, x in options.items() if name in known}
        return _tensors(vjp(*given, **options))

    return Call(reader(names, last, known), run)


def _tensors(found: Any) -> Any:
    """Return a fresh array, or several, as tensors of their memory."""
    if type(found) is np.ndarray:
        return torch.from_numpy(found)
    many = found if isinstance(found, tuple) else (found,)
    return one_or_all([torch.from_numpy(np.asarray(x)) for x in many])


def one_or_all(results: list[Any]) -> Any:
    """Return a tuple of results; a single one as it is."""
    return tuple(results) if len(results) > 1 else results[0]


def summed_scores(score: Callable[..., Any], event: int) -> Callable[..., Any]:
    """Return the product for log probabilities: scores of samples times cotangents, summed.

    `event` is the number of axes of the logits of one variable.
    """

    def product(logits: Any, z: Any, cotangent: Any) -> Any:
        batch = logits.shape[: logits.ndim - event]
        total = np.zeros(logits.shape, logits.dtype)
        flat = math.prod(z.shape[: z.ndim - len(batch)]), *batch  # there may be no rows
        pairs = zip(z.reshape(flat), cotangent.reshape(flat), strict=True)
        for one, weight in pairs:
            total += weight.reshape(*batch, *event * (1,)) * score(logits, one)
        return total

    return product


def summed_relaxations(relax_vjp: Callable[..., Any]) -> Callable[..., Any]:
    """Return the product for `relax`: the sum of those through both relaxations."""

    def product(
        logits: Any, relaxed: Any, conditional: Any, *, num_samples: Any, **options: Any
    ) -> Any:
        through, given = relax_vjp(logits, relaxed, conditional, **options)
        through += given
        return through

    return product
