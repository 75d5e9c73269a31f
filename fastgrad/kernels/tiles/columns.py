"""Reductions down the columns of a tile, and what the softmax family needs of them.

Statistics have one entry per column. In a wide tile (`fold`) the columns are parts of one row, so
their statistics are combined and spread again. Sixteen columns at a time are held in `vectors`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, shared, wide_vectors
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.lanes import least_of, sum_of
from fastgrad.kernels.simd.special import exp_normal, log_normal, previous
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import elementwise
from fastgrad.kernels.tiles.factors import entry

PART = 512  # terms that are added one by one; sums of more are sums of such parts


@inline
def spread(s, value):
    """Give every column a value."""
    every = filled(value)
    for c in range(0, s.size, LANES):
        store(s, c, every)


@inline
def fold_sum(s):
    """Give every column the sum over all columns, added pairwise."""
    half = s.size // 2
    while half >= LANES:
        for c in range(0, half, LANES):
            store(s, c, load(s, c) + load(s, half + c))
        half //= 2
    spread(s, sum_of(load(s, 0)))


@inline
def fold_maximum(m):
    """Give every column the maximum over all columns."""
    high = load(m, 0)
    for c in range(LANES, m.size, LANES):
        x = load(m, c)
        high = where(x > high, x, high)
    spread(m, -least_of(-high))


@inline
def fold_argmax(best, arg):
    """Find the largest of the columns' largest, the first in the row where several are equal."""
    winner = 0
    for c in range(best.size):
        if best[c] > best[winner] or (best[c] == best[winner] and arg[c] < arg[winner]):
            winner = c
    for c in range(best.size):
        best[c] = best[winner]
        if c != winner:
            arg[c] = np.int32(-1)


@inline
def top(t, c):
    """Return the maximum of each of 16 columns."""
    m = load(t, (0, c))
    for i in range(1, t.shape[0]):
        x = load(t, (i, c))
        m = where(x > m, x, m)
    return m


@block
def maximum(t, m, fold):
    """m = maximum of each column."""
    for c in range(0, t.shape[1], LANES):
        store(m, c, top(t, c))
    if fold:
        fold_maximum(m)


@shared
def subtract_maximum(t, m, fold):
    """Subtract from each column its maximum, left in m."""
    wide_vectors()
    maximum(t, m, fold)
    for c in range(0, t.shape[1], LANES):
        high = load(m, c)
        for i in range(t.shape[0]):
            store(t, (i, c), load(t, (i, c)) - high)


@shared
def exponentiate_part(w, m, scale, s, first):
    """w = exp((w - m) scale), and s its column sums, added to s unless it is the first part."""
    wide_vectors()
    for c in range(0, w.shape[1], LANES):
        high, at, total = load(m, c), entry(scale, c), filled(like(0, w))
        before = total if first else load(s, c)
        for i in range(w.shape[0]):
            e = exp_normal((load(w, (i, c)) - high) * at)
            store(w, (i, c), e)
            total = total + e
        store(s, c, before + total)


@block
def exponentiate(w, m, scale, s, fold):
    """w = exp((w - m) scale), s its column sums; the scale is one of the `factors`."""
    for i in range(0, w.shape[0], PART):
        exponentiate_part(w[i : i + PART], m, scale, s, i == 0)
    if fold:
        fold_sum(s)


@shared
def divide(w, s):
    """Divide each column by its entry of s, of which the inverse is left."""
    wide_vectors()
    for c in range(0, w.shape[1], LANES):
        inverse = like(1, w) / load(s, c)
        store(s, c, inverse)
        for i in range(w.shape[0]):
            store(w, (i, c), load(w, (i, c)) * inverse)


@block
def softmax(w, m, s, fold):
    """w = softmax(w), given its column maxima m; s is left with the inverse sums of exp(w - m)."""
    exponentiate(w, m, like(1, w), s, fold)
    divide(w, s)


