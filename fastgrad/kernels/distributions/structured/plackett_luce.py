"""Perturbed logits of the exponential race, and the sweeps in which its derivatives go.

Oracle: tests/distributions/structured/test_plackett_luce.py, `recursion`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, kernel
from fastgrad.kernels.distributions.concrete_noise import draw
from fastgrad.kernels.random.bits import addresses, empty_bits
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile


@kernel(cost=lambda w: w.size)
def perturbed(chunk, chunks, logits, noise, w):
    """Fill w, (S, N, K), with logits less their row's maximum, plus the noise of `concrete`."""
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, x = tile.scratch(layout, 2, real)
    (best,) = tile.statistics(layout, 1, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        place = addresses(layout, row)
        for s in range(w.shape[0]):
            sample = np.uint32(first_sample + s)
            ahead = tile.extent(w[s], row, layout), tile.ahead(logits, row, layout)
            draw(x, t, bits, place, sample, key, best, arg, fold, ahead)
            tile.store(w[s], x, row)


@kernel(cost=lambda x: x.size)
def sweep(chunk, chunks, ratio, backward, x):
    """x[j] += ratio[j] x[j - 1] in each row from the left; backward, x[j + 1] from the right."""
    n, k = x.shape
    for row in chunk_range(n, chunk, chunks):
        r, y = ratio[row], x[row]
        if backward:
            for j in range(k - 2, -1, -1):
                y[j] += r[j] * y[j + 1]
        else:
            for j in range(1, k):
                y[j] += r[j] * y[j - 1]
