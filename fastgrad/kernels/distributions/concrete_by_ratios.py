"""Relaxations at temperatures 1 and 1/2, one for all rows, and one-hot samples: by ratios.

These kernels do what those of `concrete` do at other temperatures, with the same arguments; see
`concrete_choice`. They stand apart so that a call compiles only what it needs: one kernel of both
takes twice as long.
`concrete_ratios` says how the ratios are compared.

Oracle: tests/distributions/test_concrete_ratios.py.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel, wide_vectors
from fastgrad.kernels.distributions import concrete_ratios as ratios
from fastgrad.kernels.distributions import concrete_ratios_given as given
from fastgrad.kernels.distributions.concrete import HARD
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.philox import CONDITIONAL, NOISE
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.check import any_nan
from fastgrad.kernels.tiles.factors import power


@block
def store_one_hot(out, arg, row, layout):
    """Write 1 at the winners of `columns.argmax`, 0 elsewhere, to their rows of out, (N, K)."""
    wide_vectors()
    flat, columns = tile.extent(out, row, layout), arg.size
    for i in range(flat.size):
        flat[i] = like(0, out)
    if layout.fold:
        for c in range(columns):
            if arg[c] >= 0:
                flat[arg[c] * columns + c] = like(1, out)
        return
    k, skipped = out.shape[1], max(-row, 0)
    for j in range(flat.size // k):
        r = skipped + j
        flat[j * k + arg[r % 4 * (columns // 4) + r // 4]] = like(1, out)


@kernel(cost=lambda out: out.size)
def gumbel_softmax(chunk, chunks, logits, noise, scale, mode, out, bad):
    """Fill out, (S, N, K), with relaxed samples (SOFT, scale [1] or [2]), or one-hot (HARD).

    As for bad, see `concrete.gumbel_softmax`.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real, exponent = layout.fold, logits.dtype, power(scale[0])
    t, w, scratch = tile.scratch(layout, 3, real)
    best, second, s = tile.statistics(layout, 3, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        ratios.weigh(t, best, fold, tile.ahead(logits, row, layout))
        bad[chunk] |= any_nan(best)
        place = addresses(layout, row)
        for i in range(out.shape[0]):
            sample, ahead = np.uint32(first_sample + i), tile.extent(out[i], row, layout)
            fill_bits(bits, *place, sample, NOISE, key)
            if mode == HARD:
                ratios.find(w, t, bits, best, second, arg, fold, ahead)
            else:
                ratios.race(w, t, bits, best, second, arg, s, exponent, fold, ahead)
                ratios.invert(s)
            if ratios.near(best, second):
                ratios.settle(scratch, logits, row, bits, second, arg, fold)
                if mode != HARD:
                    ratios.crown(w, best, s, arg, exponent)
            if mode == HARD:
                store_one_hot(out[i], arg, row, layout)
            else:
                tile.store_multiple(out[i], w, s, row)


@kernel(cost=lambda logits, z: logits.size * len(z))
def relax(chunk, chunks, logits, noise, scale, coupled, log, z, others, bad):
    """Draw z, shape (S, N), and the others: relaxed, conditional and score, each (S, N, K).

    scale is [1] or [2], and log False. As for an empty score, and bad, see `concrete.relax`.
    """
    key, first_sample, offset = noise
    relaxed, conditional, score = others
    scored = score.size > 0
    layout = tile.layout(*logits.shape, offset)
    fold, real, exponent = layout.fold, logits.dtype, power(scale[0])
    t, w, scratch = tile.scratch(layout, 3, real)
    best, second, s, total, time, rest = tile.statistics(layout, 6, real)
    (arg, likeliest), bits = tile.statistics(layout, 2, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        place = addresses(layout, row)
        tile.load(t, logits, row, like(-np.inf, t))
        col.argmax(t, best, likeliest, fold)
        given.weigh(t, best, total, fold, tile.ahead(logits, row, layout))
        if scored:
            given.sum_others(t, likeliest, total, rest, fold)
        bad[chunk] |= any_nan(total)
        for i in range(z.shape[0]):
            sample, ahead = np.uint32(first_sample + i), tile.extent(relaxed[i], row, layout)
            fill_bits(bits, *place, sample, NOISE, key)
            ratios.race(w, t, bits, best, second, arg, s, exponent, fold, ahead)
            ratios.invert(s)
            if ratios.near(best, second):
                ratios.settle(scratch, logits, row, bits, second, arg, fold)
                ratios.crown(w, best, s, arg, exponent)
            tile.store_multiple(relaxed[i], w, s, row)
            tile.store_categories(z[i], arg, row, fold)
            ahead = tile.extent(conditional[i], row, layout)
            if coupled:
                elementwise.assign(ahead, tile.extent(relaxed[i], row, layout))
            else:
                fill_bits(bits, *place, sample, CONDITIONAL, key)
                given.arrive(time, bits, arg, total, fold, ahead)
                ahead = tile.extent(score[i], row, layout)
                given.race(w, t, bits, time, best, second, arg, s, exponent, fold, ahead)
                ratios.invert(s)
                if ratios.near(best, second):
                    ratios.crown(w, best, s, arg, exponent)
                tile.store_multiple(conditional[i], w, s, row)
            if scored:
                given.score(w, t, arg, likeliest, rest, total, s)
                tile.store_multiple(score[i], w, s, row)
