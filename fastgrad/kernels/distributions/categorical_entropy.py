"""Entropies of rows of logits, and their products, in forms that keep their digits.

Let r be the likeliest category of p. Logits are taken relative to r's: a_i = x_i - x_r <= 0, so
that with R = sum of exp(a_i) without r's own 1, log p_i = a_i - log1p(R) has all its digits where
R is small. Then the entropy is log1p(R) - sum p_i a_i, a sum of positive terms.

Oracle: tests/distributions/test_categorical_entropy.py, by mpmath.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel, wide_vectors
from fastgrad.kernels.distributions.categorical import PART
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import elementary, exp_normal, log1p
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile

NEAR = 0.34  # below log(2) / 2, where `bend` holds


@elementary
def bend(form):
    """exp(x) - 1 - x for abs(x) <= log(2) / 2, exact for small x."""
    tail = form.exp_tail

    def implementation(x):
        return x * x * tail(x)

    return implementation


@block
def sum_gaps(w, t, m, arg, rest, gaps, fold):
    """w = exp(t - m), rest its column sums without the winners, gaps those of w (m - t)."""
    wide_vectors()
    zero = like(0, t)
    for c in range(0, t.shape[1], LANES):
        high, winner, total, weighted = load(m, c), load(arg, c), filled(zero), filled(zero)
        for start in range(0, t.shape[0], PART):
            part, gap_part = filled(zero), filled(zero)
            for i in range(start, min(start + PART, t.shape[0])):
                a = load(t, (i, c)) - high
                e = exp_normal(a)
                store(w, (i, c), e)
                part = part + where(winner == np.int32(i), zero, e)
                gap_part = gap_part - where(e > zero, e * a, zero)
            total, weighted = total + part, weighted + gap_part
        store(rest, c, total)
        store(gaps, c, weighted)
    if fold:
        col.fold_sum(rest)
        col.fold_sum(gaps)


@block
def add_gaps(rest, gaps):
    """rest = log1p(rest) + gaps / (1 + rest): the entropy."""
    wide_vectors()
    for c in range(0, rest.size, LANES):
        r = load(rest, c)
        store(rest, c, log1p(r) + load(gaps, c) / (like(1, rest) + r))


@kernel(cost=lambda logits: logits.size)
def entropy(chunk, chunks, logits, out):
    """out = -sum p log p of each row."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    t, w = tile.scratch(layout, 2, real)
    stats = tile.empty((3, layout.columns), real)
    m, s, gaps = stats[0], stats[1], stats[2]
    (arg,) = tile.statistics(layout, 1, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.argmax(t, m, arg, fold)
        sum_gaps(w, t, m, arg, s, gaps, fold)
        add_gaps(s, gaps)
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
def entropy_vjp(chunk, chunks, logits, cotangent, out):
    """out = cotangent times the gradient of the entropy of each row, -p (log p + entropy)."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    t, w = tile.scratch(layout, 2, real)
    stats = tile.empty((4, layout.columns), real)
    m, s, gaps, r = stats[0], stats[1], stats[2], stats[3]
    (arg,) = tile.statistics(layout, 1, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        tile.load_statistics(r, cotangent, row, like(0, r), fold)
        col.argmax(t, m, arg, fold)
        sum_gaps(w, t, m, arg, s, gaps, fold)
        entropy_slopes(w, t, m, s, gaps, r)
        tile.store(out, w, row)
