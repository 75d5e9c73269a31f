"""Categoricals: samples, log probabilities and scores of rows of logits, a tile at a time.

A sum of exponentials is kept without the 1 of the likeliest category, as `rest`: the logarithm of
1 + rest, and the probability rest / (1 + rest) of any other category, have then all their digits.

Oracle: tests/support/reference.py, the functions of these names.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_bounds, inline, kernel, wide_vectors
from fastgrad.kernels.distributions import concrete_ratios as ratios
from fastgrad.kernels.distributions.concrete import PART
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import clamped, exp_bounded, log1p
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.check import any_nan


@kernel(cost=lambda logits, z: logits.size * len(z))
def sample_gumbel(chunk, chunks, logits, noise, z, bad):
    """Draw z, shape (S, N), as the argmax of perturbed logits: the noise of `concrete`.

    As for bad, see `concrete.gumbel_softmax`.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    w, scratch = tile.scratch(layout, 2, real)
    best, second = tile.statistics(layout, 2, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(w, logits, row, like(-np.inf, w))
        ratios.weigh(w, best, fold, tile.ahead(logits, row, layout))
        bad[chunk] |= any_nan(best)
        place = addresses(layout, row)
        for i in range(z.shape[0]):
            fill_bits(bits, *place, np.uint32(first_sample + i), NOISE, key)
            ratios.find(scratch, w, bits, best, second, arg, fold, best[:0])
            if ratios.near(best, second):
                ratios.settle(scratch, logits, row, bits, best, arg, fold)
            tile.store_categories(z[i], arg, row, fold)


# -- functions of logits and categories --------------------------------------------------------


def _weigher(keeps):
    """Build what sums exp(t - m) but for one of the largest, and keeps the terms in w or not."""

    @block
    def weigh(w, t, m, ties, rest, fold, ahead, target):
        wide_vectors()
        zero, none, one, at = like(0, t), np.int32(0), np.int32(1), 0
        for c in range(0, t.shape[1], LANES):
            high, total, largest = load(m, c), filled(zero), filled(none)
            for start in range(0, t.shape[0], PART):
                part = filled(zero)
                for i in range(start, min(start + PART, t.shape[0])):
                    prefetch(ahead, at)
                    prefetch(target, at)
                    at += LANES
                    a = clamped(load(t, (i, c)) - high)
                    e = exp_bounded(a)
                    if keeps:
                        store(w, (i, c), e)
                    part = part + where(a == zero, zero, e)
                    largest = largest + where(a == zero, one, none)
                total = total + part
            store(rest, c, total)
            store(ties, c, like(largest, t))
        add_ties(rest, ties, fold)

    return weigh


@block
def add_ties(rest, ties, fold):
    """Add to sums without the largest terms, 1 each, all of these but one."""
    wide_vectors()
    if fold:
        col.fold_sum(rest)
        col.fold_sum(ties)
    for c in range(0, rest.size, LANES):
        store(rest, c, load(rest, c) + (load(ties, c) - like(1, rest)))


_keep, _sum = _weigher(True), _weigher(False)


@inline
def weigh(w, t, m, ties, rest, fold, ahead, target):
    """w = exp(t - m), which may be t, rest its column sums without the 1 of the likeliest.

    A sum is NaN where logits are invalid. `ties` is scratch. By the way it fetches `ahead`, the
    logits of the next tile, and `target`, where results are going to be stored: a tile is too short
    for the processor to see by itself what comes next.
    """
    _keep(w, t, m, ties, rest, fold, ahead, target)


@inline
def sum_others(t, m, ties, rest, fold, ahead, target):
    """Do as `weigh`, but keep the sums alone."""
    _sum(t, t, m, ties, rest, fold, ahead, target)


@block
def take_log1p(s, fold):
    """s = log(1 + s)."""
    wide_vectors()
    if fold:  # all columns are alike
        col.spread(s, log1p(s[0]))
        return
    for c in range(0, s.size, LANES):
        store(s, c, log1p(load(s, c)))


@kernel(cost=lambda logits: logits.size)
def normaliser(chunk, chunks, logits, maximum, log_sum, bad):
    """Set logsumexp of each row, maximum + log_sum, as two numbers.

    bad[chunk] is set where logits are invalid: their sum is NaN, which costs nothing to see.
    """
    layout = tile.layout(*logits.shape)
    fold = layout.fold
    (t,) = tile.scratch(layout, 1, logits.dtype)
    m, s, ties = tile.statistics(layout, 3, logits.dtype)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.maximum(t, m, fold)
        ahead = tile.ahead(logits, row, layout)
        sum_others(t, m, ties, s, fold, ahead, ahead)
        bad[chunk] |= any_nan(s)
        take_log1p(s, fold)
        tile.store_statistics(maximum, m, row, fold)
        tile.store_statistics(log_sum, s, row, fold)


@kernel(cost=lambda out: out.size)
def log_prob(chunk, chunks, logits, maximum, log_sum, z, out):
    """out = log probability of z, both (S, N), given the two numbers of `normaliser`."""
    begin, end = chunk_bounds(logits.shape[0], chunk, chunks)
    for i in range(out.shape[0]):
        for row in range(begin, end):
            out[i, row] = (logits[row, z[i, row]] - maximum[row]) - log_sum[row]


@kernel(cost=lambda logits: logits.size)
def log_softmax(chunk, chunks, logits, out, bad):
    """out = log_softmax(logits); bad as in `normaliser`."""
    layout = tile.layout(*logits.shape)
    fold = layout.fold
    (t,) = tile.scratch(layout, 1, logits.dtype)
    m, s, ties = tile.statistics(layout, 3, logits.dtype)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.maximum(t, m, fold)
        ahead, target = tile.ahead(logits, row, layout), tile.extent(out, row, layout)
        sum_others(t, m, ties, s, fold, ahead, target)
        bad[chunk] |= any_nan(s)
        take_log1p(s, fold)
        tile.store_less(out, t, m, s, row)


@block
def invert(rest, inverse):
    """inverse = 1 / (1 + rest), and rest = 1 less the likeliest's probability."""
    wide_vectors()
    for c in range(0, rest.size, LANES):
        others, one = load(rest, c), like(1, rest)
        factor = one / (one + others)
        store(inverse, c, factor)
        store(rest, c, others * factor)


@block
def score_winners(w, arg, e, inverse, rest):
    """w = one-hot(winners) - p, p = e times the inverse; rest is 1 less the likeliest's p."""
    wide_vectors()
    zero, one, half = like(0, e), like(1, e), like(0.5, e)
    for c in range(0, w.shape[1], LANES):
        winner, factor, gap = load(arg, c), load(inverse, c), load(rest, c)
        for i in range(w.shape[0]):
            p = load(e, (i, c)) * factor
            mine = where(p > half, gap, one - p)  # above 1/2 is the likeliest alone
            store(w, (i, c), where(winner == np.int32(i), mine, zero - p))


@kernel(cost=lambda out: out.size)
def score(chunk, chunks, logits, z, out, bad):
    """out = one-hot(z) - softmax(logits): z is (S, N), out (S, N, K); bad as in `normaliser`."""
    layout = tile.layout(*logits.shape)
    fold = layout.fold
    e, w = tile.scratch(layout, 2, logits.dtype)
    m, rest, inverse = tile.statistics(layout, 3, logits.dtype)
    (arg,) = tile.statistics(layout, 1, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(e, logits, row, like(-np.inf, e))
        col.maximum(e, m, fold)
        ahead = tile.ahead(logits, row, layout)
        target = tile.extent(out[0], row, layout) if len(out) else ahead
        weigh(e, e, m, inverse, rest, fold, ahead, target)
        bad[chunk] |= any_nan(rest)
        invert(rest, inverse)
        for i in range(z.shape[0]):
            tile.load_categories(arg, z[i], row, fold)
            score_winners(w, arg, e, inverse, rest)
            tile.store(out[i], w, row)
