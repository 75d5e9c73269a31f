"""Sampling by inverse CDF: one uniform a row, cumulative weights in float64.

So the rarest category keeps its probability, to the rounding of its weight and the last of 64 bits
(32 in narrow float32 rows), and one of weight zero is never drawn.

Where many samples are drawn with words of 32 bits, a word is not made a number of that CDF: `bound`
finds for each category the least word that lies above, and these are compared as integers. A word
u stands for (u + 1/2) total / 2^32, rounded, so the bound is 2^32 sum / total - 1/2, rounded up.
Rounding in float64 moves that by less than 2^-19. What is `MARGIN` from a whole number or nearer is
left to `invert`, a tile at a time: one of 70 where K is 16.

Oracle: tests/support/reference.py, `sample_inverse`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, wide_vectors
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.philox import UNIFORM, philox
from fastgrad.kernels.simd.intrinsics import bits as bits_of
from fastgrad.kernels.simd.intrinsics import fma, like, to_float64, to_int32, where
from fastgrad.kernels.simd.lanes import first_of
from fastgrad.kernels.simd.special import exp_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.check import any_nan

BELOW_ONE = np.float64(1.0 - 2.0**-52)
HIGH, HALF, UNIT = np.float64(2.0**-32), np.float64(2.0**-33), np.float64(2.0**-64)
MANY = 6  # samples for which bounds pay
WORDS, LOWEST, MARGIN = np.float64(2.0**32), np.int32(-(2**31)), np.float64(2.0**-18)
WHOLE = np.float64(1.5 * 2.0**52)  # added to a number, it leaves a whole one in the low bits


@block
def weigh(w, m, ahead):
    """w = exp(w - m). By the way it fetches `ahead`, the logits of the next tile."""
    wide_vectors()
    at = 0
    for c in range(0, w.shape[1], LANES):
        high = load(m, c)
        for i in range(w.shape[0]):
            prefetch(ahead, at)
            at += LANES
            store(w, (i, c), exp_normal(load(w, (i, c)) - high))


@block
def cumulate(sums, total, e):
    """sums = cumulative sums down each column of e, as those of `accumulate`; total the last."""
    wide_vectors()
    for c in range(0, total.size, LANES):
        running = filled(0.0)
        for i in range(e.shape[0]):
            running = running + to_float64(load(e, (i, c)))
            store(sums, (i, c), running)
        store(total, c, running)


@block
def accumulate(total, e):
    """total = column sums of e, in float64: exact to the rounding of e itself."""
    wide_vectors()
    for c in range(0, total.size, LANES):
        sums = filled(0.0)
        for i in range(e.shape[0]):
            sums = sums + to_float64(load(e, (i, c)))
        store(total, c, sums)


@inline
def uniform(high, low, planes):
    """Return uniforms below 1, in float64: of 32 bits, or with two planes of 64."""
    u = to_float64(high)
    return fma(to_float64(low), UNIT, u * HIGH) if planes == 2 else fma(u, HIGH, HALF)


@block
def invert(z, sums, total, bits):
    """z = number of categories whose cumulative weight is at most u total: the inverse CDF.

    u total lies below the last sum, so that there is always one above.
    """
    wide_vectors()
    none, one = np.int32(0), np.int32(1)
    first, second, planes = bits[0, 0], bits[-1, 0], bits.shape[0]
    for c in range(0, z.size, LANES):
        whole = load(total, c)
        # Below total even where the product rounds up to it: some weight lies above.
        target, below = uniform(load(first, c), load(second, c), planes) * whole, whole * BELOW_ONE
        target = where(target < below, target, below)
        category = filled(none)
        for i in range(sums.shape[0] - 1):  # the last is not at most what lies below it
            category = category + where(load(sums, (i, c)) <= target, one, none)
        store(z, c, category)


@block
def bound(bounds, sums, total):
    """Find what words, less 2^31, must exceed for sums to be at most what `invert` compares.

    Return whether all is certain: not of what is too near a whole number. A word of 0 lies above
    no bound, though it may above a sum: see `count`.
    """
    wide_vectors()
    least, lowered = filled(np.float64(LOWEST)), filled(np.float64(LOWEST) - 1.0)
    whole, worst = filled(WHOLE), filled(0.0)
    for c in range(0, total.size, LANES):
        scale = filled(WORDS) / load(total, c)
        for i in range(bounds.shape[0]):
            x = fma(load(sums, (i, c)), scale, lowered)  # to the nearest: the bound, less one
            x = where(x < least, least, x)
            shifted = x + whole
            store(bounds, (i, c), to_int32(bits_of(shifted)))
            gap = abs(x - (shifted - whole))
            worst = where(gap > worst, gap, worst)
    return first_of(worst > filled(0.5 - MARGIN)) == LANES


@block
def count(z, bounds, words):
    """z = number of bounds that words exceed; return whether that is certain, as no word is 0."""
    wide_vectors()
    none, one = filled(np.int32(0)), filled(np.int32(1))
    lowest, found = filled(LOWEST), none
    for c in range(0, z.size, LANES):
        u, category = like(load(words, c), LOWEST) + lowest, none
        for i in range(bounds.shape[0]):
            category = category + where(load(bounds, (i, c)) < u, one, none)
        store(z, c, category)
        found = where(u == lowest, one, found)
    return first_of(found > none) == LANES


@block
def invert_folded(e, total, u):
    """Return the category of one wide tile at u: by column first, then down it."""
    columns = total.size
    whole = 0.0
    for c in range(columns):
        whole += total[c]
    target = min(u * whole, whole * BELOW_ONE)
    running, column = 0.0, 0
    for c in range(columns):
        if total[c] > 0.0:
            column = c
            if running + total[c] > target:
                break
            running += total[c]
    depth = 0
    for i in range(e.shape[0]):
        if e[i, column] > 0:
            depth = i
            running += np.float64(e[i, column])
            if running > target:
                break
    return depth * columns + column


@block
def uniform_at(row, sample, key):
    """Return the float64 uniform of (sample, row)."""
    address, lane = np.uint64(row // 4), row % 4
    low, high = np.uint32(address), np.uint32(address >> tile.WORD)
    a = philox(low, high, sample, UNIFORM, key[0], key[1])[lane]
    b = philox(low, high, sample, np.uint32(UNIFORM + 1), key[0], key[1])[lane]
    return np.float64(a) * HIGH + np.float64(b) * UNIT


@inline
def room(layout, logits):
    """Return arrays for what `draw_rows` finds of a tile: sums, bounds, and random bits."""
    depth = 1 if layout.fold else layout.depth
    total, sums = (
        tile.empty((layout.columns,), np.float64),
        tile.empty((depth, layout.columns), np.float64),
    )
    bounds = tile.empty((depth - 1, layout.columns), np.int32)
    return total, sums, bounds, tile.empty((logits.itemsize // 4, 1, layout.columns), np.uint32)


@inline
def draw_rows(z, row, first_sample, offset, key, e, given, arg, fold):
    """Draw all samples of the rows of a tile with weights e; return whether a sum of these is NaN.

    given is `room`, arg room for categories.
    """
    total, sums, bounds, bits = given
    if fold:
        accumulate(total, e)
    else:
        cumulate(sums, total, e)
    bad, bounded = any_nan(total), False
    if not fold and not bad and bits.shape[0] == 1 and z.shape[0] >= MANY:
        bounded = bound(bounds, sums, total)
    for i in range(z.shape[0]):
        sample = np.uint32(first_sample + i)
        if fold:
            z[i, row] = invert_folded(e, total, uniform_at(row + offset, sample, key))
        else:
            fill_bits(bits, (row + offset) // 4, 1, 0, sample, UNIFORM, key)
            if not bounded or not count(arg, bounds, bits[0, 0]):
                invert(arg, sums, total, bits)
            tile.store_categories(z[i], arg, row, fold)
    return bad


@kernel(cost=lambda logits, z: logits.size + z.size)
def sample(chunk, chunks, logits, noise, z, bad):
    """Draw z, shape (S, N), by inverse CDF: one uniform a row and sample.

    bad[chunk] is set where logits are invalid: their sum is NaN, which costs nothing to see.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    (e,) = tile.scratch(layout, 1, real)
    (m,) = tile.statistics(layout, 1, real)
    (arg,) = tile.statistics(layout, 1, np.int32)
    given = room(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(e, logits, row, like(-np.inf, e))
        col.maximum(e, m, fold)
        weigh(e, m, tile.ahead(logits, row, layout))
        bad[chunk] |= draw_rows(z, row, first_sample, offset, key, e, given, arg, fold)
