"""Multi-sample bounds, and how much of them each sample is worth.

A sample is left out of a sum of exponentials by sums over those before and after it, never by a
subtraction, which loses the rest where one dominates. The largest log weight is kept out of these
sums, and the others are taken relative to the second: no exponential overflows, and the largest of
any sum is 1.

Oracle: tests/estimators/score_functions/test_vimco.py, `leave_out`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import where
from fastgrad.kernels.simd.special import exp, log_normal
from fastgrad.kernels.tiles.memory import empty, zeros

COLUMNS = 64  # at most, which are worked on together


@block
def two_largest(x, best, second, arg):
    """Find of each column the largest entry, the largest of the rest, and where the former is."""
    wide_vectors()
    rows, columns = x.shape
    for c in range(columns):
        best[c], second[c], arg[c] = -np.inf, -np.inf, 0
    for k in range(rows):
        row, index = x[k], np.int64(k)
        for c in range(columns):
            larger = row[c] > best[c]
            below = where(larger, best[c], row[c])
            second[c] = where(below > second[c], below, second[c])
            best[c] = where(larger, row[c], best[c])
            arg[c] = where(larger, index, arg[c])


@block
def weigh(x, second, arg, e):
    """e = exp(x - second), but 0 for the largest."""
    wide_vectors()
    rows, columns = x.shape
    for k in range(rows):
        row, out, index = x[k], e[k], np.int64(k)
        for c in range(columns):
            gap = row[c] - second[c]
            y = exp(where(gap > 0.0, 0.0, gap))
            out[c] = where(arg[c] == index, 0.0, y)


@block
def others(x, out, running):
    """out[k] = the sum of all rows but k."""
    wide_vectors()
    rows, columns = x.shape
    running[:] = 0.0
    for k in range(rows):
        row, target = x[k], out[k]
        for c in range(columns):
            target[c] = running[c]
            running[c] += row[c]
    running[:] = 0.0
    for k in range(rows - 1, -1, -1):
        row, target = x[k], out[k]
        for c in range(columns):
            target[c] += running[c]
            running[c] += row[c]


@block
def worth(x, e, best, second, arg, total, rest, sums, scratch):
    """x = logsumexp - that with the sample at the mean of the others; total = logsumexp."""
    wide_vectors()
    rows, columns = x.shape
    others(x, sums, total)
    others(e, rest, total)  # total is left with the sum of e
    for c in range(columns):
        scratch[c] = exp(second[c] - best[c])
    for c in range(columns):
        total[c] = log_normal(1.0 + scratch[c] * total[c])
    count = np.float64(rows - 1)
    for k in range(rows):
        row, mean, sum_, index = x[k], sums[k], rest[k], np.int64(k)
        for c in range(columns):
            base = where(arg[c] == index, second[c], best[c])
            mean[c] = exp(mean[c] / count - base)
        for c in range(columns):
            left_out = arg[c] == index
            lead = where(left_out, 0.0, 1.0)
            sum_[c] = lead + where(left_out, 1.0, scratch[c]) * sum_[c] + mean[c]
        for c in range(columns):
            sum_[c] = log_normal(sum_[c])
        for c in range(columns):
            gap = where(arg[c] == index, best[c] - second[c], 0.0)
            row[c] = gap + (total[c] - sum_[c])
    for c in range(columns):
        total[c] += best[c]


@kernel(cost=lambda x: x.size)
def bounds(chunk, chunks, x, size, log_size, bound, signal):
    """Bound of each group of `size` samples, log mean exp(x), and the worth of each sample.

    x and signal are (S, M), bound is (S / size, M).
    """
    groups, m = bound.shape
    columns = min(COLUMNS, (m + 7) // 8 * 8)
    blocks = (m + columns - 1) // max(columns, 1)
    items = groups * blocks
    y, e = zeros((size, columns)), empty((size, columns))
    rest, sums = empty((size, columns)), empty((size, columns))
    best, second, total = empty(columns), empty(columns), empty(columns)
    scratch, arg = empty(columns), empty(columns, np.int64)
    for item in chunk_range(items, chunk, chunks):
        group, begin = item // blocks, item % blocks * columns
        width = min(columns, m - begin)
        for k in range(size):
            for c in range(width):
                y[k, c] = np.float64(x[group * size + k, begin + c])
        two_largest(y, best, second, arg)
        weigh(y, second, arg, e)
        worth(y, e, best, second, arg, total, rest, sums, scratch)
        for c in range(width):
            bound[group, begin + c] = total[c] - log_size
        for k in range(size):
            for c in range(width):
                signal[group * size + k, begin + c] = y[k, c]