@block
def log_softmax(t, m, s, scratch, fold):
    """t = log_softmax(t), given its column maxima m."""
    wide_vectors()
    elementwise.copy(scratch, t)
    exponentiate(scratch, m, like(1, t), s, fold)
    for c in range(0, t.shape[1], LANES):
        normaliser = load(m, c) + log_normal(load(s, c))
        store(s, c, normaliser)
        for i in range(t.shape[0]):
            store(t, (i, c), load(t, (i, c)) - normaliser)


@inline
def crown(x, winner, i, mine):
    """Return 16 values in which the winner's, if it is at depth i, is its own, others below it."""
    below = previous(mine)
    return where(winner == np.int32(i), mine, where(x < below, x, below))


@shared
def sharpen(w, best, arg, scale, s, fold):
    """w = softmax(w scale), the winner strictly above the rest, which rounding could tie."""
    wide_vectors()
    exponentiate(w, best, scale, s, fold)
    for c in range(0, w.shape[1], LANES):
        mine, winner = like(1, w) / load(s, c), load(arg, c)  # the winner's, since exp(0) = 1
        for i in range(w.shape[0]):
            store(w, (i, c), crown(load(w, (i, c)) * mine, winner, i, mine))


@shared
def log_sharpen(w, best, arg, scale, s, scratch, fold):
    """w = log_softmax(w scale), the winner strictly above the rest."""
    wide_vectors()
    elementwise.copy(scratch, w)
    exponentiate(scratch, best, scale, s, fold)
    for c in range(0, w.shape[1], LANES):
        mine, winner, high = -log_normal(load(s, c)), load(arg, c), load(best, c)
        at = entry(scale, c)
        for i in range(w.shape[0]):
            x = (load(w, (i, c)) - high) * at + mine
            store(w, (i, c), crown(x, winner, i, mine))


@shared
def argmax(t, best, arg, fold):
    """Find in each column the largest entry and its depth, the first where several are equal.

    Folded, the one winner's column holds its depth, all others -1: an element (i, c) is the winner
    where arg[c] == i, in narrow and wide tiles alike.
    """
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        high, winner = load(t, (0, c)), filled(np.int32(0))
        for i in range(1, t.shape[0]):
            x = load(t, (i, c))
            larger = x > high
            winner = where(larger, np.int32(i), winner)
            high = where(larger, x, high)
        store(best, c, high)
        store(arg, c, winner)
    if fold:
        fold_argmax(best, arg)


@block
def one_hot(w, arg):
    """w = 1 at the winners, 0 elsewhere."""
    wide_vectors()
    for c in range(0, w.shape[1], LANES):
        winner = load(arg, c)
        for i in range(w.shape[0]):
            store(w, (i, c), where(winner == np.int32(i), like(1, w), like(0, w)))


@block
def expectation(p, x, s, fold):
    """s = column sums of p x, where what has no probability counts nothing, be it infinite."""
    wide_vectors()
    zero = like(0, p)
    for c in range(0, p.shape[1], LANES):
        sums = filled(zero)
        for i in range(p.shape[0]):
            weight = load(p, (i, c))
            sums = sums + where(weight > zero, weight * load(x, (i, c)), zero)
        store(s, c, sums)
    if fold:
        fold_sum(s)


@shared
def total(a, s, fold):
    """s = column sums of a."""
    wide_vectors()
    for c in range(0, a.shape[1], LANES):
        sums = filled(like(0, a))
        for i in range(a.shape[0]):
            sums = sums + load(a, (i, c))
        store(s, c, sums)
    if fold:
        fold_sum(s)


@shared
def dot(a, b, s, fold):
    """s = column sums of a * b."""
    wide_vectors()
    for c in range(0, a.shape[1], LANES):
        sums = filled(like(0, a))
        for i in range(a.shape[0]):
            sums = sums + load(a, (i, c)) * load(b, (i, c))
        store(s, c, sums)
    if fold:
        fold_sum(s)
