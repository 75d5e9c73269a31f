"""Gumbel-softmax and its product of arrays given by their addresses: one short call for each.

Each returns whether it did the work: what needs a closer look, such as invalid logits, is left.

Oracle: the kernels, which they call. tests/torch/test_small_calls.py.
"""

import functools

import numpy as np

from fastgrad.kernels.compiler.addresses import read_only, run
from fastgrad.kernels.compiler.jit import Compiled
from fastgrad.kernels.tiles.memory import array_at, zeros


@functools.cache
def gumbel_softmax(real):
    """Return the function of the kernel's machine code, logits, results, and how to draw these."""

    def draw(code, logits, out, n, k, samples, key_0, key_1, first_sample, row, scale, mode):
        rows = read_only(array_at(logits, (n, k), real))
        noise = (np.uint32(key_0), np.uint32(key_1)), first_sample, row
        x = array_at(out, (samples, n, k), real)
        own, bad = read_only(array_at(scale, (1,), real)), zeros(1, np.bool_)
        return run(code, (rows, noise, own, mode, x, bad)) == 0 and not bad[0]

    return Compiled(draw)


@functools.cache
def gumbel_softmax_product(real):
    """Return the function of the kernel's machine code, relaxed samples, cotangents and results."""

    def multiply(code, x, r, grad, n, k, samples, scale):
        shape = samples, n, k
        given = read_only(array_at(x, shape, real)), read_only(array_at(r, shape, real))
        return run(code, (*given, real(scale), array_at(grad, (n, k), real))) == 0

    return Compiled(multiply)
