"""What control variates need of outcomes and gradients of f: linear terms and Stein operators.

p are mean features, (N, K); gradients g, (S, N, K), have those of the logits: a category each, or
the single one of a Bernoulli variable, whose outcome 0 or 1 is the feature itself.
"""

import numpy as np

from fastgrad.kernels import columns as col
from fastgrad.kernels import tile
from fastgrad.kernels.intrinsics import like, where
from fastgrad.kernels.jit import block, chunk_range, kernel, wide_vectors


@kernel
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


@kernel
def squares(chunk, chunks, p, out):
    """out = the squared length of the score of each category: (1 - p)^2 + sum of the other p^2.

    Sums leave an entry out by adding up those on either side.
    """
    n, k = p.shape
    rest = np.empty(k)
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


# -- linear terms: <mean of the others' gradients, x - p> of each variable ---------------------


@block
def add(t, x):
    """t += x."""
    wide_vectors()
    depth, columns = t.shape
    for i in range(depth):
        for c in range(columns):
            t[i, c] += x[i, c]


@kernel
def linear_terms(chunk, chunks, g, p, z, total, mean, out):
    """out = <total - g, x - p> / (S - 1), (S, N); total = the sum of g over samples, (N, K).

    mean is left with <total, p>, (N,).
    """
    samples, n, k = g.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real, zero = p.dtype, like(0, p)
    scale = like(1.0 / (samples - 1), p)
    t, y = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    q, s = tile.empty((depth, columns), real), tile.empty((columns,), real)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, 0)
        rows = 1 if fold else min(columns, n - row)
        tile.load(q, p, row, zero)
        t[:] = zero
        for i in range(samples):
            tile.load(y, g[i], row, zero)
            add(t, y)
            col.dot(y, q, s, fold)
            tile.store_statistics(out[i], s, row, fold)
            for v in range(rows):
                out[i, row + v] = g[i, row + v, z[i, row + v]] - out[i, row + v]
        tile.store(total, t, row)
        col.dot(t, q, s, fold)
        tile.store_statistics(mean, s, row, fold)
        for i in range(samples):
            for v in range(rows):
                chosen = total[row + v, z[i, row + v]] - mean[row + v]
                out[i, row + v] = scale * (chosen - out[i, row + v])


# -- Stein: the Gibbs operator of w and |w|, w(x) the sum of linear terms over the cell of x ----


@block
def surrogates(y, q, t, g, scale, s, rest, fold):
    """y = w with the variable at each category: rest, plus <scale (t - g), x - p>."""
    wide_vectors()
    depth, columns = y.shape
    for i in range(depth):
        for c in range(columns):
            y[i, c] = scale * (t[i, c] - g[i, c])
    col.dot(y, q, s, fold)
    for c in range(columns):
        s[c] = rest[c] - s[c]
    for i in range(depth):
        for c in range(columns):
            y[i, c] = q[i, c] * (y[i, c] + s[c])


@block
def add_steps(local, y, arg, s, fold):
    """local += y, less the sum s of each column at the outcome."""
    wide_vectors()
    depth, columns = y.shape
    col.total(y, s, fold)
    for i in range(depth):
        for c in range(columns):
            local[i, c] += y[i, c] - where(arg[c] == np.int32(i), s[c], like(0, s))


@block
def absolute(y):
    """y = abs(y)."""
    wide_vectors()
    depth, columns = y.shape
    for i in range(depth):
        for c in range(columns):
            y[i, c] = abs(y[i, c])


@kernel
def stein(chunk, chunks, g, p, z, total, rest, size, linear, rectified):
    """Sum over samples what drawing a variable afresh makes of w score and |w| score, of its own.

    It is p w(x with the variable at k), less, at the outcome, E[w]: linear and, for |w|, rectified,
    (N, K). rest is w without the variable's own term, and size becomes its E|w|, both (S, N).
    """
    samples, n, k = g.shape
    fold = k > tile.NARROW
    columns, depth = tile.FOLD, tile.shape(n, k)[1]  # the fewest: six tiles stay in L1
    blocks = tile.count(n, k, columns, 0)
    real, zero = p.dtype, like(0, p)
    scale = like(1.0 / (samples - 1), p)
    t, y = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    q, x = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    a, b = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    s, others = tile.empty((columns,), real), tile.empty((columns,), real)
    arg = tile.empty((columns,), np.int32)
    for item in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(item, k, columns, 0)
        tile.load(q, p, row, zero)
        tile.load(t, total, row, zero)
        a[:] = zero
        b[:] = zero
        for i in range(samples):
            tile.load(x, g[i], row, zero)
            tile.load_categories(arg, z[i], row, fold)
            tile.load_statistics(others, rest[i], row, zero, fold)
            surrogates(y, q, t, x, scale, s, others, fold)
            add_steps(a, y, arg, s, fold)
            absolute(y)
            add_steps(b, y, arg, s, fold)
            tile.store_statistics(size[i], s, row, fold)
        tile.store(linear, a, row)
        tile.store(rectified, b, row)


# -- the same for single features -------------------------------------------------------------


@kernel
def binary_linear_terms(chunk, chunks, g, p, z, total, mean, out):
    """The same as `linear_terms` where K = 1."""
    samples, n, _ = g.shape
    scale = like(1.0 / (samples - 1), p)
    for v in chunk_range(n, chunk, chunks):
        t = like(0, p)
        for i in range(samples):
            t += g[i, v, 0]
        total[v, 0], mean[v] = t, t * p[v, 0]
        for i in range(samples):
            out[i, v] = scale * (t - g[i, v, 0]) * (like(z[i, v], p) - p[v, 0])


@kernel
def binary_stein(chunk, chunks, g, p, z, total, rest, size, linear, rectified):
    """The same as `stein` where K = 1."""
    samples, n, _ = g.shape
    scale = like(1.0 / (samples - 1), p)
    for v in chunk_range(n, chunk, chunks):
        q, a, b = p[v, 0], like(0, p), like(0, p)
        for i in range(samples):
            slope, x = scale * (total[v, 0] - g[i, v, 0]), like(z[i, v], p)
            zero = (like(1, p) - q) * (rest[i, v] - q * slope)
            one = q * (rest[i, v] + (like(1, p) - q) * slope)
            size[i, v] = abs(zero) + abs(one)
            a += one - x * (zero + one)
            b += abs(one) - x * size[i, v]
        linear[v, 0], rectified[v, 0] = a, b
