"""Solvers that users give, by number, as operators take no functions."""

from __future__ import annotations

import threading
from collections import ChainMap
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from fastgrad.torch.operators import KEPT

__all__ = ["MOST", "number_of", "numbered", "of_arrays", "recent"]

MOST = 1024  # of those that no graph has

recent: dict[int, Callable[[Tensor], Any]] = KEPT.setdefault("solvers", {})
_in_graphs: dict[int, Callable[[Tensor], Any]] = KEPT.setdefault("solvers of graphs", {})
_known = ChainMap(_in_graphs, recent)  # each is alive, so that its identity is its own
_lock = threading.Lock()


def number_of(solver: Callable[[Tensor], Any]) -> int:
    """Return the number of a solver, which is known for many calls to come."""
    number = id(solver)
    with _lock:
        recent.pop(number, None)
        recent[number] = solver
        while len(recent) > MOST:
            del recent[next(iter(recent))]
    return number


@torch.compiler.assume_constant_result
def _number_in_graph(solver: Callable[[Tensor], Any]) -> int:
    """Return the number of a solver, which is known for as long as graphs are: for ever."""
    _in_graphs[id(solver)] = solver
    return id(solver)


def numbered(solver: Callable[[Tensor], Any]) -> int:
    """Return the number of a solver, checked."""
    if not callable(solver):
        raise TypeError(f"solver must be a function of tensors, got {solver!r}")
    return _number_in_graph(solver) if torch.compiler.is_compiling() else number_of(solver)


def of_arrays(number: int) -> Callable[[Any], Any]:
    """Return the solver of that number as a function of arrays."""
    solver = _known.get(number)
    if solver is None:
        raise RuntimeError(
            f"solve must be differentiated before it is called with {MOST} other solvers: "
            "its own is kept no longer"
        )

    def call(theta: Any) -> Any:
        with torch.no_grad():
            y = solver(torch.from_numpy(theta if theta.flags.writeable else theta.copy()))
        return y.numpy(force=True) if isinstance(y, Tensor) else y

    return call
