"""Relaxations at temperatures 1 and 1/2, and the winners of races, by ratios: no log of noise.

A perturbed logit is z_i = log r_i, where r_i = w_i / E_i and w = exp(phi). So softmax(z) is r over
its sum, and softmax(2 z) is r^2 over the sum of squares; w is made once for all samples of a row.
Given the winner b and its time T, with T' = T / sum(w), z~_b = -log T' and
z~_i = log(w_i / (T' w_i + E'_i)): ratios again.

The largest ratio is that of the largest perturbed logit, unless the second largest is so `near`
that rounding may have exchanged the two. Then the perturbed logits themselves decide, as `perturb`
in `concrete_noise` rounds them: so they always do. E in [2^-33, 22.9] leaves whatever may win a z
in [-3.2, 22.9]. Logarithms are within 2 ulp (of 16 to 32), differences rounded once: two z are
compared with an error below 1.0e-5, two ratios with one of 1e-6, and a gap of 2^-16 = 1.5e-5
exceeds their sum. In float64 4e-14 and 2e-15, and 2^-43 = 1.1e-13.

Weights are raised by a power of two, lest one underflow of a category that is not negligible in a
relaxation; r is lowered before it is multiplied with itself, lest the square overflow.

Oracle: tests/distributions/test_concrete_ratios.py.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, shared, wide_vectors
from fastgrad.kernels.random.noise import exponential, exponential_at, strip_ahead
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.lanes import first_of
from fastgrad.kernels.simd.special import elementary, exp_raised, log_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import flattened

PART = 128  # terms that are added one by one; sums of more are sums of such parts
APART_4, APART_8 = 1 - 2.0**-16, 1 - 2.0**-43  # for numbers of either size


@elementary
def lowered(form):
    """Lower a number as the square of a ratio is lowered."""
    factor = form.float(form.lowered**2)

    def implementation(x):
        return x * factor

    return implementation


@inline
def shape(exponent, w):
    """Return what `term` takes for exponent 1 or 2."""
    one, zero = like(1, w), like(0, w)
    return (lowered(one), zero) if exponent == 2 else (zero, one)


@inline
def term(r, shape):
    """Return a ratio, or its lowered square: by one code, which compiles in half the time."""
    return r * fma(r, shape[0], shape[1])


# -- weights -----------------------------------------------------------------------------------


@block
def weigh(w, sums, fold, ahead):
    """w = exp(w - max), raised; sums = those of columns, NaN where logits are invalid.

    By the way it fetches `ahead`, the logits of the next tile.
    """
    wide_vectors()
    col.maximum(w, sums, fold)
    at = 0
    for c in range(0, w.shape[1], LANES):
        high, total = load(sums, c), filled(like(0, w))
        for i in range(w.shape[0]):
            prefetch(ahead, at)
            at += LANES
            x = exp_raised(load(w, (i, c)) - high)
            store(w, (i, c), x)
            total = total + x
        store(sums, c, total)


@block
def invert(s):
    """s = 1 / s."""
    wide_vectors()
    for c in range(0, s.size, LANES):
        store(s, c, like(1, s) / load(s, c))


# -- the race ----------------------------------------------------------------------------------


@inline
def fold_race(best, second, arg):
    """Find the largest two of the columns' largest two; arg as of `columns.argmax`."""
    winner = 0
    for c in range(best.size):
        if best[c] > best[winner]:
            winner = c
    after = second[winner]
    for c in range(best.size):
        if c != winner:
            after = max(after, best[c])
            arg[c] = np.int32(-1)
    for c in range(best.size):
        best[c], second[c] = best[winner], after


