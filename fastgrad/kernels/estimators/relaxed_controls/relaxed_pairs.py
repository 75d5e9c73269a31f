"""Samples z with their relaxation and conditional relaxation, each row at its own temperature.

The noise is that of `concrete` and `bernoulli_noise`; the temperature enters last, so two calls of
the same key that differ in it have the same noise. `inverse` holds 1 / temperature, one for each
row.

Oracle: tests/support/reference.py, `relax`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, inline, kernel
from fastgrad.kernels.distributions import bernoulli_noise as lg
from fastgrad.kernels.distributions.concrete import condition, race, softmax
from fastgrad.kernels.distributions.concrete_noise import draw
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.philox import CONDITIONAL, NOISE
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.factors import fill, room
from fastgrad.kernels.tiles.memory import empty


@inline
def row_of(c, row, columns, n, fold):
    """Return the row that stands in column c of a tile; beyond the ends, the nearest."""
    quarter = columns // 4
    r = row if fold else row + 4 * (c % quarter) + c // quarter
    return min(max(r, 0), n - 1)


@kernel(cost=lambda relaxed, conditional: relaxed.size + conditional.size)
def categorical(chunk, chunks, logits, inverse, noise, z, relaxed, conditional):
    """Draw z, (S, N), with relaxed and conditional, (S, N, K); coupled noise if that is empty."""
    key, first_sample, offset = noise
    n, k = logits.shape
    layout = tile.layout(n, k, offset)
    fold, real = layout.fold, logits.dtype
    t, p, w = tile.scratch(layout, 3, real)
    best, s, total, time = tile.statistics(layout, 4, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    scale = room(inverse, layout)
    for row in tile.rows(layout, chunk, chunks):
        place = addresses(layout, row)
        tile.load(t, logits, row, like(-np.inf, t))
        softmax(t, p, best, total, fold)
        fill(scale, inverse, row, fold)
        for i in range(z.shape[0]):
            sample = np.uint32(first_sample + i)
            first_ahead = tile.extent(relaxed[i], row, layout), tile.ahead(logits, row, layout)
            draw(w, t, bits, place, sample, key, best, arg, fold, first_ahead)
            tile.store_categories(z[i], arg, row, fold)
            col.sharpen(w, best, arg, scale, s, fold)
            tile.store(relaxed[i], w, row)
            if conditional.shape[0]:
                fill_bits(bits, *place, sample, CONDITIONAL, key)
                ahead = tile.extent(conditional[i], row, layout)
                race(w, bits, time, best, arg, total, fold, ahead)
                condition(w, t, p, time, best, arg, ahead[:0])
                col.sharpen(w, best, arg, scale, s, fold)
                tile.store(conditional[i], w, row)


@kernel(cost=lambda relaxed, conditional: relaxed.size + conditional.size)
def bernoulli(chunk, chunks, logits, inverse, noise, x, relaxed, conditional):
    """The same for sites, one logit each: all (S, N)."""
    key, first_sample, offset = noise
    n = logits.size
    blocks, depth = lg.layout(n, offset)
    real = logits.dtype
    bits = empty((logits.itemsize // 4, depth, tile.FOLD), np.uint32)
    size = bits[0].size
    w, p_all, q_all = empty(size, real), empty(size, real), empty(size, real)
    for b in chunk_range(blocks, chunk, chunks):
        start, head, tail, low = lg.span(b, depth, n, offset)
        t, scale, odds = logits[head:tail], inverse[head:tail], w[low : low + tail - head]
        p, q = p_all[: tail - head], q_all[: tail - head]
        lg.probabilities(p, q, t)
        for i in range(x.shape[0]):
            number = np.uint32(first_sample + i)
            z = relaxed[i][head:tail]
            lg.fill_odds(w, bits, start, number, NOISE, key)
            lg.perturb(z, t, odds)
            lg.decide(x[i][head:tail], z)
            if conditional.shape[0]:
                m = conditional[i][head:tail]
                lg.fill_odds(w, bits, start, number, CONDITIONAL, key)
                lg.condition(m, odds, z, t, p, q)
                lg.sharpen(m, scale, False)
            lg.sharpen(z, scale, False)
