"""Straight-through products: gradients w of f at outcomes D times Jacobians, summed over samples.

The Jacobian of a softmax y is J(y) = diag(y) - y y^T, so J(y) w = y (w - <y, w>); each estimator
says which y. p = softmax(logits). Sums take the samples in their order and start from what the
array holds, as in `sums`. Variables are rows of K categories, or sites with a single logit,
whose Jacobian is a number that depends on the outcome.

Oracle: tests/estimators/relaxations/test_straight_through.py, `straight_through`, `reinmax`,
`gapped_st`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.memory import zeros
from fastgrad.kernels.tiles.sums import ROWS


@kernel(cost=lambda w: w.size)
def add(chunk, chunks, w, total):
    """total += sum over samples of w: w is (S, M)."""
    samples, m = w.shape
    size = 16 * ROWS
    blocks = (m + size - 1) // size
    for b in chunk_range(blocks, chunk, chunks):
        part = slice(b * size, min((b + 1) * size, m))
        for i in range(samples):
            elementwise.add(total[part], w[i, part])


@block
def softmax(p, t, scale, zero, s, fold):
    """p = softmax(t scale), where the maximum of t is 0; s = inverse sums of exp(t scale)."""
    elementwise.copy(p, t)
    col.exponentiate(p, zero, scale, s, fold)
    col.divide(p, s)


@kernel(cost=lambda w: w.size)
def straight_through(chunk, chunks, logits, w, factor, scale, total):
    """total = factor scale J(softmax(logits scale)) w, of shapes (N, K)."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    t, p = tile.scratch(layout, 2, real)
    (s,) = tile.statistics(layout, 1, real)
    zero = zeros(layout.columns, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, s, fold)
        softmax(p, t, scale, zero, s, fold)
        tile.load(t, w, row, like(0, t))
        col.dot(p, t, s, fold)
        for i in range(layout.depth):
            for c in range(layout.columns):
                t[i, c] = factor * scale * (p[i, c] * (t[i, c] - s[c]))
        tile.store(total, t, row)


@block
def pick(chosen, w, arg, fold):
    """chosen = the entry of each column of w where its outcome is."""
    columns = chosen.size
    for c in range(columns):
        chosen[c] = w[arg[c], c] if arg[c] >= 0 else like(0, w)
    if fold:
        col.fold_sum(chosen)


@block
def add_chosen(g, x, arg):
    """Add x to the entry of each column of g where its outcome is."""
    for c in range(x.size):
        if arg[c] >= 0:
            g[arg[c], c] += x[c]


@block
def add_reinmax(g, a, p, p1, w, arg, s, s1, at, fold):
    """g += 2 J(y) w - J(p1) w / 2, y = (p + D) / 2, where a = p - p1 / 2.

    That is a w - p (<p, w> + w_D) / 2 + p1 <p1, w> / 2 + D (w_D - <p, w>) / 2.
    """
    wide_vectors()
    depth, columns = w.shape
    half = like(0.5, w)
    for c in range(columns):
        s[c], s1[c] = like(0, s), like(0, s)
    for i in range(depth):
        for c in range(columns):
            s[c] += p[i, c] * w[i, c]
            s1[c] += p1[i, c] * w[i, c]
    if fold:
        col.fold_sum(s)
        col.fold_sum(s1)
    pick(at, w, arg, fold)
    for c in range(columns):
        ahead = at[c] - s[c]
        s[c] = half * (at[c] + s[c])
        s1[c] *= half
        at[c] = half * ahead
    for i in range(depth):
        for c in range(columns):
            g[i, c] += a[i, c] * w[i, c] - p[i, c] * s[c] + p1[i, c] * s1[c]
    add_chosen(g, at, arg)


