"""Entropies and divergences of rows of logits, and their products, in forms that keep their digits.

Let r be the likeliest category of p. Logits are taken relative to r's: a_i = x_i - x_r <= 0, so
that with R = sum of exp(a_i) without r's own 1, log p_i = a_i - log1p(R) has all its digits where
R is small. Then the entropy is log1p(R) - sum p_i a_i, a sum of positive terms.

The divergence from p to q is the sum of p_i (expm1(d_i) - d_i), d_i = log q_i - log p_i, in which
no term is negative. d_i = g_i - c, where g_i = (y_i - y_r) - (x_i - x_r) is exact for near p and q,
and c = log sum p_i exp(g_i). An error of the c at hand shows in M = sum p_i expm1(d_i), which ought
to be 0: the sum exceeds the divergence by M - log1p(M), and c + log1p(M) is better.

Oracle: tests/distributions/test_categorical_entropy.py, by mpmath.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.categorical import PART, weigh
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


# -- entropy -----------------------------------------------------------------------------------


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


# -- divergence --------------------------------------------------------------------------------


@inline
def subtract(a, b):
    """Return a - b and what its rounding lost (Knuth's two-sum); b is finite."""
    high = a - b
    back = high - a
    low = (a - (high - back)) - (b + back)
    return high, where(high > like(-np.inf, high), low, like(0, high))


@inline
def log_odds(x, x_origin, y, y_origin):
    """Return (y - y_origin) - (x - x_origin) as two numbers to be added."""
    a, a_low = subtract(x, x_origin)
    b, b_low = subtract(y, y_origin)
    return b - a, b_low - a_low


@inline
def change(d, p, q):
    """Return q - p = p expm1(d)."""
    near = where(abs(d) < like(NEAR, d), p * (d + bend(d)), q - p)
    return where(p > like(0, p), near, q)


@inline
def excess(d, p, q):
    """Return q - p - p d = p (expm1(d) - d)."""
    near = where(abs(d) < like(NEAR, d), p * bend(d), (q - p) - p * d)
    return where(p > like(0, p), near, q)


@block
def at_winners(t, arg, origin, m, fold):
    """origin = t at the winners, m = column maxima."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        winner, mine, high = load(arg, c), filled(like(0, t)), load(t, (0, c))
        for i in range(t.shape[0]):
            x = load(t, (i, c))
            mine = where(winner == np.int32(i), x, mine)
            high = where(x > high, x, high)
        store(origin, c, mine)
        store(m, c, high)
    if fold:
        col.fold_sum(origin)
        col.fold_maximum(m)


@block
def normalise(rest, other, origin, m, shift):
    """shift = c. rest and other become the inverse sums of exp(x - x_r) and exp(y - m).

    Where q masks r, origin is set to m so that all is finite, and shift to infinity.
    """
    wide_vectors()
    one, inf = like(1, m), like(np.inf, m)
    for c in range(0, m.size, LANES):
        mine, high, r, s = load(origin, c), load(m, c), load(rest, c), load(other, c)
        share = exp_normal(mine - high)  # of r in the sum for q
        masked = mine == -inf
        mine = where(masked, high, mine)
        gap = (high - mine) + log1p(s + (share - one)) - log1p(r)
        store(shift, c, where(masked, inf, gap))
        store(origin, c, mine)
        store(rest, c, one / (one + r))
        store(other, c, one / (s + share))


@block
def compare(x, y, p, q, p_logits, q_logits, row, stats, arg, fold):
    """Load x and y; p = exp(x - x_r), q = exp(y - m), stats the statistics of `normalise`."""
    x_origin, y_origin, high = stats[0], stats[1], stats[2]
    rest, other, shift = stats[3], stats[4], stats[5]
    tile.load(x, p_logits, row, like(-np.inf, x))
    tile.load(y, q_logits, row, like(-np.inf, y))
    col.argmax(x, x_origin, arg, fold)
    weigh(p, x, x_origin, arg, rest, fold)
    at_winners(y, arg, y_origin, high, fold)
    weigh(q, y, high, arg, other, fold)
    normalise(rest, other, y_origin, high, shift)


@block
def sum_terms(x, y, p, q, stats, total, odds, drift, fold):
    """Sum down the columns: total of the divergence's terms, odds of p g, drift of q - p."""
    wide_vectors()
    x_origins, y_origins, rest, other, shift = stats[0], stats[1], stats[3], stats[4], stats[5]
    zero = like(0, x)
    for c in range(0, x.shape[1], LANES):
        x_origin, y_origin, gap = load(x_origins, c), load(y_origins, c), load(shift, c)
        p_scale, q_scale = load(rest, c), load(other, c)
        whole, mean, off = filled(zero), filled(zero), filled(zero)
        for start in range(0, x.shape[0], PART):
            whole_part, mean_part, off_part = filled(zero), filled(zero), filled(zero)
            for i in range(start, min(start + PART, x.shape[0])):
                g, low = log_odds(load(x, (i, c)), x_origin, load(y, (i, c)), y_origin)
                a, b = load(p, (i, c)) * p_scale, load(q, (i, c)) * q_scale
                d = (g - gap) + low
                whole_part = whole_part + excess(d, a, b)
                mean_part = mean_part + where(a > zero, a * (g + low), zero)
                off_part = off_part + change(d, a, b)
            whole, mean, off = whole + whole_part, mean + mean_part, off + off_part
        store(total, c, whole)
        store(odds, c, mean)
        store(drift, c, off)
    if fold:
        col.fold_sum(total)
        col.fold_sum(odds)
        col.fold_sum(drift)


@kernel(cost=lambda p_logits: p_logits.size)
def kl_divergence(chunk, chunks, p_logits, q_logits, out):
    """out = sum p (log p - log q) of each row."""
    layout = tile.layout(*p_logits.shape)
    fold, real = layout.fold, p_logits.dtype
    x, y = tile.scratch(layout, 2, real)
    p, q = tile.scratch(layout, 2, real)
    stats, sums = tile.empty((6, layout.columns), real), tile.empty((3, layout.columns), real)
    total, odds, drift, shift = sums[0], sums[1], sums[2], stats[5]
    (arg,) = tile.statistics(layout, 1, np.int32)
    zero, inf = like(0, x), like(np.inf, x)
    half, third = like(0.5, x), like(1 / 3, x)
    for row in tile.rows(layout, chunk, chunks):
        compare(x, y, p, q, p_logits, q_logits, row, stats, arg, fold)
        sum_terms(x, y, p, q, stats, total, odds, drift, fold)
        for c in range(layout.columns):
            off = drift[c]
            kl = total[c] - off * off * (half - third * off)
            kl = where(kl < zero, zero, kl)
            total[c] = where(shift[c] == inf, inf, kl)
        tile.store_statistics(out, total, row, fold)


@block
def divergence_slopes(x, y, p, q, stats, odds, drift, cotangent):
    """p = cotangent p (E[g] - g), q = cotangent (q - p)."""
    wide_vectors()
    x_origins, y_origins, rest, other, shift = stats[0], stats[1], stats[3], stats[4], stats[5]
    zero = like(0, x)
    for c in range(0, x.shape[1], LANES):
        x_origin, y_origin, weight = load(x_origins, c), load(y_origins, c), load(cotangent, c)
        p_scale, q_scale, mean = load(rest, c), load(other, c), load(odds, c)
        gap = load(shift, c) + log1p(load(drift, c))
        for i in range(x.shape[0]):
            g, low = log_odds(load(x, (i, c)), x_origin, load(y, (i, c)), y_origin)
            a, b = load(p, (i, c)) * p_scale, load(q, (i, c)) * q_scale
            possible = where(a > zero, weight, zero) != zero
            slope = a * ((mean - g) - low)
            store(p, (i, c), where(possible, weight * slope, zero))
            slope = weight * change((g - gap) + low, a, b)
            store(q, (i, c), where(weight == zero, zero, slope))


@kernel(cost=lambda p_logits: p_logits.size)
def kl_divergence_vjp(chunk, chunks, p_logits, q_logits, cotangent, p_grad, q_grad, bad):
    """Set the gradients to cotangent times those of the divergence: p (E[g] - g) and q - p.

    bad[chunk] is set where the divergence is infinite and the cotangent not 0.
    """
    layout = tile.layout(*p_logits.shape)
    fold, real = layout.fold, p_logits.dtype
    x, y = tile.scratch(layout, 2, real)
    p, q = tile.scratch(layout, 2, real)
    stats, sums = tile.empty((6, layout.columns), real), tile.empty((4, layout.columns), real)
    total, odds, drift, r, shift = sums[0], sums[1], sums[2], sums[3], stats[5]
    (arg,) = tile.statistics(layout, 1, np.int32)
    inf = like(np.inf, x)
    for row in tile.rows(layout, chunk, chunks):
        compare(x, y, p, q, p_logits, q_logits, row, stats, arg, fold)
        tile.load_statistics(r, cotangent, row, like(0, r), fold)
        sum_terms(x, y, p, q, stats, total, odds, drift, fold)
        for c in range(layout.columns):
            if r[c] != 0 and not (total[c] < inf and shift[c] < inf):
                bad[chunk] = True
        divergence_slopes(x, y, p, q, stats, odds, drift, r)
        tile.store(p_grad, p, row)
        tile.store(q_grad, q, row)
