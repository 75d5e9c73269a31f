"""Serial calls of kernels on the memory of tensors, by its addresses.

For a few numbers, making arrays of tensors, checking them by the NumPy API and handing them to a
kernel takes five times as long as the kernel; after a large call, which has taken the caches, all
that Python touches takes several times as long again. Here one compiled call does all of it: with
the same machine code, so that the bits are the same. What it does not do it leaves to the usual
way, which has threads, and finds the words for what may be wrong: the functions then return None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastgrad import _marks, _outputs, _validate
from fastgrad.kernels.compiler.jit import Kernel, plan
from fastgrad.kernels.distributions import concrete as _concrete
from fastgrad.kernels.distributions import concrete_addresses as _addresses
from fastgrad.kernels.distributions import concrete_choice as _choice
from fastgrad.kernels.distributions import concrete_products as _products
from fastgrad.torch.tensors import SEEDED, empty, key_of

__all__ = ["GUMBEL_SOFTMAX", "SmallCall"]

TYPES: dict[torch.dtype, type[Any]] = {torch.float32: np.float32, torch.float64: np.float64}


class SmallCall(NamedTuple):
    """How small calls of an operator are made.

    Attributes
    ----------
    forward : callable
        Takes the operand and the other arguments of the operator; returns the result, and what the
        product is to know of the call; or None.
    product : callable
        Takes the cotangent, the result as it was saved, and what the forward call has said; returns
        the gradient, or None. Shape and type of the cotangent are those that the result had, which
        autograd has seen to.
    """

    forward: Callable[..., tuple[Tensor, Any] | None]
    product: Callable[[Tensor, Tensor, Any], Tensor | None]


def _scales(dtype: torch.dtype, temperature: float) -> Any:
    return _validate.scales(np.dtype(TYPES[dtype]), temperature, ())


@functools.cache
def _drawing(dtype: torch.dtype, kernel: Kernel) -> tuple[Any, int]:
    """Return the function of addresses that draws, and the address of the kernel's machine code."""
    real, scale = TYPES[dtype], _scales(dtype, 1.0)
    rows, x = _validate.frozen(np.zeros((1, 1), real)), np.zeros((1, 1, 1), real)
    noise = (np.uint32(0), np.uint32(0)), 0, 0
    code = kernel.address(0, 1, rows, noise, scale, _concrete.SOFT, x, _marks.marks())
    return _addresses.gumbel_softmax(real).dispatcher, code


@functools.lru_cache(256)
def _drawing_at(dtype: torch.dtype, temperature: float) -> tuple[Any, int, int, Any]:
    """Return what `_drawing` does of the kernel for a temperature, and where its scale is."""
    scale = _scales(dtype, temperature)
    kernel = _choice.drawing(scale).gumbel_softmax
    return *_drawing(dtype, kernel), scale.ctypes.data, scale


@functools.cache
def _multiplying(dtype: torch.dtype) -> tuple[Any, int]:
    """Return the function of addresses that makes products, and its kernel's, as `_drawing`."""
    real = TYPES[dtype]
    r, grad = _validate.frozen(np.zeros((1, 1, 1), real)), np.zeros((1, 1), real)
    code = _products.gumbel_softmax.address(0, 1, r, r, real(1), grad)
    return _addresses.gumbel_softmax_product(real).dispatcher, code


def _address(x: Tensor) -> int:
    """Return where the numbers of a dense tensor lie side by side, or 0 if they do not."""
    return x.data_ptr() if x.is_contiguous() and not x.is_neg() else 0


def _gumbel_softmax(
    logits: Tensor,
    temperature: Any,
    key_0: int,
    key_1: int,
    num_samples: Any,
    hard: Any,
    log: Any,
    row_offset: Any,
    sample_offset: Any,
) -> tuple[Tensor, Any] | None:
    samples, size = 1 if num_samples is None else num_samples, logits.numel()
    if type(temperature) is not float or not 2.0**-60 <= temperature <= 2.0**60:
        return None
    if not type(samples) is type(row_offset) is type(sample_offset) is int:
        return None
    if not (samples * size > 0 and 0 <= row_offset <= 2**40 and logits.ndim):
        return None
    if not 0 <= sample_offset <= 2**32 - samples or not (hard is log is False):
        return None
    given = _address(logits)
    if not given or plan(samples * size) > 1:  # chunks of the kernel would go to several threads
        return None
    if key_1 == SEEDED:
        key_0, key_1 = key_of(key_0, key_1).words
    k, inverse = logits.shape[-1], 1.0 / temperature
    draw, code, scale, _kept = _drawing_at(logits.dtype, temperature)
    out = torch.empty_like(logits) if num_samples is None else empty((samples,), logits)
    _outputs.retain(out.nbytes)
    where = key_0, key_1, sample_offset, row_offset, scale, _concrete.SOFT
    rows = size // k
    done = draw(code, given, out.data_ptr(), rows, k, samples, *where)
    return (out, (num_samples is None, rows, k, samples, inverse)) if done else None


def _gumbel_softmax_product(cotangent: Tensor, x: Tensor, call: Any) -> Tensor | None:
    if x.dtype is not cotangent.dtype or x.shape != cotangent.shape:  # by hooks of what is saved
        return None
    if cotangent.layout is not torch.strided or x.layout is not torch.strided:
        return None
    if not cotangent.is_contiguous():  # as that of a sum, whose strides are 0
        cotangent = cotangent.contiguous()
    at, given = _address(x), _address(cotangent)
    if not at or not given:
        return None
    multiply, code = _multiplying(x.dtype)
    alike, *sizes = call
    grad = torch.empty_like(cotangent if alike else cotangent[0])
    return grad if multiply(code, at, given, grad.data_ptr(), *sizes) else None


GUMBEL_SOFTMAX = SmallCall(_gumbel_softmax, _gumbel_softmax_product)
