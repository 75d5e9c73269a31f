"""Categoricals: samples, log probabilities and scores of rows of logits, a tile at a time.

A sum of exponentials is kept without the 1 of the likeliest category, as `rest`: the logarithm of
1 + rest, and the probability rest / (1 + rest) of any other category, have then all their digits.

Oracle: tests/support/reference.py, the functions of these names.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_bounds, kernel, wide_vectors
from fastgrad.kernels.distributions import concrete_ratios as ratios
from fastgrad.kernels.distributions.concrete import PART, score_tile
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp_normal, log1p
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile


@kernel(cost=lambda logits, z: logits.size * len(z))
def sample_gumbel(chunk, chunks, logits, noise, z):
    """Draw z, shape (S, N), as the argmax of perturbed logits: the noise of `concrete`."""
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    w, scratch = tile.scratch(layout, 2, real)
    best, second = tile.statistics(layout, 2, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(w, logits, row, like(-np.inf, w))
        ratios.weigh(w, best, fold, best[:0])
        place = addresses(layout, row)
        for i in range(z.shape[0]):
            fill_bits(bits, *place, np.uint32(first_sample + i), NOISE, key)
            ratios.find(w, bits, best, second, arg, fold, best[:0])
            if ratios.near(best, second):
                ratios.settle(scratch, logits, row, bits, best, arg, fold)
            tile.store_categories(z[i], arg, row, fold)


# -- functions of logits and categories --------------------------------------------------------


@block
def weigh(w, t, m, arg, rest, fold):
    """w = exp(t - m), rest its column sums without the winners."""
    wide_vectors()
    zero = like(0, t)
    for c in range(0, t.shape[1], LANES):
        high, winner, total = load(m, c), load(arg, c), filled(zero)
        for start in range(0, t.shape[0], PART):
            part = filled(zero)
            for i in range(start, min(start + PART, t.shape[0])):
                e = exp_normal(load(t, (i, c)) - high)
                store(w, (i, c), e)
                part = part + where(winner == np.int32(i), zero, e)
            total = total + part
        store(rest, c, total)
    if fold:
        col.fold_sum(rest)


@block
def take_log1p(s):
    """s = log(1 + s)."""
    wide_vectors()
    for c in range(0, s.size, LANES):
        store(s, c, log1p(load(s, c)))


@kernel(cost=lambda logits: logits.size)
def normaliser(chunk, chunks, logits, maximum, log_sum):
    """Set logsumexp of each row, maximum + log_sum, as two numbers."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    t, w = tile.scratch(layout, 2, real)
    m, s = tile.statistics(layout, 2, real)
    (arg,) = tile.statistics(layout, 1, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.argmax(t, m, arg, fold)
        weigh(w, t, m, arg, s, fold)
        take_log1p(s)
        tile.store_statistics(maximum, m, row, fold)
        tile.store_statistics(log_sum, s, row, fold)


@kernel(cost=lambda out: out.size)
def log_prob(chunk, chunks, logits, maximum, log_sum, z, out):
    """out = log probability of z, both (S, N), given the two numbers of `normaliser`."""
    begin, end = chunk_bounds(logits.shape[0], chunk, chunks)
    for i in range(out.shape[0]):
        for row in range(begin, end):
            out[i, row] = (logits[row, z[i, row]] - maximum[row]) - log_sum[row]


@block
def subtract_two(t, m, s):
    """t = (t - m) - s, one m and s a column."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        high, low = load(m, c), load(s, c)
        for i in range(t.shape[0]):
            store(t, (i, c), (load(t, (i, c)) - high) - low)


@kernel(cost=lambda logits: logits.size)
def log_softmax(chunk, chunks, logits, out):
    """out = log_softmax(logits)."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    t, w = tile.scratch(layout, 2, real)
    m, s = tile.statistics(layout, 2, real)
    (arg,) = tile.statistics(layout, 1, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.argmax(t, m, arg, fold)
        weigh(w, t, m, arg, s, fold)
        take_log1p(s)
        subtract_two(t, m, s)
        tile.store(out, t, row)


@kernel(cost=lambda out: out.size)
def score(chunk, chunks, logits, z, out):
    """out = one-hot(z) - softmax(logits): z is (S, N), out (S, N, K)."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    p, w = tile.scratch(layout, 2, real)
    m, rest = tile.statistics(layout, 2, real)
    (s,) = tile.statistics(layout, 1, real)
    arg, likeliest = tile.statistics(layout, 2, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(w, logits, row, like(-np.inf, w))
        col.argmax(w, m, likeliest, fold)
        weigh(p, w, m, likeliest, rest, fold)
        for c in range(layout.columns):
            s[c] = like(1, s) + rest[c]
            rest[c] = rest[c] / s[c]
        col.divide(p, s)
        for i in range(z.shape[0]):
            tile.load_categories(arg, z[i], row, fold)
            score_tile(w, arg, p, likeliest, rest)
            tile.store(out[i], w, row)
