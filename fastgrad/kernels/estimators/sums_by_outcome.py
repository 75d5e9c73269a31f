"""Outcomes counted over samples, with their signals and with 1: the sums that scores are made of.

They stand in tiles, category-major: sums has the shape (tiles, 2, depth, columns). Samples are
taken in order and start from what is there, so it does not matter into how many blocks they come.
N variables belong to M cells, N / M consecutive ones to each: one signal concerns a whole cell. A
variable has K columns: one per category, or a single one for a Bernoulli variable, whose outcome 1
is the feature.

Oracle: tests/estimators/score_functions/test_reinforce.py, `test_reinforce_is_its_formula`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import (
    block,
    cached,
    chunk_range,
    inline,
    kernel,
    standalone,
    wide_vectors,
)
from fastgrad.kernels.simd.intrinsics import bits, like, where
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.sums import cell_of, spread

SWEEP = 96  # bytes of a column up to which all categories are compared: beyond, one is looked up
WIDEST = 512  # columns, so that outcomes of AT_ONCE samples stay in L1
AT_ONCE = 16  # samples


@cached
@standalone
def shape(n, k):
    """Return the shape of the sums."""
    found = tile.layout(n, k, 0, WIDEST)
    return found.blocks, 2, found.depth, found.columns


@inline
def last_row(row, k, columns, n):
    """Return the end of the rows in a tile."""
    return row + 1 if k > tile.NARROW else min(row + columns, n)


@block
def load_cells(d, scratch, x, first, row, last, n):
    """d[i, c] = x[i] - first of the cell of column c, of variables row to last; x is (S, M)."""
    wide_vectors()
    columns = d.shape[1]
    per = n // max(x.shape[1], 1)
    cell, end = cell_of(row, per, last)
    for i in range(x.shape[0]):
        if end == last:
            one = filled(like(np.float64(x[i, cell]) - np.float64(first[cell]), d))
            for c in range(0, columns, LANES):
                store(d, (i, c), one)
        else:
            spread(scratch[: last - row], x[i], first, row, per)
            tile.load_statistics(d[i], scratch, 0, like(0, d), False)


@block
def sweep(sums, arg, d, samples, origin):
    """Compare the outcomes of each column with all categories, the first of which is `origin`.

    Two categories at a time, the last by itself with itself, so that each outcome and its signal
    are read half as often, and all sums stay in registers, of AVX2 too. Counts start at a number
    whose next one is 1 more, so that adding 1 to the bits counts: a mask is such a 1 already.
    """
    wide_vectors()
    depth, columns = sums.shape[1], sums.shape[2]
    totals, counts = sums[0], sums[1]
    start = filled(like(1 / np.finfo(sums.dtype).eps, sums))
    first, zero = bits(start), like(0, d)
    one = like(1, first)
    for i in range(0, depth, 2):
        k = min(i + 1, depth - 1)
        mine, other = np.int32(i + origin), np.int32(k + origin)
        for c in range(0, columns, LANES):
            s0, s1 = load(totals, (i, c)), load(totals, (k, c))
            n0, n1 = first, first
            for j in range(samples):
                x, v = load(arg, (j, c)), load(d, (j, c))
                hit0 = x == mine
                s0, n0 = s0 + where(hit0, v, zero), where(hit0, n0 + one, n0)
                hit1 = x == other
                s1, n1 = s1 + where(hit1, v, zero), where(hit1, n1 + one, n1)
            store(totals, (i, c), s0)
            store(counts, (i, c), load(counts, (i, c)) + (bits(n0) - start))
            if i < k:
                store(totals, (k, c), s1)
                store(counts, (k, c), load(counts, (k, c)) + (bits(n1) - start))


@block
def look_up(sums, arg, d, samples):
    """Add (d, 1) to the outcome of each column of a narrow tile."""
    depth, columns = sums.shape[1], sums.shape[2]
    flat, one = sums.reshape(2 * depth * columns), like(1, d)
    for j in range(samples):
        for c in range(columns):
            if arg[j, c] >= 0:
                # Unsigned: no wraparound to test.
                i = np.uint64(arg[j, c]) * np.uint64(columns) + np.uint64(c)
                flat[i] += d[j, c]
                flat[i + np.uint64(depth * columns)] += one


@block
def add_outcomes(sums, z, d):
    """Add (d, 1) to the outcomes of a wide tile, whose place is their number."""
    size = sums.shape[1] * sums.shape[2]
    flat = sums.reshape(2 * size)
    for j in range(z.size):
        flat[z[j]] += d[j, 0]
        flat[size + z[j]] += like(1, d)


@block
def take(own, row, k, z, x, first, arg, d, scratch):
    """Add (x - first, 1) to the sums of one tile at outcome z: z is (S, N), x (S, M)."""
    samples, n = z.shape
    fold = k > tile.NARROW
    last = last_row(row, k, own.shape[2], n)
    for i in range(0, samples, AT_ONCE):
        held = min(AT_ONCE, samples - i)
        load_cells(d, scratch, x[i : i + held], first, row, last, n)
        if fold:
            add_outcomes(own, z[i : i + held, row], d)
            continue
        tile.load_many_categories(arg, z[i : i + held], row)
        if own.shape[1] * own.itemsize <= SWEEP:
            sweep(own, arg, d, held, 1 if k == 1 else 0)
        else:
            look_up(own, arg, d, held)


@kernel(cost=lambda z: z.size)
def scatter(chunk, chunks, k, z, x, first, sums):
    """Take the samples z with their signals x into the sums of all tiles."""
    layout = tile.layout(z.shape[1], k, 0, WIDEST)
    arg = tile.empty((AT_ONCE, layout.columns), np.int32)
    d = tile.empty((AT_ONCE, layout.columns), sums.dtype)
    (scratch,) = tile.statistics(layout, 1, sums.dtype)
    for b in chunk_range(layout.blocks, chunk, chunks):
        take(sums[b], tile.first_row(layout, b), k, z, x, first, arg, d, scratch)


@block
def begin(own, sums, b):
    """Set the sums of a tile to what they are so far: 0 where there are none."""
    wide_vectors()
    flat = own.reshape(own.size)
    if len(sums):
        assign(flat, sums[b].reshape(own.size))
    else:
        flat[:] = like(0, own)
