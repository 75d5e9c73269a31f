"""What estimators sum over samples: deviations of f, scores weighted by them, pathwise products.

Every sum takes the samples in their order and starts from what the array already holds, so it does
not matter into how many blocks they come. N variables belong to M cells, N / M consecutive ones to
each: one number of f concerns a whole cell. A variable has K columns: one per category, or a single
one for a Bernoulli variable, whose outcome 0 or 1 is itself the feature.
"""

import numpy as np

from fastgrad.kernels import columns as col
from fastgrad.kernels import tile
from fastgrad.kernels.intrinsics import like, where
from fastgrad.kernels.jit import block, chunk_bounds, chunk_range, kernel, wide_vectors
from fastgrad.kernels.special import sigmoid

ROWS = 256  # of a block: with K = 16, its sums stay in L1


@block
def add_deviations(total, x, first):
    """total += x - first, in float64."""
    wide_vectors()
    for c in range(total.size):
        total[c] += np.float64(x[c]) - np.float64(first[c])


@kernel
def accumulate(chunk, chunks, x, first, total):
    """total += sum over samples of x - first: x is (S, M)."""
    samples, m = x.shape
    blocks = (m + ROWS - 1) // ROWS
    for b in chunk_range(blocks, chunk, chunks):
        cells = slice(b * ROWS, min((b + 1) * ROWS, m))
        for i in range(samples):
            add_deviations(total[cells], x[i, cells], first[cells])


@block
def spread(d, x, first, row, per):
    """d[c] = x - first of the cell to which variable row + c belongs."""
    wide_vectors()
    n = d.size
    if per == 1:
        y, origin = x[row : row + n], first[row : row + n]
        for c in range(n):
            d[c] = np.float64(y[c]) - np.float64(origin[c])
        return
    c = 0
    while c < n:
        cell = (row + c) // per
        end = min(n, (cell + 1) * per - row)
        d[c:end] = like(np.float64(x[cell]) - np.float64(first[cell]), d)
        c = end


@block
def add_chosen(sums, counts, z, d):
    """Add d to the sums, and 1 to the counts, of the categories z."""
    wide_vectors()
    n, k = sums.shape
    if k == 1:
        sum_, count = sums.reshape(n), counts.reshape(n)
        for c in range(n):
            sum_[c] += d[c] * like(z[c], d)
        for c in range(n):
            count[c] += z[c]
    else:
        flat, often = sums.reshape(n * k), counts.reshape(n * k)
        for c in range(n):
            i = np.uint64(c) * np.uint64(k) + np.uint64(z[c])  # unsigned: no wraparound to test
            flat[i] += d[c]
            often[i] += np.int32(1)


@kernel
def scatter(chunk, chunks, z, x, first, sums, counts):
    """Add x - first to sums, and 1 to counts, in column z: z is (S, N), x (S, M), sums (N, K)."""
    samples, n = z.shape
    per = n // max(x.shape[1], 1)
    blocks = (n + ROWS - 1) // ROWS
    scratch = np.empty(ROWS, sums.dtype)
    for b in chunk_range(blocks, chunk, chunks):
        row = b * ROWS
        rows = slice(row, min(row + ROWS, n))
        d = scratch[: rows.stop - row]
        for i in range(samples):
            spread(d, x[i], first, row, per)
            add_chosen(sums[rows], counts[rows], z[i, rows], d)


@kernel
def centre(chunk, chunks, sums, counts, samples, mean, out):
    """out = sums - mean counts: the sum over samples of (x - mean) one-hot(z); mean is (M,)."""
    n, k = sums.shape
    per = n // max(mean.size, 1)
    blocks = (n + ROWS - 1) // ROWS
    origin = np.zeros(mean.size)
    scratch = np.empty(ROWS, sums.dtype)
    for b in chunk_range(blocks, chunk, chunks):
        row = b * ROWS
        d = scratch[: min(ROWS, n - row)]
        spread(d, mean, origin, row, per)
        for c in range(d.size):
            for i in range(k):
                x = sums[row + c, i] - d[c] * like(counts[row + c, i], d)
                # Where all samples agree, it is their sum less itself, up to rounding.
                out[row + c, i] = like(0, d) if counts[row + c, i] == samples else x


