"""What control variates need of mean features p and gradients g, both (N, K), and of each other.

Oracle: tests/estimators/score_functions/test_control_variates.py, `test_they_are_their_formulae`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import like, to_float64
from fastgrad.kernels.simd.lanes import entry
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.memory import empty

BLOCK = 4096  # numbers that are summed together, whatever the threads


@kernel(cost=lambda z: z.size)
def sum_chosen(chunk, chunks, table, z, out):
    """out = sum of table[v, z_v] over the variables v of each cell: z is (S, N), out (S, M)."""
    per = z.shape[1] // max(out.shape[1], 1)
    items, k = out.size, np.uint64(table.shape[1])
    flat = table.reshape(table.size)
    for item in chunk_range(items, chunk, chunks):
        i, cell = item // out.shape[1], item % out.shape[1]
        total = 0.0
        for v in range(cell * per, (cell + 1) * per):
            total += np.float64(flat[np.uint64(v) * k + np.uint64(z[i, v])])
        out[i, cell] = total


@kernel(cost=lambda p: p.size)
def squares(chunk, chunks, p, out):
    """out = the squared length of the score of each category: (1 - p)^2 + sum of the other p^2.

    Sums leave an entry out by adding up those on either side.
    """
    n, k = p.shape
    rest = empty(k)
    for row in chunk_range(n, chunk, chunks):
        total, square = 0.0, 0.0
        for i in range(k):
            rest[i], out[row, i] = total, square
            total += np.float64(p[row, i])
            square += np.float64(p[row, i]) ** 2
        total, square = 0.0, 0.0
        for i in range(k - 1, -1, -1):
            out[row, i] += square + (rest[i] + total) ** 2
            total += np.float64(p[row, i])
            square += np.float64(p[row, i]) ** 2


@block
def slope(t, p, s, fold):
    """t -= its mean <p, t>, in each column."""
    wide_vectors()
    col.dot(p, t, s, fold)
    for c in range(0, t.shape[1], LANES):
        mean = load(s, c)
        for i in range(t.shape[0]):
            store(t, (i, c), load(t, (i, c)) - mean)


@block
def weigh(t, p):
    """t *= p."""
    wide_vectors()
    for i in range(t.shape[0]):
        for c in range(0, t.shape[1], LANES):
            store(t, (i, c), load(t, (i, c)) * load(p, (i, c)))


@kernel(cost=lambda p: p.size)
def slopes(chunk, chunks, g, p, table, product):
    """table = g - <p, g> of each row, product = p table: the Jacobian of p times g."""
    layout = tile.layout(*p.shape)
    fold, real = layout.fold, p.dtype
    t, q = tile.scratch(layout, 2, real)
    (s,) = tile.statistics(layout, 1, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, g, row, like(0, g))
        tile.load(q, p, row, like(0, p))
        slope(t, q, s, fold)
        tile.store(table, t, row)
        weigh(t, q)
        tile.store(product, t, row)


# -- weights of several controls --------------------------------------------------------------


@block
def dot(a, b):
    """Return the sum of a b, in float64."""
    wide_vectors()
    total = 0.0
    sums, whole = filled(0.0), a.size // LANES * LANES
    for i in range(0, whole, LANES):
        sums = sums + to_float64(load(a, i)) * to_float64(load(b, i))
    for lane in range(LANES):
        total += entry(sums, lane)
    for i in range(whole, a.size):
        total += np.float64(a[i]) * np.float64(b[i])
    return total


@kernel(cost=lambda rows: rows.size)
def gram(chunk, chunks, rows, parts):
    """parts[b] = rows rows^T of the columns b BLOCK to (b + 1) BLOCK: rows are (C, n)."""
    count, n = rows.shape
    for b in chunk_range(len(parts), chunk, chunks):
        part = slice(b * BLOCK, min((b + 1) * BLOCK, n))
        for i in range(count):
            for j in range(i + 1):
                parts[b, i, j] = dot(rows[i, part], rows[j, part])
                parts[b, j, i] = parts[b, i, j]


@kernel(cost=lambda rows, out: rows.size + out.size)
def blend(chunk, chunks, rows, weights, out):
    """out += sum of weights rows: rows are (C, n), out is (n,)."""
    n = out.size
    for b in chunk_range((n + BLOCK - 1) // BLOCK, chunk, chunks):
        part = slice(b * BLOCK, min((b + 1) * BLOCK, n))
        for i in range(weights.size):
            elementwise.add_multiple(out[part], like(weights[i], out), rows[i, part])
