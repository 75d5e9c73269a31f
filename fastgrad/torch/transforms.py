"""Tensors inside the transforms of `torch.func`: what they hold, and results wrapped alike.

There a tensor is wrapped once for each transform that concerns it, the innermost outermost: by
`vmap` around values with one more axis, by `grad` around values that are watched. An estimator
needs the values of all rows at once, in arrays; f is asked as the transforms would have it.
"""

from __future__ import annotations

import contextlib
import dataclasses
from typing import Any

import torch
from torch import Tensor
from torch._C import _functorch as _f  # pyright: ignore
from torch._functorch.pyfunctorch import temporarily_clear_interpreter_stack

__all__ = ["Mapped", "active", "array_of", "mapped", "tensor_of"]


def active() -> bool:
    """Return whether a transform is at work."""
    return torch._C._are_functorch_transforms_active()


def array_of(x: Tensor) -> Any:
    """Return an array of the memory of a tensor that is not mapped."""
    if not active() and not (x.is_neg() or x.is_conj()):
        return (x.detach() if x.requires_grad else x).numpy()  # to force it takes twice as long
    with _outside():
        return x.numpy(force=True)


def tensor_of(x: Any) -> Tensor:
    """Return a tensor of the memory of an array, which nothing maps or watches."""
    if not active():
        return torch.from_numpy(x)
    with _outside():
        return torch.from_numpy(x)


def _outside() -> Any:
    return temporarily_clear_interpreter_stack() if active() else contextlib.nullcontext()


def _inner(x: Tensor) -> Tensor:
    """Return what is watched: operations wrap their results, even those of plain tensors."""
    while _f.is_gradtrackingtensor(x):
        x = _f.get_unwrapped(x)
    return x


@dataclasses.dataclass(frozen=True)
class Mapped:
    """How a tensor is mapped: the levels of `vmap`, the outermost first, and their sizes.

    All values together have the axes of the levels side by side, as rows of one large call.
    """

    levels: tuple[tuple[int, int], ...] = ()

    def wrap(self, x: Tensor, axis: int) -> Tensor:
        """Return all values, whose axes of levels begin at `axis`, as a tensor that is mapped."""
        for level, _ in self.levels:
            x = _f._add_batch_dim(x, axis, level)
        return x

    def unwrap(self, x: Tensor, axis: int, name: str) -> Tensor:
        """Return all values of a tensor, their axes of levels from `axis` on."""
        rest = list(self.levels)
        while True:
            x = _inner(x)
            level = _f.maybe_get_level(x) if _f.is_batchedtensor(x) else -1
            while rest and rest[-1][0] > level:  # it is the same for all of these
                shape = (*x.shape[:axis], rest.pop()[1], *x.shape[axis:])
                x = _inner(x.unsqueeze(axis).expand(shape))
            if level < 0:
                return x
            if not rest or rest.pop()[0] != level:
                raise ValueError(
                    f"{name} must not be mapped by torch.func.vmap where the logits are not: "
                    "expand the logits, and map them as well"
                )
            x = _f.get_unwrapped(x).movedim(_f.maybe_get_bdim(x), axis)


UNMAPPED = Mapped()


def mapped(x: Tensor) -> tuple[Tensor, Mapped]:
    """Return all values of a tensor, their axes of levels first, and how it is mapped."""
    if not active():
        return x, UNMAPPED
    levels = []
    while _f.is_gradtrackingtensor(x) or _f.is_batchedtensor(x):
        if _f.is_gradtrackingtensor(x):
            x = _f.get_unwrapped(x)
        else:
            level, axis = _f.maybe_get_level(x), _f.maybe_get_bdim(x)
            x = _f.get_unwrapped(x).movedim(axis, 0)
            levels.append((level, x.shape[0]))
    return x, Mapped(tuple(reversed(levels)))
