"""What estimators sum over samples: deviations of f, scores weighted by them, pathwise products.

Every sum takes the samples in their order and starts from what the array already holds, so it does
not matter into how many blocks they come. N variables belong to M cells, N / M consecutive ones to
each: one number of f concerns a whole cell. A variable has K columns: one per category, or a single
one for a Bernoulli variable, whose outcome 0 or 1 is itself the feature.
"""

import numpy as np

from fastgrad.kernels import columns as col
from fastgrad.kernels import tile
from fastgrad.kernels.intrinsics import like
from fastgrad.kernels.jit import block, kernel, prange, wide_vectors

ROWS = 256  # of a block: with K = 16, its sums stay in L1


@block
def add_deviations(total, x, first):
    """total += x - first, in float64."""
    wide_vectors()
    for c in range(total.size):
        total[c] += np.float64(x[c]) - np.float64(first[c])


@kernel
def accumulate(chunks, x, first, total):
    """total += sum over samples of x - first: x is (S, M)."""
    samples, m = x.shape
    blocks = (m + ROWS - 1) // ROWS
    for chunk in prange(chunks):
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
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
        for c in range(n):
            sums[c, z[c]] += d[c]
            counts[c, z[c]] += np.int32(1)


@kernel
def scatter(chunks, z, x, first, sums, counts):
    """Add x - first to sums, and 1 to counts, in column z: z is (S, N), x (S, M), sums (N, K)."""
    samples, n = z.shape
    per = n // max(x.shape[1], 1)
    blocks = (n + ROWS - 1) // ROWS
    for chunk in prange(chunks):
        scratch = np.empty(ROWS, sums.dtype)
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            row = b * ROWS
            rows = slice(row, min(row + ROWS, n))
            d = scratch[: rows.stop - row]
            for i in range(samples):
                spread(d, x[i], first, row, per)
                add_chosen(sums[rows], counts[rows], z[i, rows], d)


@kernel
def centre(chunks, sums, counts, mean, out):
    """out = sums - mean counts: the sum over samples of (x - mean) one-hot(z); mean is (M,)."""
    n, k = sums.shape
    per = n // max(mean.size, 1)
    blocks = (n + ROWS - 1) // ROWS
    origin = np.zeros(mean.size)
    for chunk in prange(chunks):
        scratch = np.empty(ROWS, sums.dtype)
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            row = b * ROWS
            d = scratch[: min(ROWS, n - row)]
            spread(d, mean, origin, row, per)
            for c in range(d.size):
                for i in range(k):
                    out[row + c, i] = sums[row + c, i] - d[c] * like(counts[row + c, i], d)


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
def sigmoid_products(chunks, x, r, scale, total):
    """total += sum over samples of scale x (1 - x) r: x and r are (S, N)."""
    samples, n = x.shape
    blocks = (n + ROWS - 1) // ROWS
    for chunk in prange(chunks):
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            sites = slice(b * ROWS, min((b + 1) * ROWS, n))
            for i in range(samples):
                add_sigmoid_product(total[sites], x[i, sites], r[i, sites], scale)


@kernel
def softmax_products(chunks, x, r, scale, total):
    """total += sum over samples of scale x (r - <x, r>): x and r are (S, N, K)."""
    n, k = total.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real = total.dtype
    zero = like(0, total)
    for chunk in prange(chunks):
        y, w = np.empty((depth, columns), real), np.empty((depth, columns), real)
        g, s = np.empty((depth, columns), real), np.empty(columns, real)
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            row = tile.first_row(b, k, columns, 0)
            tile.load(g, total, row, zero)
            for i in range(x.shape[0]):
                tile.load(y, x[i], row, zero)
                tile.load(w, r[i], row, zero)
                add_softmax_product(g, y, w, scale, s, fold)
            tile.store(total, g, row)


@kernel
def one_hot(chunks, z, x):
    """Fill x, shape (N, K), with zeros and a one at category z."""
    n = z.size
    for chunk in prange(chunks):
        for row in range(chunk * n // chunks, (chunk + 1) * n // chunks):
            x[row] = like(0, x)
            x[row, z[row]] = like(1, x)
