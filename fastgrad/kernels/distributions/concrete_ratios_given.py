"""Conditional relaxations and scores by ratios: what `relax` in `concrete` needs beside its race.

See `concrete_ratios`. Given the winner b and its time T, the ratios are 1 / T' for b, where
T' = T / sum(w), and w_i / (T' w_i + E'_i), which is less, for others.

Oracle: tests/distributions/test_concrete_ratios.py.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, shared, wide_vectors
from fastgrad.kernels.distributions.concrete import total_but
from fastgrad.kernels.distributions.concrete_ratios import invert, shape, term
from fastgrad.kernels.random.noise import exponential, exponential_at, strip_ahead
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import exp_raised
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles.memory import flattened

PART = 128  # terms that are added one by one; sums of more are sums of such parts


@block
def weigh(w, best, inverse, fold, ahead):
    """w = exp(w - best), raised, best being column maxima; inverse = 1 / column sums.

    By the way it fetches `ahead`, the logits of the next tile.
    """
    wide_vectors()
    zero, at = like(0, w), 0
    for c in range(0, w.shape[1], LANES):
        high, total = load(best, c), filled(zero)
        for start in range(0, w.shape[0], col.PART):
            part = filled(zero)
            for i in range(start, min(start + col.PART, w.shape[0])):
                prefetch(ahead, at)
                at += LANES
                e = exp_raised(load(w, (i, c)) - high)
                store(w, (i, c), e)
                part = part + e
            total = total + part
        store(inverse, c, total)
    if fold:
        col.fold_sum(inverse)
    invert(inverse)


@block
def sum_others(w, likeliest, inverse, rest, fold):
    """rest = 1 - p of the likeliest category, as the sum of the others' p."""
    wide_vectors()
    for c in range(0, w.shape[1], LANES):
        store(rest, c, total_but(w, c, load(likeliest, c), load(inverse, c), False))
    if fold:
        col.fold_sum(rest)


@block
def score(y, w, arg, likeliest, rest, inverse, factor):
    """y = one-hot(winners) - p, where 1 - p of the likeliest category is given as rest.

    For `store_multiple`, factor = 1.
    """
    wide_vectors()
    zero, one = like(0, w), like(1, w)
    for c in range(0, w.shape[1], LANES):
        store(factor, c, one)
        share, gap = load(inverse, c), load(rest, c)
        winner, top = load(arg, c), load(likeliest, c)
        for i in range(w.shape[0]):
            x, here = load(w, (i, c)) * share, np.int32(i)
            mine = where(top == here, gap, one - x)
            store(y, (i, c), where(winner == here, mine, zero - x))


@block
def arrive(time, bits, arg, inverse, fold, ahead):
    """time = T', from bits and the inverse sums of weights.

    By the way it fetches `ahead`, where results are going to be stored.
    """
    wide_vectors()
    at, first, low = 0, bits[0], bits[-1]
    for c in range(0, time.size, LANES):
        winner, high, rest = load(arg, c), filled(np.uint32(0)), filled(np.uint32(0))
        for i in range(first.shape[0]):
            prefetch(ahead, at)
            at += LANES
            mine = winner == np.int32(i)
            high = where(mine, load(first, (i, c)), high)
            rest = where(mine, load(low, (i, c)), rest)
        store(time, c, exponential(high, rest, time) * load(inverse, c))
    if fold:
        winner = 0
        for c in range(time.size):
            winner = c if arg[c] >= 0 else winner
        mine = time[winner]
        for c in range(time.size):
            time[c] = mine


@shared
def race(y, w, bits, time, best, second, arg, total, exponent, fold, ahead):
    """y = terms of ratios given winners and their T', total their column sums.

    best is the winner's ratio, second the largest of the others.
    By the way it fetches `ahead`, where results are going to be stored.
    """
    wide_vectors()
    at, columns, zero = 0, w.shape[1], like(0, w)
    weights, terms, first, low = flattened(w), flattened(y), flattened(bits[0]), flattened(bits[-1])
    how = shape(exponent, w)
    for c in range(0, columns, LANES):
        mine, winner = load(time, c), load(arg, c)
        top, after, sums = like(1, w) / mine, filled(zero), filled(zero)
        strip_ahead(terms, first, low, c, w.size, columns)
        for start in range(0, w.shape[0], PART):
            part = filled(zero)
            for i in range(start, min(start + PART, w.shape[0])):
                prefetch(ahead, at)
                at += LANES
                j = i * columns + c
                e = exponential_at(terms, first, low, j)
                x, own = load(weights, j), winner == np.int32(i)
                r = x / fma(mine, x, e)
                lesser = where(own, zero, r)
                after = where(lesser > after, lesser, after)
                x = term(where(own, top, r), how)
                store(terms, j, x)
                part = part + x
            sums = sums + part
        store(best, c, top)
        store(second, c, after)
        store(total, c, sums)
    if fold:
        col.fold_maximum(second)
        col.fold_sum(total)