@shared
def find(y, w, bits, best, second, arg, fold, ahead):
    """Find the largest ratios of weights w to noise from bits, their places, and the second.

    y is scratch. By the way it fetches `ahead`, where results are going to be stored.
    """
    wide_vectors()
    at, columns = 0, w.shape[1]
    weights, noise, first, low = flattened(w), flattened(y), flattened(bits[0]), flattened(bits[-1])
    for c in range(0, columns, LANES):
        high, after, winner = filled(like(-1, w)), filled(like(0, w)), filled(np.int32(0))
        strip_ahead(noise, first, low, c, w.size, columns)
        for i in range(w.shape[0]):
            prefetch(ahead, at)
            at += LANES
            j = i * columns + c
            r = load(weights, j) / exponential_at(noise, first, low, j)
            larger = r > high
            lesser = where(larger, high, r)
            after = where(lesser > after, lesser, after)
            winner = where(larger, np.int32(i), winner)
            high = where(larger, r, high)
        store(best, c, high)
        store(second, c, after)
        store(arg, c, winner)
    if fold:
        fold_race(best, second, arg)


@shared
def race(y, w, bits, best, second, arg, total, exponent, fold, ahead):
    """Do as `find`, and fill y with the terms of ratios, total with their column sums."""
    wide_vectors()
    at, columns, zero = 0, w.shape[1], like(0, w)
    weights, terms, first, low = flattened(w), flattened(y), flattened(bits[0]), flattened(bits[-1])
    how = shape(exponent, w)
    for c in range(0, columns, LANES):
        high, after, winner = filled(like(-1, w)), filled(zero), filled(np.int32(0))
        sums = filled(zero)
        strip_ahead(terms, first, low, c, w.size, columns)
        for start in range(0, w.shape[0], PART):
            part = filled(zero)
            for i in range(start, min(start + PART, w.shape[0])):
                prefetch(ahead, at)
                at += LANES
                j = i * columns + c
                r = load(weights, j) / exponential_at(terms, first, low, j)
                x = term(r, how)
                store(terms, j, x)
                part = part + x
                larger = r > high
                lesser = where(larger, high, r)
                after = where(lesser > after, lesser, after)
                winner = where(larger, np.int32(i), winner)
                high = where(larger, r, high)
            sums = sums + part
        store(best, c, high)
        store(second, c, after)
        store(arg, c, winner)
        store(total, c, sums)
    if fold:
        fold_race(best, second, arg)
        col.fold_sum(total)


@block
def near(best, second):
    """Return whether the second largest ratio of a column is near the largest."""
    wide_vectors()
    apart, zero = like(APART_4 if best.itemsize == 4 else APART_8, best), like(0, best)
    found, one = filled(zero), like(1, best)  # of the width of best: masks fit as they are
    for c in range(0, best.size, LANES):
        found = where(load(second, c) > load(best, c) * apart, one, found)
    return first_of(found > filled(zero)) < LANES


@block
def crown(y, best, inverse, arg, exponent):
    """y = terms times inverse sums, the winner's that of best and strictly above the rest.

    The exponent is 1 or 2; of the inverses 1 is left.
    """
    wide_vectors()
    how = shape(exponent, y)
    for c in range(0, y.shape[1], LANES):
        factor, winner = load(inverse, c), load(arg, c)
        mine = term(load(best, c), how) * factor
        for i in range(y.shape[0]):
            store(y, (i, c), col.crown(load(y, (i, c)) * factor, winner, i, mine))
        store(inverse, c, like(1, y))


# -- what is near ------------------------------------------------------------------------------


@shared
def settle(w, logits, row, bits, best, arg, fold):
    """arg = winners by the perturbed logits; w and best are overwritten."""
    wide_vectors()
    tile.load(w, logits, row, like(-np.inf, w))
    col.subtract_maximum(w, best, fold)
    flat, first, low = flattened(w), flattened(bits[0]), flattened(bits[-1])
    for j in range(0, flat.size, LANES):  # as `perturb` does, in place
        e = exponential(load(first, j), load(low, j), w)
        store(flat, j, load(flat, j) - log_normal(e))
    col.argmax(w, best, arg, fold)
