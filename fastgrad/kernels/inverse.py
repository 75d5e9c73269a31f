"""Sampling by inverse CDF: one uniform a row, cumulative weights in float64.

So the rarest category keeps its probability, to the rounding of its weight and the last of 64 bits
(32 in narrow float32 rows), and one of weight zero is never drawn.
"""

import numpy as np

from fastgrad.kernels import columns as col
from fastgrad.kernels import tile
from fastgrad.kernels.check import any_nan
from fastgrad.kernels.intrinsics import fma, like, where
from fastgrad.kernels.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.philox import UNIFORM, philox

BELOW_ONE = np.float64(1.0 - 2.0**-52)
HIGH, HALF, UNIT = np.float64(2.0**-32), np.float64(2.0**-33), np.float64(2.0**-64)


@block
def fill_uniform(u, bits):
    """u = uniforms below 1 from bits, (1 or 2, 1, columns): 32 or 64 of them."""
    wide_vectors()
    high = bits[0, 0]
    if bits.shape[0] == 1:
        for c in range(u.size):
            u[c] = fma(np.float64(high[c]), HIGH, HALF)
    else:
        low = bits[1, 0]
        for c in range(u.size):
            u[c] = fma(np.float64(low[c]), UNIT, np.float64(high[c]) * HIGH)


@block
def accumulate(total, e):
    """total = column sums of e, in float64: exact to the rounding of e itself.

    Four categories at a time, which saves loads; the depth is a multiple of 4.
    """
    wide_vectors()
    for c in range(total.size):
        total[c] = 0.0
    for i in range(e.shape[0] // 4):
        a, b, x, y = e[4 * i], e[4 * i + 1], e[4 * i + 2], e[4 * i + 3]
        for c in range(total.size):
            t = (total[c] + np.float64(a[c])) + np.float64(b[c])
            total[c] = (t + np.float64(x[c])) + np.float64(y[c])


@block
def invert(z, e, total, u, running):
    """z = number of categories whose cumulative weight is at most u total: the inverse CDF.

    The sums are those of `accumulate`, in its order, and u total lies below the last: what pads the
    depth, of weight zero, is never counted.
    """
    wide_vectors()
    for c in range(z.size):
        # Below total even where the product rounds up to it: some weight lies above.
        target, below = u[c] * total[c], total[c] * BELOW_ONE
        u[c] = where(target < below, target, below)
    for c in range(z.size):
        running[c] = 0.0
        z[c] = 0
    for i in range(e.shape[0] // 4):
        a, b, x, y = e[4 * i], e[4 * i + 1], e[4 * i + 2], e[4 * i + 3]
        for c in range(z.size):
            r1 = running[c] + np.float64(a[c])
            r2 = r1 + np.float64(b[c])
            r3 = r2 + np.float64(x[c])
            r4 = r3 + np.float64(y[c])
            z[c] += np.int32(r1 <= u[c]) + np.int32(r2 <= u[c])
            z[c] += np.int32(r3 <= u[c]) + np.int32(r4 <= u[c])
            running[c] = r4


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


@kernel
def sample(chunk, chunks, logits, offset, key, first_sample, z, bad):
    """Draw z, shape (S, N), by inverse CDF: one uniform a row and sample.

    bad[chunk] is set where logits are invalid: their sum is NaN, which costs nothing to see.
    """
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    weights = np.zeros(((depth + 3) // 4 * 4, columns), real)
    e = weights[:depth]
    m, s = tile.empty((columns,), real), tile.empty((columns,), real)
    arg = tile.empty((columns,), np.int32)
    total, u, running = np.empty(columns), np.empty(columns), np.empty(columns)
    bits = np.empty((logits.itemsize // 4, 1, columns), np.uint32)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, offset)
        tile.load(e, logits, row, like(-np.inf, e))
        col.maximum(e, m, fold)
        col.exponentiate(e, m, like(1, e), s, fold)
        accumulate(total, weights)
        bad[chunk] |= any_nan(total)
        for i in range(z.shape[0]):
            sample = np.uint32(first_sample + i)
            if fold:
                z[i, row] = invert_folded(e, total, uniform_at(row + offset, sample, key))
            else:
                tile.fill_bits(bits, (row + offset) // 4, 1, 0, sample, UNIFORM, key)
                fill_uniform(u, bits)
                invert(arg, weights, total, u, running)
                tile.store_categories(z[i], arg, row, fold)
