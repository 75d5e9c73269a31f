"""Coupled categorical draws by breaking sticks, whose tables are those of `coupled_sticks`.

Oracle: tests/estimators/antithetic/test_carms.py, `pair_law`: the probability of every pair.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.categorical_inverse import BELOW_ONE, HALF, HIGH, UNIT
from fastgrad.kernels.estimators.antithetic.disarm import exceed, width
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.noise import fill_exponential
from fastgrad.kernels.random.philox import NOISE, UNIFORM
from fastgrad.kernels.simd.intrinsics import where
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import empty, zeros

SIGN = np.uint32(2**31)


@block
def fill_uniforms(first, u, v, bits):
    """u and v = uniforms from bits (1 or 2, 2, columns), first = a bit; u has one bit less."""
    wide_vectors()
    a, b = bits[0, 0], bits[0, 1]
    for c in range(u.size):
        first[c] = a[c] >= SIGN
        u[c] = np.float64(a[c] & (SIGN - np.uint32(1))) * (HIGH + HIGH)
        v[c] = np.float64(b[c]) * HIGH
    if bits.shape[0] == 1:
        for c in range(u.size):
            u[c] += HALF + HALF
            v[c] += HALF
    else:
        a, b = bits[1, 0], bits[1, 1]
        for c in range(u.size):
            u[c] += (np.float64(a[c]) + 0.5) * (UNIT + UNIT)
            v[c] += (np.float64(b[c]) + 0.5) * UNIT


@inline
def first_above(x, row, end, u):
    """Return the first place before `end` at which ascending x[row] is above u, else `end`."""
    begin = 0
    while begin < end:
        middle = (begin + end) // 2
        if x[row, middle] > u:
            end = middle
        else:
            begin = middle + 1
    return begin


@inline
def last_above(x, row, begin, u):
    """Return the last place at which descending x[row] is above u, as it is at `begin`."""
    end = x.shape[1]
    while end - begin > 1:
        middle = (begin + end) // 2
        if x[row, middle] > u:
            begin = middle
        else:
            end = middle
    return begin


@kernel(cost=lambda z: z.size)
def sample_pairs(chunk, chunks, planes, rest, reach, order, noise, z):
    """Fill z, (2 P, N), with antithetic pairs, each made of two uniform variates and a bit.

    The first variate decides at which place a stick breaks first, the bit which of the two samples
    breaks there. The other sample is independent from then on: with the second variate, it breaks
    what is left of its own stick.
    """
    key, first_pair, offset = noise
    samples, n = z.shape
    k, lead = order.shape[1], offset % 4
    columns = tile.FOLD
    blocks = (lead + n + columns - 1) // columns if n else 0
    bits = empty((planes, 2, columns), np.uint32)
    u, v, first = empty(columns), empty(columns), np.empty(columns, np.bool_)
    for b in chunk_range(blocks, chunk, chunks):
        head = b * columns - lead
        for i in range(0, samples, 2):
            pair = np.uint32(first_pair + i // 2)
            fill_bits(bits, (offset + head) // 4 * 2, 2, 1, pair, UNIFORM, key)
            fill_uniforms(first, u, v, bits)
            for r in range(max(-head, 0), min(columns, n - head)):
                row, c = head + r, r % 4 * (columns // 4) + r // 4
                place = first_above(reach, row, k - 1, u[c])
                other = place
                if place < k - 1:
                    left = rest[row, place + 1]
                    target = min(v[c] * left, left * BELOW_ONE)
                    other = last_above(rest, row, place + 1, target)
                place, other = (place, other) if first[c] else (other, place)
                z[i, row], z[i + 1, row] = order[row, place], order[row, other]


@block
def settle_rank(rank, hit, place):
    """rank = place where it is hit and was not before."""
    wide_vectors()
    size, columns = rank.shape
    for j in range(size):
        for c in range(columns):
            taken = where(hit[j, c] > np.int32(0), place, rank[j, c])
            rank[j, c] = where(taken < rank[j, c], taken, rank[j, c])


@kernel(cost=lambda order, z: z.size * order.shape[1])
def sample_groups(chunk, chunks, threshold, order, size, noise, z):
    """Fill z, (S, N), with groups of `size`: coupled Bernoulli draws at every place."""
    key, first_sample, offset = noise
    samples, n = z.shape
    k, lead = order.shape[1], offset % 4
    columns = width(lead + n, size)
    blocks = (lead + n + columns - 1) // max(columns, 1) if n else 0
    real = threshold.dtype
    bits = empty((threshold.itemsize // 4, 1, columns), np.uint32)
    e, after = empty((size, columns), real), empty((size, columns), real)
    hit, rank = empty((size, columns), np.int32), empty((size, columns), np.int32)
    before, limit = tile.empty((columns,), real), zeros(columns, real)
    for b in chunk_range(blocks, chunk, chunks):
        head = b * columns - lead
        rows = range(max(-head, 0), min(columns, n - head))
        for i in range(0, samples, size):
            rank[:] = np.int32(k - 1)
            for place in range(k - 1):
                for r in rows:
                    limit[r % 4 * (columns // 4) + r // 4] = threshold[head + r, place]
                for j in range(size):
                    sample = np.uint32(first_sample + i + j)
                    fill_bits(bits, (offset + head) // 4 * k + place, k, 0, sample, NOISE, key)
                    fill_exponential(e[j].reshape((1, columns)), bits)
                exceed(hit, e, after, before, limit)
                settle_rank(rank, hit, np.int32(place))
            for j in range(size):
                for r in rows:
                    c = r % 4 * (columns // 4) + r // 4
                    z[i + j, head + r] = order[head + r, rank[j, c]]
