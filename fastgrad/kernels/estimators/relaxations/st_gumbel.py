"""One-hot outcomes with the relaxed samples that carry gradients back from them: the same noise.

Oracle: tests/estimators/relaxations/test_st_gumbel.py, `closed_form`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, kernel
from fastgrad.kernels.distributions import bernoulli_noise as lg
from fastgrad.kernels.distributions.concrete_noise import draw as draw_noise
from fastgrad.kernels.distributions.concrete_noise import perturb
from fastgrad.kernels.random.bits import addresses, empty_bits
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import empty


@kernel(cost=lambda x: x.size)
def draw(chunk, chunks, forward, backward, coupled, scale, noise, x, y):
    """Fill x with one-hot argmax(forward + G), y with softmax((backward + G) scale), (S, N, K).

    G is Gumbel noise, that of `concrete`; coupled: forward and backward are the same logits.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*forward.shape, offset)
    fold, real = layout.fold, forward.dtype
    t, u, w, h = tile.scratch(layout, 4, real)
    best, s = tile.statistics(layout, 2, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, forward)
    for row in tile.rows(layout, chunk, chunks):
        place = addresses(layout, row)
        tile.load(t, forward, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        tile.load(u, backward, row, like(-np.inf, u))
        col.subtract_maximum(u, best, fold)
        for i in range(x.shape[0]):
            sample = np.uint32(first_sample + i)
            ahead = tile.extent(x[i], row, layout), tile.ahead(forward, row, layout)
            draw_noise(w, t, bits, place, sample, key, best, arg, fold, ahead)
            col.one_hot(h, arg)
            tile.store(x[i], h, row)
            if not coupled:
                ahead = tile.extent(y[i], row, layout), tile.ahead(backward, row, layout)
                perturb(w, u, bits, best, arg, fold, ahead)
            col.sharpen(w, best, arg, scale, s, fold)
            tile.store(y[i], w, row)


@kernel(cost=lambda x: x.size)
def draw_sites(chunk, chunks, forward, backward, coupled, scale, noise, x, y):
    """Fill x with [forward + L > 0], y with sigmoid((backward + L) scale), L logistic, (S, N)."""
    key, first_sample, offset = noise
    n = forward.size
    blocks, depth = lg.layout(n, offset)
    bits = empty((forward.itemsize // 4, depth, tile.FOLD), np.uint32)
    w = empty(bits[0].size, forward.dtype)
    for b in chunk_range(blocks, chunk, chunks):
        start, head, tail, low = lg.span(b, depth, n, offset)
        odds = w[low : low + tail - head]
        for i in range(x.shape[0]):
            one, z = x[i][head:tail], y[i][head:tail]
            lg.fill_odds(w, bits, start, np.uint32(first_sample + i), NOISE, key)
            lg.perturb(z, forward[head:tail], odds)
            lg.decide(one, z)
            if not coupled:
                lg.perturb(z, backward[head:tail], odds)
            lg.sharpen(z, scale, False)
