"""What estimators sum over samples: deviations of f, and scores weighted by them.

Every sum takes the samples in their order and starts from what the array already holds, so it does
not matter into how many blocks they come. N variables belong to M cells, N / M consecutive ones to
each: one number of f concerns a whole cell. A variable has K columns: one per category, or a single
one for a Bernoulli variable, whose outcome 0 or 1 is itself the feature.
"""

import numpy as np

from fastgrad.kernels.intrinsics import like, where
from fastgrad.kernels.jit import block, chunk_bounds, chunk_range, inline, kernel, wide_vectors

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


@inline
def cell_of(row, per, last):
    """Return the cell of a variable, and the end of those of the variables before `last`."""
    cell = row // per
    return cell, min(last, (cell + 1) * per)


@block
def add_chosen(sums, z, d):
    """Add (d, 1) to the pairs of the outcomes z: sums is (n, K, 2)."""
    wide_vectors()
    n, k = sums.shape[0], sums.shape[1]
    pairs, one = sums.reshape(n * k * 2), like(1, d)
    if k == 1:
        for c in range(n):
            x = like(z[c], d)
            pairs[2 * c] += d * x
            pairs[2 * c + 1] += x
    else:
        for c in range(n):
            # Unsigned: no wraparound to test. Neighbours in memory: one move for both.
            i = np.uint64(2) * (np.uint64(c) * np.uint64(k) + np.uint64(z[c]))
            pairs[i] += d
            pairs[i + np.uint64(1)] += one


@block
def add_each_chosen(sums, z, x, first):
    """`add_chosen` for cells of a single variable: d = x - first."""
    n, k = sums.shape[0], sums.shape[1]
    pairs, one = sums.reshape(n * k * 2), like(1, sums)
    for c in range(n):
        d = like(np.float64(x[c]) - np.float64(first[c]), sums)
        weight = one if k > 1 else like(z[c], sums)
        i = np.uint64(2) * (np.uint64(c) * np.uint64(k) + np.uint64(z[c] if k > 1 else 0))
        pairs[i] += d * weight
        pairs[i + np.uint64(1)] += weight


@kernel
def scatter(chunk, chunks, z, x, first, sums):
    """Add x - first, and 1 to count them, to sums at outcome z: (S, N), (S, M) and (N, K, 2)."""
    samples, n = z.shape
    per = n // max(x.shape[1], 1)
    blocks = (n + ROWS - 1) // ROWS
    for b in chunk_range(blocks, chunk, chunks):
        start, last = b * ROWS, min((b + 1) * ROWS, n)
        for i in range(samples):
            row = start
            if per == 1:
                own = slice(start, last)
                add_each_chosen(sums[own], z[i, own], x[i, own], first[own])
                continue
            while row < last:
                cell, end = cell_of(row, per, last)
                d = like(np.float64(x[i, cell]) - np.float64(first[cell]), sums)
                add_chosen(sums[row:end], z[i, row:end], d)
                row = end


@block
def centre_run(out, pairs, d, samples, over):
    """out = (sum - d count) / over, 0 where the outcome never varied: that sum less itself."""
    wide_vectors()
    s, zero = like(samples, d), like(0, d)
    for i in range(out.size):
        count = pairs[2 * i + 1]
        out[i] = where(count == s, zero, (pairs[2 * i] - d * count) / over)


@block
def add_scores(out, pairs, shift, samples, p):
    """out += shift (count - samples p): shift is already divided."""
    wide_vectors()
    s = like(samples, p)
    for i in range(out.size):
        out[i] += shift * (pairs[2 * i + 1] - s * p[i])


@kernel
def centre(chunk, chunks, sums, samples, over, mean, shift, p, out):
    """out = the sum over samples of (x - mean) one-hot(z), as of `scatter`, / over; mean is (M,).

    With a shift, (M,), it is that of (x - mean + shift) score: p are the mean features.
    """
    n, k = out.shape
    per = n // max(mean.size, 1)
    row, last = chunk_bounds(n, chunk, chunks)
    divisor = like(over, out)
    while row < last:
        cell, end = cell_of(row, per, last)
        size = (end - row) * k
        pairs, target = sums[row:end].reshape(2 * size), out[row:end].reshape(size)
        centre_run(target, pairs, like(mean[cell], out), samples, divisor)
        if shift.size > 0:
            own = like(shift[cell] / over, out)
            add_scores(target, pairs, own, samples, p[row:end].reshape(size))
        row = end


@block
def optimum(a, p, sums, samples):
    """a = the sum over samples of (x - c) score, given a, that of (x - mean) one-hot, and counts.

    The optimum c = sum x score^2 / sum score^2 over the other samples depends on whether a sample
    shows this category; the sum over all of them has a closed form.
    """
    wide_vectors()
    zero, one, s = like(0, p), like(1, p), like(samples, p)
    for c in range(a.size):
        n, x = sums[c, 1], p[c]
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
def optima(chunk, chunks, centred, sums, samples, p):
    """centred = the sum over samples of (x - optimum for each coordinate) score."""
    rows = slice(*chunk_bounds(len(p), chunk, chunks))
    a, q, own = centred[rows], p[rows], sums[rows]
    optimum(a.reshape(a.size), q.reshape(q.size), own.reshape((q.size, 2)), samples)
