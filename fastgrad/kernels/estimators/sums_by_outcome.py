"""Outcomes counted over samples, with their signals and with 1: the sums that scores are made of.

They are pairs (sum of signals, count), one for each outcome of each variable: sums has the shape
(N, 2 `width(K)`). Samples are taken in order and start from what is there, so it does not matter
into how many blocks they come. N variables belong to M cells, N / M consecutive ones to each: one
signal concerns a whole cell. A variable has K features: one per category, or a single one for a
Bernoulli variable, whose outcome 1 is the feature.

Oracle: tests/estimators/score_functions/test_reinforce.py, `test_reinforce_is_its_formula`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, shared, wide_vectors
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.pairs import add_pair
from fastgrad.kernels.simd.vectors import LANES, filled, store
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty
from fastgrad.kernels.tiles.sums import cell_of, spread


@inline
def width(k):
    """Return the number of outcomes of a variable with k features."""
    return max(k, 2)


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
def add_signal(own, outcomes, outcomes_each, signal):
    """Add (signal, 1) to the pairs of the outcomes of consecutive variables."""
    one = like(1, own)
    for c in range(outcomes.size):
        add_pair(own, np.int64(outcomes[c]) + outcomes_each * c, signal, one)


@block
def add_signals(own, outcomes, outcomes_each, signals):
    """`add_signal`, of a signal for each variable."""
    one = like(1, own)
    for c in range(outcomes.size):
        add_pair(own, np.int64(outcomes[c]) + outcomes_each * c, signals[c], one)


@shared
def take(own, row, end, k, z, x, first, d):
    """Add (x - first, 1) to the pairs, flat, of variables row to end: z is (S, N), x (S, M)."""
    samples, n = z.shape
    per, outcomes_each = n // max(x.shape[1], 1), width(k)
    cell, last = cell_of(row, per, end)
    for i in range(samples):
        if last == end:
            signal = like(np.float64(x[i, cell]) - np.float64(first[cell]), own)
            add_signal(own, z[i, row:end], outcomes_each, signal)
        else:
            spread(d[: end - row], x[i], first, row, per)
            add_signals(own, z[i, row:end], outcomes_each, d)


@kernel(cost=lambda z: z.size)
def scatter(chunk, chunks, k, z, x, first, sums):
    """Take the samples z with their signals x into the sums of all variables."""
    n, pairs = sums.shape
    layout = tile.layout(n, k)
    d = empty(layout.columns, sums.dtype)
    for row in tile.rows(layout, chunk, chunks):
        end = last_row(row, k, layout.columns, n)
        take(sums[row:end].reshape((end - row) * pairs), row, end, k, z, x, first, d)


@block
def begin(own, sums, row, end):
    """Set the pairs of variables row to end to what they are so far: 0 where there are none."""
    wide_vectors()
    if len(sums):
        pairs = (end - row) * sums.shape[1]
        assign(own[:pairs], sums[row:end].reshape(pairs))
    else:
        own[:] = like(0, own)
