"""The blocks of isotonic regressions, by pooling neighbours: a part of `sorting_isotonic`.

Oracle: tests/support/reference_order.py, `projected`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, wide_vectors
from fastgrad.kernels.order.sorting import SORT, TOP_K
from fastgrad.kernels.simd.special import exp

APART = 1e-12  # differences that are larger are told from 0


@inline
def weight(task, i, real, k):
    """Return the weight at place i."""
    if task == TOP_K:
        return 1.0 if i < k else 0.0
    return np.float64(real - i)


@block
def pool(e, real, task, k, weighted, starts, sums, sizes):
    """Find the blocks of e by the ratio of its sum to the size; return their number.

    The size of a block is the number of its values, or the sum of their weights. sums and sizes
    are left of all blocks. While they are found, the last but one is in registers: it is `held`.
    """
    count, begin, total, size = 0, 0, e[0], weight(task, 0, real, k) if weighted else 1.0
    for i in range(1, real):
        first, s, n, held = i, e[i], weight(task, i, real, k) if weighted else 1.0, True
        while held and total * n <= s * size:
            s += total
            n += size
            first = begin
            held = count > 0
            if held:
                count -= 1
                begin, total, size = starts[count], sums[count], sizes[count]
        if held:
            starts[count], sums[count], sizes[count] = begin, total, size
            count += 1
        begin, total, size = first, s, n
    starts[count], sums[count], sizes[count] = begin, total, size
    starts[count + 1] = real
    return count + 1


@inline
def stays(a, b, q):
    """Return whether a > b exp(q); the exponential is seldom needed to tell."""
    if a <= b * (1.0 + q):  # exp(q) >= 1 + q
        return False
    if q < 0.0 and a * (1.0 - q) > b:  # exp(-q) >= 1 - q
        return True
    return a > b * exp(q)


@block
def pool_exponentials(s, real, task, k, scale, starts, ups, downs):
    """Find the blocks of the entropic regression; return their number.

    Sums of exponentials are relative to the first of a block: ups and downs are scratch for them.
    """
    sort = task == SORT
    count, begin, up, down = 0, 0, 1.0, 1.0 if sort else weight(task, 0, real, k)
    for i in range(1, real):
        first, u, d, held = i, 1.0, 1.0 if sort else weight(task, i, real, k), True
        while held:
            drop = s[first] - s[begin]
            lower = (begin - first) * scale if sort else drop
            if stays(up * d, u * down, lower - drop if sort else drop):
                break
            u = up + u * exp(lower)
            d = down + (d * exp(drop) if sort else d)
            first = begin
            held = count > 0
            if held:
                count -= 1
                begin, up, down = starts[count], ups[count], downs[count]
        if held:
            starts[count], ups[count], downs[count] = begin, up, down
            count += 1
        begin, up, down = first, u, d
    starts[count] = begin
    starts[count + 1] = real
    return count + 1


@block
def rises(e, real):
    """Return how many values are as large as the one before, or larger.

    None, and each is a block of its own; all, and they are one block.
    """
    wide_vectors()
    count = 0
    for i in range(1, real):
        count += 1 if e[i] >= e[i - 1] else 0
    return count


@block
def lies_apart(s, real, scale):
    """Return whether sorted values fall by less than `scale` from each to the next.

    Then no block of an entropic sort is pooled. What is nearly equal is left to `stays` to tell.
    """
    wide_vectors()
    others = 0
    for i in range(1, real):
        others += 0 if s[i - 1] - s[i] < scale - APART else 1
    return others == 0
