"""Divergences of rows of logits (relative entropies), in forms that keep their digits.

As in `categorical_entropy`, r is the likeliest category of p, and logits are relative to r's.
The divergence from p to q is the sum of p_i (expm1(d_i) - d_i), d_i = log q_i - log p_i, in which
no term is negative. d_i = g_i - c, where g_i = (y_i - x_i) - (y_r - x_r) is exact for near p and q,
and c = log sum p_i exp(g_i). An error of the c at hand shows in M = sum p_i expm1(d_i), which ought
to be 0 and is that sum plus sum p_i d_i. The sum exceeds the divergence by M - log1p(M), and
c + log1p(M) is better. So c need not be exact where r has nearly all of both.

Oracle: tests/distributions/test_categorical_entropy.py, by mpmath.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.categorical import PART
from fastgrad.kernels.distributions.categorical_entropy import NEAR, bend
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import exp_normal, log1p, log_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.check import any_nan

HUGE = 2.0**100  # the neighbours of such a logit are so far from it that their p is 0


@inline
def subtract(a, b):
    """Return a - b and what its rounding lost (Knuth's two-sum), NaN where one is infinite."""
    high = a - b
    back = high - a
    return high, (a - (high - back)) - (b + back)


@inline
def log_ratio(x, y, p, odds, odds_low, impossible):
    """Return g, or `impossible` where p is 0; NaN where q alone is 0."""
    high, low = subtract(y, x)
    return where(p > like(0, p), (high - odds) + (low - odds_low), impossible)


@inline
def away(shift):
    """Return a number from which shift differs by 1 at least, so by more than NEAR."""
    return shift + (abs(shift) + like(1, shift))


@inline
def change(d, p, gap):
    """Return q - p = p expm1(d), given as gap too, which near p has lost its digits."""
    return where(abs(d) < like(NEAR, d), p * (d + bend(d)), gap)


@inline
def excess(d, p, gap):
    """Return q - p - p d = p (expm1(d) - d), given the gap q - p."""
    return where(abs(d) < like(NEAR, d), p * bend(d), fma(-p, d, gap))


@block
def exponentiate(w, t, m, s, fold, ahead):
    """w = exp(t - m), s its column sums. By the way it fetches `ahead`, what is loaded next."""
    wide_vectors()
    at = 0
    for c in range(0, t.shape[1], LANES):
        high, total = load(m, c), filled(like(0, t))
        for start in range(0, t.shape[0], PART):
            part = filled(like(0, t))
            for i in range(start, min(start + PART, t.shape[0])):
                prefetch(ahead, at)
                at += LANES
                e = exp_normal(load(t, (i, c)) - high)
                store(w, (i, c), e)
                part = part + e
            total = total + part
        store(s, c, total)
    if fold:
        col.fold_sum(s)


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
def centre_huge(x, origin):
    """Subtract origin, x at the winners, where y - x could overflow; it loses nothing of them."""
    wide_vectors()
    huge = 0
    for c in range(origin.size):
        huge += abs(origin[c]) > like(HUGE, origin)
    if huge:
        for c in range(origin.size):
            if abs(origin[c]) > like(HUGE, origin):
                for i in range(x.shape[0]):
                    x[i, c] -= origin[c]
                origin[c] = like(0, origin)


@block
def normalise(p_sums, q_sums, x_origin, y_origin, m, shift):
    """x_origin + m = y_r - x_r, shift = c, p_sums the inverse of the sums, q_sums their ratio.

    Where q masks r, m stands for y_r so that all is finite, and y_origin is infinite; else it is 0.
    """
    wide_vectors()
    zero, one, inf = like(0, m), like(1, m), like(np.inf, m)
    for c in range(0, m.size, LANES):
        mine, high, r, s = load(y_origin, c), load(m, c), load(p_sums, c), load(q_sums, c)
        masked = mine == -inf
        mine = where(masked, high, mine)
        odds, low = subtract(mine, load(x_origin, c))
        ratio = r / s  # exactly 1 for equal rows
        store(shift, c, (high - mine) - log_normal(ratio))
        store(x_origin, c, odds)
        store(m, c, low)
        store(y_origin, c, where(masked, inf, zero))
        store(p_sums, c, one / r)
        store(q_sums, c, ratio)


@block
def compare(x, y, p, q, p_logits, q_logits, row, stats, arg, layout):
    """Load x and y; p = exp(x - x_r), q = exp(y - m), stats the statistics of `normalise`."""
    x_origin, y_origin, high = stats[0], stats[1], stats[2]
    p_sums, q_sums, shift = stats[3], stats[4], stats[5]
    fold, following = layout.fold, row + (1 if layout.fold else layout.columns)
    tile.load(x, p_logits, row, like(-np.inf, x))
    tile.load(y, q_logits, row, like(-np.inf, y))
    col.argmax(x, x_origin, arg, fold)
    exponentiate(p, x, x_origin, p_sums, fold, tile.extent(p_logits, following, layout))
    at_winners(y, arg, y_origin, high, fold)
    exponentiate(q, y, high, q_sums, fold, tile.extent(q_logits, following, layout))
    centre_huge(x, x_origin)
    normalise(p_sums, q_sums, x_origin, y_origin, high, shift)


@block
def sum_terms(x, y, p, q, stats, total, mean, fold):
    """Sum down the columns: total of the divergence's terms, mean of p g."""
    wide_vectors()
    odds, odds_low, inverses, ratios, shifts = stats[0], stats[2], stats[3], stats[4], stats[5]
    zero = like(0, x)
    for c in range(0, x.shape[1], LANES):
        origin, low, shift = load(odds, c), load(odds_low, c), load(shifts, c)
        ratio, impossible = load(ratios, c), away(shift)
        whole, first = filled(zero), filled(zero)
        for start in range(0, x.shape[0], PART):
            whole_part, first_part = filled(zero), filled(zero)
            for i in range(start, min(start + PART, x.shape[0])):
                a = load(p, (i, c))
                gap = fma(load(q, (i, c)), ratio, -a)
                g = log_ratio(load(x, (i, c)), load(y, (i, c)), a, origin, low, impossible)
                whole_part = whole_part + excess(g - shift, a, gap)
                first_part = fma(a, g, first_part)
            whole, first = whole + whole_part, first + first_part
        inverse = load(inverses, c)
        store(total, c, whole * inverse)
        store(mean, c, first * inverse)
    if fold:
        col.fold_sum(total)
        col.fold_sum(mean)


@block
def correct(total, mean, drift, stats):
    """total becomes the divergence, drift M."""
    wide_vectors()
    masked, shift = stats[1], stats[5]
    zero, inf = like(0, total), like(np.inf, total)
    half, third = like(0.5, total), like(1 / 3, total)
    for c in range(0, total.size, LANES):
        whole = load(total, c)
        off = whole + (load(mean, c) - load(shift, c))
        kl = whole - off * off * (half - third * off)
        kl = where(kl < zero, zero, kl)
        store(drift, c, off)
        store(total, c, where(whole + load(masked, c) < inf, kl, inf))  # so inf for NaN


@kernel(cost=lambda p_logits: p_logits.size)
def kl_divergence(chunk, chunks, p_logits, q_logits, out, bad):
    """out = sum p (log p - log q) of each row.

    bad[chunk] is set where logits are invalid: their sum is NaN, which costs nothing to see.
    """
    layout = tile.layout(*p_logits.shape)
    fold, real = layout.fold, p_logits.dtype
    x, y = tile.scratch(layout, 2, real)
    p, q = tile.scratch(layout, 2, real)
    stats, sums = tile.empty((6, layout.columns), real), tile.empty((3, layout.columns), real)
    total, mean, drift = sums[0], sums[1], sums[2]
    (arg,) = tile.statistics(layout, 1, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        compare(x, y, p, q, p_logits, q_logits, row, stats, arg, layout)
        bad[chunk] |= any_nan(stats[4])
        sum_terms(x, y, p, q, stats, total, mean, fold)
        correct(total, mean, drift, stats)
        tile.store_statistics(out, total, row, fold)


@block
def divergence_slopes(x, y, p, q, stats, mean, drift, cotangent):
    """p = cotangent p (E[g] - g), q = cotangent (q - p)."""
    wide_vectors()
    odds, odds_low, inverses, ratios, shifts = stats[0], stats[2], stats[3], stats[4], stats[5]
    zero = like(0, x)
    for c in range(0, x.shape[1], LANES):
        origin, low, ratio = load(odds, c), load(odds_low, c), load(ratios, c)
        weight, centre = load(cotangent, c) * load(inverses, c), load(mean, c)
        shift = load(shifts, c) + log1p(load(drift, c))
        impossible = away(shift)
        for i in range(x.shape[0]):
            a = load(p, (i, c))
            gap = fma(load(q, (i, c)), ratio, -a)
            g = log_ratio(load(x, (i, c)), load(y, (i, c)), a, origin, low, impossible)
            possible = where(a > zero, weight, zero) != zero
            store(p, (i, c), where(possible, weight * (a * (centre - g)), zero))
            slope = weight * change(g - shift, a, gap)
            store(q, (i, c), where(weight == zero, zero, slope))


@kernel(cost=lambda p_logits: p_logits.size)
def kl_divergence_vjp(chunk, chunks, p_logits, q_logits, cotangent, p_grad, q_grad, bad):
    """Set the gradients to cotangent times those of the divergence: p (E[g] - g) and q - p.

    bad[chunk] is set as by `kl_divergence`, and where the divergence is infinite and the cotangent
    not 0.
    """
    layout = tile.layout(*p_logits.shape)
    fold, real = layout.fold, p_logits.dtype
    x, y = tile.scratch(layout, 2, real)
    p, q = tile.scratch(layout, 2, real)
    stats, sums = tile.empty((6, layout.columns), real), tile.empty((4, layout.columns), real)
    total, mean, drift, r = sums[0], sums[1], sums[2], sums[3]
    (arg,) = tile.statistics(layout, 1, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        compare(x, y, p, q, p_logits, q_logits, row, stats, arg, layout)
        bad[chunk] |= any_nan(stats[4])
        tile.load_statistics(r, cotangent, row, like(0, r), fold)
        sum_terms(x, y, p, q, stats, total, mean, fold)
        correct(total, mean, drift, stats)
        for c in range(layout.columns):
            if r[c] != 0 and not total[c] < like(np.inf, total):
                bad[chunk] = True
        divergence_slopes(x, y, p, q, stats, mean, drift, r)
        tile.store(p_grad, p, row)
        tile.store(q_grad, q, row)
