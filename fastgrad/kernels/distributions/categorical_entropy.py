"""Entropies of rows of logits, and their products, in forms that keep their digits.

Let r be the likeliest category of p. Logits are taken relative to r's: a_i = x_i - x_r <= 0, so
that with R = sum of exp(a_i) without r's own 1, log p_i = a_i - log1p(R) has all its digits where
R is small. Then the entropy is log1p(R) - sum p_i a_i, a sum of positive terms.

Oracle: tests/distributions/test_categorical_entropy.py, by mpmath.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.categorical import PART, add_ties
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import clamped, elementary, exp_bounded, log1p
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.check import any_nan

NEAR = 0.34  # below log(2) / 2, where `bend` holds


@elementary
def bend(form):
    """exp(x) - 1 - x for abs(x) <= log(2) / 2, exact for small x."""
    tail = form.exp_tail

    def implementation(x):
        return x * x * tail(x)

    return implementation


def _summer(keeps):
    """Build what sums exp(a) and gaps, and keeps the exponentials in w or not."""

    @block
    def sum_gaps(w, t, m, ties, rest, gaps, fold, ahead, target):
        wide_vectors()
        zero, none, one, at = like(0, t), np.int32(0), np.int32(1), 0
        for c in range(0, t.shape[1], LANES):
            high, largest = load(m, c), filled(none)
            total, weighted = filled(zero), filled(zero)
            for start in range(0, t.shape[0], PART):
                part, gap_part = filled(zero), filled(zero)
                for i in range(start, min(start + PART, t.shape[0])):
                    prefetch(ahead, at)
                    if keeps:
                        prefetch(target, at)
                    at += LANES
                    a = clamped(load(t, (i, c)) - high)
                    e = exp_bounded(a)
                    if keeps:
                        store(w, (i, c), e)
                    part = part + where(a == zero, zero, e)
                    largest = largest + where(a == zero, one, none)
                    gap_part = fma(-e, a, gap_part)
                total, weighted = total + part, weighted + gap_part
            store(rest, c, total)
            store(ties, c, like(largest, t))
            store(gaps, c, weighted)
        add_ties(rest, ties, fold)
        if fold:
            col.fold_sum(gaps)

    return sum_gaps


_keep, _sum = _summer(True), _summer(False)


@inline
def weigh(w, t, m, ties, rest, gaps, fold, ahead, target):
    """w = exp(t - m), gaps the column sums of w (m - t); the others as in `categorical.weigh`."""
    _keep(w, t, m, ties, rest, gaps, fold, ahead, target)


@inline
def sum_gaps(t, m, ties, rest, gaps, fold, ahead):
    """Do as `weigh`, but keep the sums alone."""
    _sum(t, t, m, ties, rest, gaps, fold, ahead, ahead)


@block
def add_gaps(rest, gaps, fold):
    """rest = log1p(rest) + gaps / (1 + rest): the entropy. Folded, of the first columns only."""
    wide_vectors()
    for c in range(0, LANES if fold else rest.size, LANES):
        r = load(rest, c)
        store(rest, c, log1p(r) + load(gaps, c) / (like(1, rest) + r))


@kernel(cost=lambda logits: logits.size)
def entropy(chunk, chunks, logits, out, bad):
    """out = -sum p log p of each row.

    bad[chunk] is set where logits are invalid: their sum is NaN, which costs nothing to see.
    """
    layout = tile.layout(*logits.shape)
    fold = layout.fold
    (t,) = tile.scratch(layout, 1, logits.dtype)
    m, s, ties, gaps = tile.statistics(layout, 4, logits.dtype)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.maximum(t, m, fold)
        sum_gaps(t, m, ties, s, gaps, fold, tile.ahead(logits, row, layout))
        bad[chunk] |= any_nan(s)
        add_gaps(s, gaps, fold)
        tile.store_statistics(out, s, row, fold)


@block
def entropy_slopes(w, t, m, rest, gaps, cotangent):
    """w = cotangent p (E[a] - a), given w = exp(a): a = t - m."""
    wide_vectors()
    zero = like(0, t)
    for c in range(0, t.shape[1], LANES):
        high, inverse = load(m, c), like(1, t) / (like(1, t) + load(rest, c))
        mean, weight = -load(gaps, c) * inverse, load(cotangent, c) * inverse
        for i in range(t.shape[0]):
            e = load(w, (i, c))
            slope = e * (mean - (load(t, (i, c)) - high))
            store(w, (i, c), where(e > zero, weight * slope, zero))


@kernel(cost=lambda logits: logits.size)
def entropy_vjp(chunk, chunks, logits, cotangent, out, bad):
    """out = cotangent times the gradient of the entropy of each row, -p (log p + entropy).

    bad as in `entropy`.
    """
    layout = tile.layout(*logits.shape)
    fold = layout.fold
    t, w = tile.scratch(layout, 2, logits.dtype)
    m, s, ties, gaps, r = tile.statistics(layout, 5, logits.dtype)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        tile.load_statistics(r, cotangent, row, like(0, r), fold)
        col.maximum(t, m, fold)
        ahead, target = tile.ahead(logits, row, layout), tile.extent(out, row, layout)
        weigh(w, t, m, ties, s, gaps, fold, ahead, target)
        bad[chunk] |= any_nan(s)
        entropy_slopes(w, t, m, s, gaps, r)
        tile.store(out, w, row)
