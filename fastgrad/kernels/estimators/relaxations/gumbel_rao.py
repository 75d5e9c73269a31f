"""Straight-through products averaged over noise drawn given the outcome: Gumbel-Rao.

The perturbed logits z~ given the outcome, and the softmax or sigmoid of them whose Jacobian
multiplies the gradient, are those of `concrete` and `bernoulli_noise`. Inner draw j of sample i
stands where the conditional noise of sample i M + j does, M inner draws each, and is held constant.

With rarity 2 instead of 1, the noise is that of the distribution half way to the outcome, (p + D)
/ 2: a loser, half as likely, arrives twice as late.

Oracle: tests/estimators/relaxations/test_gumbel_rao.py, `conditional_product`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.distributions import bernoulli_noise as lg
from fastgrad.kernels.distributions.concrete import condition, race, softmax
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.philox import CONDITIONAL
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.features import add_softmax_product
from fastgrad.kernels.tiles.memory import empty


@block
def multiply(w, factor):
    """w *= factor, on a flat array."""
    wide_vectors()
    for c in range(w.size):
        w[c] *= factor


@kernel(cost=lambda w, inner: w.size * inner)
def products(chunk, chunks, logits, z, w, scale, rarity, weight, inner, noise, total):
    """total += sum over samples and inner draws of weight scale J(y) w.

    w is (S, N, K), the outcomes z are (S, N).
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, p, y, r, g = tile.scratch(layout, 5, real)
    best, s, share, time = tile.statistics(layout, 4, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        place = addresses(layout, row)
        tile.load(t, logits, row, like(-np.inf, t))
        softmax(t, p, best, share, fold)
        tile.load(g, total, row, like(0, g))
        for i in range(w.shape[0]):
            tile.load(r, w[i], row, like(0, r))
            tile.load_categories(arg, z[i], row, fold)
            for j in range(inner):
                number = np.uint32((first_sample + i) * inner + j)
                fill_bits(bits, *place, number, CONDITIONAL, key)
                race(y, bits, time, best, arg, share, fold, best[:0])
                if rarity != like(1, rarity):
                    multiply(y.reshape(y.size), rarity)
                condition(y, t, p, time, best, arg, best[:0])
                col.sharpen(y, best, arg, scale, s, fold)
                add_softmax_product(g, y, r, weight * scale, s, fold)
        tile.store(total, g, row)


@block
def sign(z, x):
    """z = 1 where x is 1, else -1."""
    wide_vectors()
    for c in range(z.size):
        z[c] = where(x[c] > 0, like(1, z), like(-1, z))


@kernel(cost=lambda w, inner: w.size * inner)
def site_products(chunk, chunks, logits, x, w, scale, rarity, weight, inner, noise, total):
    """`products` of sites: w and the outcomes x are (S, N)."""
    key, first_sample, offset = noise
    n = logits.size
    blocks, depth = lg.layout(n, offset)
    real = logits.dtype
    bits = empty((logits.itemsize // 4, depth, tile.FOLD), np.uint32)
    odds, scratch = empty(bits[0].size, real), empty((6, bits[0].size), real)
    for b in chunk_range(blocks, chunk, chunks):
        start, head, tail, low = lg.span(b, depth, n, offset)
        size = tail - head
        t, g, own = logits[head:tail], total[head:tail], odds[low : low + size]
        z, m, d = scratch[0][:size], scratch[1][:size], scratch[2][:size]
        p, q, r = scratch[3][:size], scratch[4][:size], scratch[5][:size]
        lg.probabilities(p, q, t)
        for i in range(w.shape[0]):
            sign(z, x[i][head:tail])
            lg.copy(r, w[i][head:tail])
            multiply(r, weight)
            for j in range(inner):
                number = np.uint32((first_sample + i) * inner + j)
                lg.fill_odds(odds, bits, start, number, CONDITIONAL, key)
                if rarity != like(1, rarity):
                    multiply(odds, rarity)
                lg.condition(m, own, z, t, p, q)
                lg.slope(d, m, scale, False)
                lg.mask(d, t)
                lg.accumulate(g, d, r)
