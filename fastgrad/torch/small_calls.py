"""Small calls of kernels on the memory of tensors, by its addresses.

For a few numbers, making arrays of tensors, checking them by the NumPy API and handing them to a
kernel takes five times as long as the kernel. Here one compiled call does all of it: with the same
machine code, so that the bits are the same. What it does not do it leaves to the usual way, which
finds the words for what may be wrong: the functions then return None.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastgrad import _validate
from fastgrad.kernels.compiler.jit import Kernel
from fastgrad.kernels.distributions import concrete as _concrete
from fastgrad.kernels.distributions import concrete_addresses as _addresses
from fastgrad.kernels.distributions import concrete_choice as _choice
from fastgrad.kernels.distributions import concrete_products as _products
from fastgrad.torch.tensors import SEEDED, empty, key_of

__all__ = ["GUMBEL_SOFTMAX", "SmallCall"]

MOST = 4096  # numbers of a result: beyond, an array more or less does not matter
TYPES = {torch.float32: np.float32, torch.float64: np.float64}


class SmallCall(NamedTuple):
    """How small calls of an operator are made.

    Attributes
    ----------
    forward : callable
        Takes the operand and the other arguments of the operator; returns the result, or None.
    product : callable
        Takes the cotangent, the tensors that the forward call saved, and its other arguments;
        returns the gradient, or None.
    """

    forward: Callable[..., Tensor | None]
    product: Callable[[Tensor, Sequence[Tensor], Sequence[Any]], Tensor | None]


@functools.cache
def _drawing(dtype: torch.dtype, kernel: Kernel) -> tuple[Any, int]:
    """Return the function of addresses that draws, and the address of the kernel's machine code."""
    real = TYPES[dtype]
    rows, x = _validate.frozen(np.zeros((1, 1), real)), np.zeros((1, 1, 1), real)
    noise = (np.uint32(0), np.uint32(0)), 0, 0
    code = kernel.address(0, 1, rows, noise, real(1), _concrete.SOFT, x)
    return _addresses.gumbel_softmax(real).dispatcher, code


@functools.lru_cache(256)
def _drawing_at(dtype: torch.dtype, temperature: float) -> tuple[Any, int]:
    """Return what `_drawing` does of the kernel that this temperature takes."""
    return _drawing(dtype, _choice.kernels(TYPES[dtype](1.0 / temperature)).gumbel_softmax)


@functools.cache
def _multiplying(dtype: torch.dtype) -> tuple[Any, int]:
    """Return the function of addresses that makes products, and its kernel's, as `_drawing`."""
    real = TYPES[dtype]
    r, grad = _validate.frozen(np.zeros((1, 1, 1), real)), np.zeros((1, 1), real)
    code = _products.gumbel_softmax.address(0, 1, r, r, real(1), grad)
    return _addresses.gumbel_softmax_product(real).dispatcher, code


def _plain(x: Tensor) -> bool:
    """Return whether the numbers of a tensor lie side by side at its address."""
    strided = x.layout is torch.strided and x.is_contiguous()
    return strided and not x.is_neg() and x.data_ptr() != 0


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
) -> Tensor | None:
    samples, size = 1 if num_samples is None else num_samples, logits.numel()
    if type(temperature) is not float or not 2.0**-60 <= temperature <= 2.0**60:
        return None
    if not type(samples) is type(row_offset) is type(sample_offset) is int:
        return None
    if not (0 < samples * size <= MOST and 0 <= row_offset <= 2**40 and logits.ndim):
        return None
    if not 0 <= sample_offset <= 2**32 - samples or not (hard is log is False):
        return None
    if not _plain(logits):
        return None
    if key_1 == SEEDED:
        key_0, key_1 = key_of(key_0, key_1).words
    k = logits.shape[-1]
    draw, code = _drawing_at(logits.dtype, temperature)
    out = empty(() if num_samples is None else (samples,), logits)
    where = key_0, key_1, sample_offset, row_offset, 1.0 / temperature, _concrete.SOFT
    addresses = code, logits.data_ptr(), out.data_ptr()
    return out if draw(*addresses, size // k, k, samples, *where) else None


def _gumbel_softmax_product(
    cotangent: Tensor, saved: Sequence[Tensor], arguments: Sequence[Any]
) -> Tensor | None:
    (x, logits), (temperature, _, _, num_samples, hard, log, *_) = saved, arguments
    if type(temperature) is not float or hard or log or x.numel() > MOST:
        return None
    if cotangent.shape != x.shape or cotangent.dtype is not x.dtype:
        return None
    if not _plain(cotangent) or not _plain(x):
        return None
    k = logits.shape[-1]
    multiply, code = _multiplying(logits.dtype)
    grad = empty((), logits)
    addresses = code, x.data_ptr(), cotangent.data_ptr(), grad.data_ptr()
    samples = 1 if num_samples is None else num_samples
    done = multiply(*addresses, logits.numel() // k, k, samples, 1.0 / temperature)
    return grad if done else None


GUMBEL_SOFTMAX = SmallCall(_gumbel_softmax, _gumbel_softmax_product)
