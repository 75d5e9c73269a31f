"""What users pass to the functions of tensors: checked, and made what operators take."""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from fastgrad.random import RNG, Key, as_key
from fastgrad.torch.transforms import mapped

__all__ = ["TorchRNG"]

#: What `rng=` takes here: what the NumPy API takes, or a generator of torch.
TorchRNG: TypeAlias = RNG | torch.Generator

REALS = (torch.float32, torch.float64)
HALVES = (torch.float16, torch.bfloat16)
CPU = torch.device("cpu")  # named wherever tensors are made, as the default may be another
SEEDED = -1  # in place of the second word of a key: the first is then a seed


def on_cpu(x: Any, name: str) -> Tensor:
    """Return a tensor unless it is none, or lives on another device than the CPU."""
    if not isinstance(x, Tensor):
        kind = type(x).__name__
        raise TypeError(f"{name} must be a tensor, got {kind}: functions of arrays are in fastgrad")
    if not x.is_cpu:  # to ask for the device takes five times as long
        raise ValueError(
            f"{name} must be on the CPU, where fastgrad computes, got device {x.device}: "
            "move it with .cpu()"
        )
    if x.layout is not torch.strided or x.is_nested:
        kind = "a nested tensor" if x.is_nested else f"layout {x.layout}"
        raise TypeError(f"{name} must be dense, got {kind}: make it so with .to_dense(), or pad it")
    return x


def real(x: Any, name: str) -> Tensor:
    """Return a tensor of real numbers as float32 or float64, the halves as float32."""
    x = on_cpu(x, name)
    dtype = x.dtype
    if dtype in REALS:
        return x
    if dtype in HALVES:
        return x.float()
    raise TypeError(f"{name} must be float32, float64, float16 or bfloat16, got {dtype}")


def widened(x: Tensor) -> Tensor:
    """Return a tensor of halves as float32, and any other as it is."""
    return x.float() if x.dtype in HALVES else x


def typed(x: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a result in the type in which it is wanted: mostly as it is, which `to` finds late."""
    return x if x.dtype is dtype else x.to(dtype)


def empty(lead: tuple[int, ...], x: Tensor) -> Tensor:
    """Return a tensor of the type and shape of x after leading axes, not filled: C-contiguous."""
    if lead:
        return torch.empty((*lead, *x.shape), dtype=x.dtype, device=CPU)
    return torch.empty_like(x, memory_format=torch.contiguous_format)  # a sixth of that time


def integers(x: Any, name: str) -> Tensor:
    """Return a tensor of integers."""
    x = on_cpu(x, name)
    if x.is_floating_point() or x.is_complex() or x.dtype == torch.bool:
        raise TypeError(f"{name} must hold integers, got {x.dtype}")
    return x


def scalar(value: Any, name: str) -> Tensor | float:
    """Return a number as a tensor of no axes, float64: as such it makes no graph of its own.

    A float stays one outside of graphs until an operator is called, since to make a tensor of it
    takes as long as to dispatch a call.
    """
    if type(value) is float and not torch.compiler.is_compiling():
        return value
    if not isinstance(value, Tensor):
        try:
            value = torch.tensor(value, dtype=torch.float64, device=CPU)
        except (TypeError, ValueError, RuntimeError):
            raise TypeError(f"{name} must be a number, got {value!r}") from None
    if value.requires_grad:
        raise ValueError(f"{name} must not require grad, as it is given none: detach it")
    if value.ndim:
        if value.numel() != 1:
            found = tuple(value.shape)
            raise ValueError(f"{name} must be one number for all rows, got shape {found}")
        value = value.reshape(())
    return on_cpu(value, name).double()


def words(rng: TorchRNG) -> tuple[int, int]:
    """Return two integers that say which key `rng` means, as operators take them.

    An integer goes as it is, so that one graph serves all: see `key_of`.
    """
    if type(rng) is Key:
        return rng.words
    if isinstance(rng, int) and not isinstance(rng, bool) and 0 <= rng < 2**63:
        return rng, SEEDED
    if torch.compiler.is_compiling():
        if isinstance(rng, (torch.Generator, np.random.Generator)):
            raise TypeError(
                "rng must be a fastgrad.Key or an int under torch.compile: a graph can not draw "
                "from a Generator, and would repeat or merge its draws"
            )
        return rng.words  # pyright: ignore
    if isinstance(rng, torch.Generator):
        drawn = torch.randint(2**32, (2,), generator=rng, device=rng.device)
        # Under vmap with randomness="different" each element has a pair, but all are one call.
        first, second = mapped(drawn)[0].reshape(-1, 2)[0].tolist()
        return first, second
    return as_key(rng).words


@functools.lru_cache(256)
def key_of(first: int, second: int) -> Key:
    """Return the key that the two integers of `words` mean."""
    return as_key(first) if second == SEEDED else Key._from_words((first, second))
