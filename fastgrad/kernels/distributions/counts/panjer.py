"""Inversion of count distributions in Panjer's class: p(x + 1) / p(x) = (a + b x) / (x + 1).

From the mode, whose probability is given, the recursion goes both ways until nothing is left. Sums
from the left end are P(X <= x) with all digits where that is small, and sums from the right end
P(X > x). Each sample is then looked up in the one that is small for it.

Oracle: tests/distributions/counts/test_counts.py, by the quantiles of SciPy.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel
from fastgrad.kernels.tiles.memory import empty

NEGLIGIBLE = 1e-60  # of the probability of the mode: where the tables end


@block
def ends(a, b, mode, most):
    """Return the first and the last count that are not negligible, `most` being the largest."""
    p, low = 1.0, mode
    while low > 0 and p > NEGLIGIBLE:
        p *= low / (a + b * (low - 1))
        low -= 1
    p, high = 1.0, mode
    while high < most and p > NEGLIGIBLE:
        p *= (a + b * high) / (high + 1)
        high += 1
    return low, high


@block
def tabulate(a, b, mode, p_mode, low, below, above):
    """below[i] = P(X <= low + i), above[i] = P(X > low + i)."""
    n = below.size
    at = np.int64(mode - low)
    above[at] = p_mode
    for i in range(at - 1, -1, -1):
        x = low + i
        above[i] = above[i + 1] * ((x + 1) / (a + b * x))
    for i in range(at + 1, n):
        x = low + i
        above[i] = above[i - 1] * ((a + b * (x - 1)) / x)
    total = 0.0
    for i in range(n):
        total += above[i]
        below[i] = total
    total = 0.0
    for i in range(n - 1, -1, -1):
        p = above[i]
        above[i] = total
        total += p


@kernel(cost=lambda z: 8 * z.size)
def invert(chunk, chunks, laws, left, right, z):
    """z = the counts at which P(X <= z) reaches left = 1 - right: all but the laws are (S, N).

    laws holds a, b, the mode, its probability and the largest possible count in rows (N, 5).
    """
    for row in chunk_range(z.shape[1], chunk, chunks):
        a, b, mode, p_mode, most = laws[row]
        low, high = ends(a, b, mode, most)
        size = np.int64(high - low) + 1
        below, above = empty(size), empty(size)
        tabulate(a, b, mode, p_mode, low, below, above)
        for s in range(z.shape[0]):
            first, last = 0, size - 1
            while first < last:
                middle = (first + last) // 2
                small = left[s, row] < 0.5
                reached = below[middle] >= left[s, row] if small else above[middle] <= right[s, row]
                if reached:
                    last = middle
                else:
                    first = middle + 1
            z[s, row] = np.int32(low + first)
