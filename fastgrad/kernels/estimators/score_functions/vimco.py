"""Multi-sample bounds, and how much of them each sample is worth.

A sample is left out of a sum of exponentials by sums over those before and after it, never by a
subtraction, which loses the rest where one dominates. The largest log weight is kept out of these
sums, and the others are taken relative to the second: no exponential overflows, and the largest of
any sum is 1.

Relative to the largest weight, let w be that of a sample, R the sum of all others, and g the weight
that takes the place of w: the sample is worth log((R + w) / (R + g)). For all but the largest R is
at least 1, while w and g are at most 1: so that is 2 atanh(u), |u| <= 1/3, a polynomial.

Oracle: tests/estimators/score_functions/test_vimco.py, `leave_out`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, shared, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, polynomial, where
from fastgrad.kernels.simd.special import exp_normal, log_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles.memory import empty, zeros

COLUMNS = 64  # at most, which are worked on together
# (2 atanh(u) - 2 u) / u^3 as a function of u^2, |u| <= 1/3: a minimax fit of relative error 5e-18
atanh_tail = polynomial(
    *(0.66666666666666658561, 0.40000000000014582687, 0.28571428567108753467),
    *(0.22222222717428236784, 0.18181789436114057048, 0.15385570065486454545),
    *(0.13314144200997734812, 0.12001072891953125775, 0.088007380653438702256),
    0.16164046504472451861,
)


@block
def two_largest(x, best, second, arg):
    """Find of each column the largest entry, the largest of the rest, and where the former is."""
    wide_vectors()
    for c in range(0, best.size, LANES):
        first = filled(-np.inf)
        next_, index = first, filled(np.int32(0))
        for k in range(x.shape[0]):
            y = load(x, (k, c))
            larger = y > first
            below = where(larger, first, y)
            next_ = where(below > next_, below, next_)
            first, index = where(larger, y, first), where(larger, np.int32(k), index)
        store(best, c, first)
        store(second, c, next_)
        store(arg, c, index)


@block
def weigh(x, best, second, arg, e, sums, before, lighter):
    """e = exp(x - second), but 0 for the largest; x -= best.

    before and lighter are the sums of x and of e over earlier samples, sums those over all.
    """
    wide_vectors()
    zero = filled(0.0)
    for c in range(0, best.size, LANES):
        whole, total, high, low, top = zero, zero, load(best, c), load(second, c), load(arg, c)
        for k in range(x.shape[0]):
            y = load(x, (k, c))
            gap = y - low
            y = y - high
            store(x, (k, c), y)
            store(before, (k, c), whole)
            whole = whole + y
            y = where(top == np.int32(k), zero, exp_normal(where(gap > zero, zero, gap)))
            store(e, (k, c), y)
            store(lighter, (k, c), total)
            total = total + y
        store(sums, (0, c), whole)
        store(sums, (1, c), total)


@block
def replace(x, before):
    """before = the weight that the mean of all others gives a sample, relative to the largest."""
    wide_vectors()
    share = filled(1.0 / (x.shape[0] - 1))
    for c in range(0, x.shape[1], LANES):
        later = filled(0.0)
        for k in range(x.shape[0] - 1, -1, -1):
            store(before, (k, c), exp_normal((load(before, (k, c)) + later) * share))
            later = later + load(x, (k, c))


@block
def worth(x, e, replaced, lighter, ratio):
    """x = the worth of each sample but the largest; ratio is exp(second - best)."""
    wide_vectors()
    one = filled(1.0)
    for c in range(0, x.shape[1], LANES):
        later, scale = filled(0.0), load(ratio, c)
        for k in range(x.shape[0] - 1, -1, -1):
            y, g = load(e, (k, c)), load(replaced, (k, c))
            rest = fma(scale, load(lighter, (k, c)) + later, one)
            later, w = later + y, scale * y
            u = (w - g) / (rest + rest + (w + g))
            square = u * u
            store(x, (k, c), fma(square * u, atanh_tail(square), u + u))


@shared
def worth_of_largest(x, best, second, arg, ratio, sums, room):
    """Set the worth of the largest of each column, which is left out of its own sums.

    sums[1] becomes the logarithm of the sum of all, relative to the largest.
    """
    wide_vectors()
    share, one = filled(1.0 / (x.shape[0] - 1)), filled(1.0)
    for c in range(0, best.size, LANES):
        gap, total = load(best, c) - load(second, c), load(sums, (1, c))
        without = log_normal(total + exp_normal(fma(load(sums, (0, c)), share, gap)))
        total = log_normal(fma(load(ratio, c), total, one))
        store(sums, (1, c), total)
        store(room, c, gap + (total - without))
    for c in range(best.size):
        x[arg[c], c] = room[c]


@block
def compare(best, second, ratio):
    """ratio = exp(second - best)."""
    wide_vectors()
    for c in range(0, best.size, LANES):
        store(ratio, c, exp_normal(load(second, c) - load(best, c)))


@block
def any_infinite(x, count):
    """Return whether one of the first numbers is -inf."""
    found = False
    for c in range(count):
        found |= x[c] == -np.inf
    return found


@kernel(cost=lambda x: x.size)
def bounds(chunk, chunks, x, size, log_size, bound, signal, few):
    """Bound of each group of `size` samples, log mean exp(x), and the worth of each sample.

    x and signal are (S, M), bound is (S / size, M). few[0] is set if some group has fewer than two
    weights above zero: what is found of it is then of no use.
    """
    groups, m = bound.shape
    columns = min(COLUMNS, (m + LANES - 1) // LANES * LANES)
    blocks = (m + columns - 1) // max(columns, 1)
    items = groups * blocks
    y, e = zeros((size, columns)), empty((size, columns))
    before, lighter, sums = empty((size, columns)), empty((size, columns)), empty((2, columns))
    best, second, arg = empty(columns), empty(columns), empty(columns, np.int32)
    ratio, room = empty(columns), empty(columns)
    for item in chunk_range(items, chunk, chunks):
        group, begin = item // blocks, item % blocks * columns
        width = min(columns, m - begin)
        for k in range(size):
            for c in range(width):
                y[k, c] = np.float64(x[group * size + k, begin + c])
        two_largest(y, best, second, arg)
        if any_infinite(second, width):
            few[0] = True
        compare(best, second, ratio)
        weigh(y, best, second, arg, e, sums, before, lighter)
        replace(y, before)
        worth(y, e, before, lighter, ratio)
        worth_of_largest(y, best, second, arg, ratio, sums, room)
        for c in range(width):
            bound[group, begin + c] = best[c] + sums[1, c] - log_size
        for k in range(size):
            for c in range(width):
                signal[group * size + k, begin + c] = y[k, c]