@kernel(cost=lambda w: w.size)
def reinmax(chunk, chunks, logits, z, w, scale, total):
    """total += sum over samples of `add_reinmax`: w is (S, N, K), the outcomes z are (S, N)."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    a, p, p1, r, g = tile.scratch(layout, 5, real)
    s, s1, at = tile.statistics(layout, 3, real)
    (arg,) = tile.statistics(layout, 1, np.int32)
    zero = zeros(layout.columns, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(a, logits, row, like(-np.inf, a))
        col.subtract_maximum(a, s, fold)
        softmax(p, a, scale, zero, s, fold)
        softmax(p1, a, like(1, a), zero, s, fold)
        for i in range(layout.depth):
            for c in range(layout.columns):
                a[i, c] = p[i, c] - like(0.5, a) * p1[i, c]
        tile.load(g, total, row, like(0, g))
        for i in range(w.shape[0]):
            tile.load(r, w[i], row, like(0, r))
            tile.load_categories(arg, z[i], row, fold)
            add_reinmax(g, a, p, p1, r, arg, s, s1, at, fold)
        tile.store(total, g, row)


@block
def add_gapped(g, e, sums, w, scale, arg, s, mine, at, fold):
    """g += scale J(y) w, y the softmax whose exponentials are 1 for the outcome, e for the others.

    sums are those of e over all categories.
    """
    wide_vectors()
    depth, columns = w.shape
    one = like(1, w)
    col.dot(e, w, s, fold)
    pick(at, w, arg, fold)
    pick(mine, e, arg, fold)
    for c in range(columns):
        share = one / ((sums[c] - mine[c]) + one)
        s[c] = ((s[c] - mine[c] * at[c]) + at[c]) * share
        at[c] = scale * share * ((one - mine[c]) * (at[c] - s[c]))
        mine[c] = scale * share
    for i in range(depth):
        for c in range(columns):
            g[i, c] += mine[c] * (e[i, c] * (w[i, c] - s[c]))
    add_chosen(g, at, arg)


@block
def limit(t, top):
    """t = min(t, top)."""
    wide_vectors()
    for i in range(t.shape[0]):
        for c in range(t.shape[1]):
            t[i, c] = where(t[i, c] < top, t[i, c], top)


@kernel(cost=lambda w: w.size)
def gapped_straight_through(chunk, chunks, logits, z, w, gap, scale, total):
    """total += sum over samples of `add_gapped`; shapes as in `reinmax`.

    The outcome's logit becomes the maximum, 0, and the others are at most -gap.
    """
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    e, r, g = tile.scratch(layout, 3, real)
    sums, s, mine, at = tile.statistics(layout, 4, real)
    (arg,) = tile.statistics(layout, 1, np.int32)
    zero = zeros(layout.columns, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(e, logits, row, like(-np.inf, e))
        col.subtract_maximum(e, s, fold)
        limit(e, -gap)
        col.exponentiate(e, zero, scale, sums, fold)
        tile.load(g, total, row, like(0, g))
        for i in range(w.shape[0]):
            tile.load(r, w[i], row, like(0, r))
            tile.load_categories(arg, z[i], row, fold)
            add_gapped(g, e, sums, r, scale, arg, s, mine, at, fold)
        tile.store(total, g, row)


@block
def add_slope(g, x, w, slope0, slope1):
    """g += w slope0 where x is 0, w slope1 where it is 1."""
    wide_vectors()
    for c in range(g.size):
        g[c] += where(x[c] > 0, slope1[c], slope0[c]) * w[c]


@kernel(cost=lambda w: w.size)
def site_products(chunk, chunks, x, w, slope0, slope1, total):
    """total += sum over samples of w times slope0 or slope1 as x is 0 or 1: w and x are (S, N)."""
    samples, n = x.shape
    blocks = (n + ROWS - 1) // ROWS
    for b in chunk_range(blocks, chunk, chunks):
        part = slice(b * ROWS, min((b + 1) * ROWS, n))
        for i in range(samples):
            add_slope(total[part], x[i, part], w[i, part], slope0[part], slope1[part])
