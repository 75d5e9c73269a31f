"""Races of exponentials whose categories swap places, and what ARSM sums over them.

Oracle: tests/estimators/antithetic/test_carms.py, `swapped_winner`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.noise import fill_exponential
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import empty


@block
def keep(e, w):
    """e = 0 where w is 0."""
    wide_vectors()
    depth, columns = e.shape
    for i in range(depth):
        for c in range(columns):
            e[i, c] = where(w[i, c] > like(0, w), e[i, c], like(0, e))


@block
def speeds(e, w):
    """e = w / e: the winner's is largest. Where w is 0, so is e: there 0."""
    wide_vectors()
    depth, columns = e.shape
    for i in range(depth):
        for c in range(columns):
            e[i, c] = where(w[i, c] > like(0, w), w[i, c] / e[i, c], like(0, e))


@kernel(cost=lambda shares: shares.size)
def race(chunk, chunks, weights, noise, shares, z):
    """Fill shares, (S, N, K), uniform on the simplex of weights > 0, and z, (S, N), the winners.

    The winner is the category of the least share / weight; its noise is that of `concrete`.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*weights.shape, offset)
    fold, real = layout.fold, weights.dtype
    w, e = tile.scratch(layout, 2, real)
    (s,) = tile.statistics(layout, 1, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, weights)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(w, weights, row, like(0, w))
        place = addresses(layout, row)
        for i in range(z.shape[0]):
            sample = np.uint32(first_sample + i)
            fill_bits(bits, *place, sample, NOISE, key)
            fill_exponential(e, bits)
            keep(e, w)
            col.total(e, s, fold)
            col.divide(e, s)
            tile.store(shares[i], e, row)
            speeds(e, w)
            col.argmax(e, s, arg, fold)
            tile.store_categories(z[i], arg, row, fold)


@inline
def swapped(w, share, i, row, winner, a, b):
    """Return who wins sample i of a row when a and b, if both may win, swap their shares."""
    zero = like(0, share)
    at_a, at_b = share[i, row, a], share[i, row, b]
    if at_a == zero or at_b == zero:
        return winner
    best, speed = winner, zero
    if winner not in (a, b):
        speed = w[row, winner] / share[i, row, winner]
    else:
        for c in range(w.shape[1]):
            if c != a and c != b and share[i, row, c] > zero:
                other = w[row, c] / share[i, row, c]
                if other > speed:
                    best, speed = np.int32(c), other
    if w[row, a] / at_b > speed:
        best, speed = np.int32(a), w[row, a] / at_b
    if w[row, b] / at_a > speed:
        best = np.int32(b)
    return best


@kernel(cost=lambda out: out.size)
def swap(chunk, chunks, weights, shares, z, a, b, out):
    """out = winners of the races of z when categories a and b swap places."""
    samples, n = z.shape
    for i in range(samples):
        for row in chunk_range(n, chunk, chunks):
            out[i, row] = swapped(weights, shares, i, row, z[i, row], a, b)


@kernel(cost=lambda shares: shares.size)
def swap_products(chunk, chunks, shares, x, total):
    """total += sum over samples and j of (x_cj - mean x_.j) (1 / K - share_j), for category c.

    x is (S, M, K (K - 1) / 2), of pairs c < j in order, less that of no swap; categories with no
    share count as absent. The sum over j of mean x_.j is the mean over c of the sum over j.
    """
    samples, n, k = shares.shape
    per = n // max(x.shape[1], 1)
    h = empty(k)
    for row in chunk_range(n, chunk, chunks):
        for i in range(samples):
            share, signal = shares[i, row], x[i, row // per]
            kept = 0
            for c in range(k):
                h[c] = 0.0
                kept += share[c] > like(0, share)
            pair = 0
            for a in range(k):
                for b in range(a + 1, k):
                    if share[a] > like(0, share) and share[b] > like(0, share):
                        h[a] += signal[pair] * (1.0 / kept - np.float64(share[b]))
                        h[b] += signal[pair] * (1.0 / kept - np.float64(share[a]))
                    pair += 1
            mean = 0.0
            for c in range(k):
                mean += h[c] / kept
            for c in range(k):
                if share[c] > like(0, share):
                    total[row, c] += h[c] - mean
