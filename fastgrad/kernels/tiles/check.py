"""Whether logits need a closer look: one pass over them, or what kernels see by the way."""

import numpy as np

from fastgrad.kernels.compiler.jit import (
    cached,
    chunk_range,
    kernel,
    plan,
    shared,
    standalone,
    wide_vectors,
)
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.lanes import first_of
from fastgrad.kernels.simd.vectors import LANES, filled, load

FINE, MASKED, BAD = 0, 1, 2
BLOCK = 4096


def worst(x):
    """Return BAD where flat x has a NaN or +inf, else MASKED where it has a -inf, else FINE."""
    if plan(x.size) == 1:
        return flags(x)
    found = np.zeros(-(-x.size // BLOCK), np.uint8)
    scan(x, found)
    return found.max()


@cached
@standalone
def flags(x):
    """Return the worst of x."""
    wide_vectors()
    inf, zero, one = like(np.inf, x), like(0, x), like(1, x)
    bad, masked = filled(zero), filled(zero)  # of the width of x: masks fit as they are
    whole = x.size // LANES * LANES
    for i in range(0, whole, LANES):
        y = load(x, i)
        bad, masked = where(y < inf, bad, one), where(y == -inf, one, masked)
    if first_of(bad > zero) < LANES:
        return BAD
    found = MASKED if first_of(masked > zero) < LANES else FINE
    for i in range(whole, x.size):
        if not x[i] < inf:
            return BAD
        if x[i] == -inf:
            found = MASKED
    return found


@shared
def any_nan(sums):
    """Return whether a sum is NaN: that of a row with NaN, +inf or nothing above -inf.

    Of such a row some difference from the largest is NaN, too.
    """
    wide_vectors()
    zero = filled(like(0, sums))
    found, one = zero, like(1, sums)  # of the width of sums: masks fit as they are
    for c in range(0, sums.size, LANES):
        x = load(sums, c)
        found = where(x == x, found, one)
    return first_of(found > zero) < LANES


@cached
@standalone
def first_empty(x):
    """Return the first row of x, (N, K), with nothing above -inf, or -1."""
    for row in range(x.shape[0]):
        empty = True
        for i in range(x.shape[1]):
            if x[row, i] > -np.inf:
                empty = False
                break
        if empty:
            return row
    return -1


@kernel(cost=lambda x: x.size)
def scan(chunk, chunks, x, found):
    """Put the worst of each BLOCK of x in found."""
    for b in chunk_range(found.size, chunk, chunks):
        found[b] = flags(x[b * BLOCK : (b + 1) * BLOCK])
