"""Rows of the table of operators, and how the arguments of one are read.

What operators are given, by the schema, is what functions of the NumPy API take by name; from its
shapes follow those of the results.
"""

from __future__ import annotations

import dataclasses
import operator
from collections.abc import Callable, Container, Sequence
from typing import Any

import torch
from torch import Tensor

from fastgrad.torch.small_calls import SmallCall
from fastgrad.torch.tensors import CPU, key_of

KEY = ("key_0", "key_1")
# Parts of the schemas of those that draw.
DRAW = "SymInt key_0, SymInt key_1, SymInt? num_samples"
PLACE = "SymInt row_offset, SymInt sample_offset"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Operator:
    """A row of the table.

    Attributes
    ----------
    name : str
        The operator is ``torch.ops.fastgrad._name``: not to be called by users, as `torch.func`
        would take its derivatives to be zero.
    function : callable
        Of the NumPy API: takes the operands, and the other arguments by name.
    vjp : callable, optional
        Takes the operands, the results that it reuses, a cotangent for each differentiable result,
        and those of the other arguments that it has. Returns a gradient for each differentiable
        operand.
    arguments : str
        The schema: tensors first, operands before the temperature.
    operands : tuple of int
        How many axes an operand has beside the first one, without those of samples: -1 for
        categories, which lack the axis of logits. Those before `gradients` are differentiable.
    results : tuple of (int, dtype or None)
        The same of the results, and their type, None for that of the logits.
    differentiable : tuple of int
        Which of the results have a gradient.
    gradients : int
        How many of the operands have a gradient.
    reduces : bool
        Whether results lack the axis of samples that operands have.
    reuses : tuple of int
        Which of the results the product takes after the operands.
    small : SmallCall, optional
        How calls of few numbers are made: of one operand, cotangent and gradient.
    """

    name: str
    function: Callable[..., Any]
    arguments: str
    vjp: Callable[..., Any] | None = None
    operands: tuple[int, ...] = (0,)
    results: tuple[tuple[int, torch.dtype | None], ...] = ((0, None),)
    differentiable: tuple[int, ...] = (0,)
    gradients: int = 1
    reduces: bool = False
    reuses: tuple[int, ...] = ()
    small: SmallCall | None = None


def names_of(row: Operator) -> list[str]:
    """Return the names of the arguments after the operands."""
    names = [argument.split()[1].split("=")[0] for argument in row.arguments.split(", ")]
    return names[len(row.operands) :]


def dispatched(row: Operator) -> Callable[[Sequence[Any]], Sequence[Any]]:
    """Return what makes of the arguments after the operands those that operators take."""
    names = names_of(row)
    at = names.index("temperature") if "temperature" in names else -1

    def convert(args: Sequence[Any]) -> Sequence[Any]:
        for i, x in enumerate(args):
            if isinstance(x, Tensor) and i != at:  # the dispatcher's words for it name no argument
                raise TypeError(
                    f"{names[i]} must be a number, got a tensor: torch.func.vmap does not map it"
                )
        if at < 0 or type(args[at]) is not float:
            return args
        number = torch.tensor(args[at], dtype=torch.float64, device=CPU)
        return (*args[:at], number, *args[at + 1 :])

    return convert


def reader(names: Sequence[str], begin: int, known: Container[str]) -> Callable[..., Any]:
    """Return what makes of all arguments those that the NumPy API takes by name.

    The names are those of the arguments from number `begin` on; what is not known is left out.
    """
    special = ("temperature", *KEY)
    plain = [i for i, name in enumerate(names) if name in known and name not in special]
    labels = [names[i] for i in plain]
    # A slice for a single one, as what is picked is a tuple then too.
    places = (
        [begin + i for i in plain]
        if len(plain) > 1
        else [slice(begin + i, begin + i + 1) for i in plain]
    )
    pick = operator.itemgetter(*places) if places else lambda args: ()
    temperature = begin + names.index("temperature") if "temperature" in names else None
    key = begin + names.index(KEY[0]) if KEY[0] in names and "rng" in known else None

    def read(args: Sequence[Any]) -> dict[str, Any]:
        options: dict[str, Any] = dict(zip(labels, pick(args)))
        if temperature is not None:
            value = args[temperature]
            options["temperature"] = value if type(value) is float else value.item()
        if key is not None:
            options["rng"] = key_of(args[key], args[key + 1])
        return options

    return read


def lead_of(row: Operator, operands: Sequence[Any], options: dict[str, Any]) -> tuple[int, ...]:
    """Return the shape of the axis of samples of results: (S,), or () where there is none."""
    if row.reduces:
        return ()
    if options.get("num_samples") is not None:
        return (options["num_samples"],)
    base = operands[0].ndim
    for x, axes in zip(operands, row.operands, strict=True):
        if x.ndim > base + axes:
            return (x.shape[0],)
    return ()


def shapes_of(row: Operator, lead: Any, x: Tensor) -> list[tuple[Any, torch.dtype]]:
    """Return shape and type of each result."""
    return [
        ((*lead, *x.shape[: x.ndim + axes]), x.dtype if dtype is None else dtype)
        for axes, dtype in row.results
    ]
