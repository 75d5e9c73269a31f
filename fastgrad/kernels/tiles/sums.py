"""Sums over samples, and the variables that each number of f concerns.

Every sum takes the samples in their order and starts from what the array already holds, so it does
not matter into how many blocks they come. N variables belong to M cells, N / M consecutive ones to
each: one number of f concerns a whole cell.

Oracle: tests/estimators/test_estimators.py, `test_rloo_is_its_formula`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, shared, wide_vectors
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.vectors import LANES, filled, store

ROWS = 256  # of a block: with K = 16, its sums stay in L1


@block
def add_deviations(total, x, first):
    """total += x - first, in float64."""
    wide_vectors()
    for c in range(total.size):
        total[c] += np.float64(x[c]) - np.float64(first[c])


@kernel(cost=lambda x: x.size)
def accumulate(chunk, chunks, x, first, total):
    """total += sum over samples of x - first: x is (S, M)."""
    samples, m = x.shape
    blocks = (m + ROWS - 1) // ROWS
    for b in chunk_range(blocks, chunk, chunks):
        cells = slice(b * ROWS, min((b + 1) * ROWS, m))
        for i in range(samples):
            add_deviations(total[cells], x[i, cells], first[cells])


@shared
def spread(d, x, first, row, per):
    """d[c] = x - first of the cell to which variable row + c belongs."""
    wide_vectors()
    n = d.size
    if per == 1:
        y, origin = x[row : row + n], first[row : row + n]
        for c in range(n):
            d[c] = np.float64(y[c]) - np.float64(origin[c])
        return
    cell, c = row // per, 0
    while c < n:
        end = min(n, (cell + 1) * per - row)
        one = like(np.float64(x[cell]) - np.float64(first[cell]), d)
        while c < end and c + LANES <= n:  # what is too much is the next cell's, and set anew
            store(d, c, filled(one))
            c += LANES
        for i in range(c, end):
            d[i] = one
        cell, c = cell + 1, end


@inline
def cell_of(row, per, last):
    """Return the cell of a variable, and the end of those of the variables before `last`."""
    cell = row // per
    return cell, min(last, (cell + 1) * per)