@kernel
def add_scores(chunk, chunks, counts, samples, shift, p, out):
    """out += shift (counts - samples p), the sum of scores times the shift of their cell, (M,)."""
    n, k = counts.shape
    per = n // max(shift.size, 1)
    for row in chunk_range(n, chunk, chunks):
        d, s = like(shift[row // per], p), like(samples, p)
        for i in range(k):
            out[row, i] += d * (like(counts[row, i], p) - s * p[row, i])


@block
def optimum(a, p, often, samples):
    """a = the sum over samples of (x - c) score, given a, that of (x - mean) one-hot, and counts.

    The optimum c = sum x score^2 / sum score^2 over the other samples depends on whether a sample
    shows this category; the sum over all of them has a closed form.
    """
    wide_vectors()
    zero, one, s = like(0, p), like(1, p), like(samples, p)
    for c in range(a.size):
        n, x = like(often[c], p), p[c]
        m, y = s - n, one - x
        # For n = 1, or m = 1, the squares of p, or q, cancel, which could underflow.
        shown, absent = n == one, m == one
        up = where(shown, y, y * x * x)
        down = where(shown, m, y * y * (n - one) + x * x * m)
        up_too = where(absent, x, x * y * y)
        down_too = where(absent, n, y * y * n + x * x * (m - one))
        both = (n > zero) & (m > zero)
        a[c] *= s * where(both, up / down + up_too / down_too, zero)


@kernel
def optima(chunk, chunks, centred, counts, samples, p):
    """centred = the sum over samples of (x - optimum for each coordinate) score."""
    n = len(counts)
    rows = slice(*chunk_bounds(n, chunk, chunks))
    a, q, often = centred[rows], p[rows], counts[rows]
    optimum(a.reshape(a.size), q.reshape(q.size), often.reshape(often.size), samples)


@block
def add_softmax_product(g, y, w, scale, s, fold):
    """g += scale y (w - <y, w>)."""
    wide_vectors()
    depth, columns = y.shape
    col.dot(y, w, s, fold)
    for i in range(depth):
        for c in range(columns):
            g[i, c] += scale * (y[i, c] * (w[i, c] - s[c]))


@block
def add_sigmoid_product(g, y, w, scale):
    """g += scale y (1 - y) w."""
    wide_vectors()
    for c in range(g.size):
        g[c] += scale * (y[c] * (w[c] - y[c] * w[c]))


@kernel
def sigmoid_products(chunk, chunks, x, r, scale, total):
    """total += sum over samples of scale x (1 - x) r: x and r are (S, N)."""
    samples, n = x.shape
    blocks = (n + ROWS - 1) // ROWS
    for b in chunk_range(blocks, chunk, chunks):
        sites = slice(b * ROWS, min((b + 1) * ROWS, n))
        for i in range(samples):
            add_sigmoid_product(total[sites], x[i, sites], r[i, sites], scale)


@kernel
def softmax_products(chunk, chunks, x, r, scale, total):
    """total += sum over samples of scale x (r - <x, r>): x and r are (S, N, K)."""
    n, k = total.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real = total.dtype
    zero = like(0, total)
    y, w = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    g, s = tile.empty((depth, columns), real), tile.empty((columns,), real)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, 0)
        tile.load(g, total, row, zero)
        for i in range(x.shape[0]):
            tile.load(y, x[i], row, zero)
            tile.load(w, r[i], row, zero)
            add_softmax_product(g, y, w, scale, s, fold)
        tile.store(total, g, row)


@kernel
def softmax(chunk, chunks, logits, p):
    """Fill p with the softmax of each row of logits, (N, K)."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real = logits.dtype
    t = tile.empty((depth, columns), real)
    m, s = tile.empty((columns,), real), tile.empty((columns,), real)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, 0)
        tile.load(t, logits, row, like(-np.inf, t))
        col.maximum(t, m, fold)
        col.softmax(t, m, s, fold)
        tile.store(p, t, row)


@kernel
def sigmoids(chunk, chunks, logits, p):
    """Fill p with the sigmoid of logits, (N, 1)."""
    n = logits.size
    for i in chunk_range(n, chunk, chunks):
        p[i, 0] = sigmoid(logits[i, 0])


@kernel
def one_hot(chunk, chunks, z, x):
    """Fill x, shape (N, K), with zeros and a one at category z."""
    n = z.size
    for row in chunk_range(n, chunk, chunks):
        x[row] = like(0, x)
        x[row, z[row]] = like(1, x)
