"""Fenchel-Young losses of alpha-entmax, as sums of terms that are none negative.

With p = entmax(t), D_i = a t_i - tau, which is p_i^a on the support and not positive elsewhere, and
targets y, the loss is the sum of y (y^a - D) / a - (y^alpha - p^alpha) / alpha. For alpha = 2 such
a term is (y - p)^2 / 2 - y min(D, 0); for alpha = 3/2, with r = sqrt(y) and d = sqrt(p), it is
2/3 (r - d)^2 (2 r + d) - 2 y min(D, 0).

Oracle: tests/support/reference_order.py, `entmax_loss`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import like, sqrt, to_float64, where
from fastgrad.kernels.simd.special import exp, expm1, log
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.sparse.entmax_threshold import (
    ENTMAX15,
    NEAR,
    SPARSEMAX,
    above,
    log_base,
    solve_linear,
    solve_power,
    solve_square,
)
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile


@block
def add_linear(t, y, tau, rest, s):
    """s = losses of columns a t, alpha = 2."""
    wide_vectors()
    zero, half = like(0, t), like(0.5, t)
    for c in range(0, t.shape[1], LANES):
        high, low, total = load(tau, c), load(rest, c), filled(zero)
        for i in range(t.shape[0]):
            d, x = (load(t, (i, c)) - high) - low, load(y, (i, c))
            off = x - above(d)
            missed = where(x > zero, x * above(-d), zero)
            total = total + (half * (off * off) + missed)
        store(s, c, total)


@block
def add_square(t, y, tau, rest, s):
    """s = losses of columns a t, alpha = 3/2."""
    wide_vectors()
    zero, two, third = like(0, t), like(2, t), like(2 / 3, t)
    for c in range(0, t.shape[1], LANES):
        high, low, total = load(tau, c), load(rest, c), filled(zero)
        for i in range(t.shape[0]):
            d, x = (load(t, (i, c)) - high) - low, load(y, (i, c))
            r, root = sqrt(x), above(d)
            off = r - root
            missed = where(x > zero, two * x * above(-d), zero)
            total = total + (third * (off * off) * (two * r + root) + missed)
        store(s, c, total)


@block
def add_power(t, y, x, near, a, s):
    """s = losses of columns a t, in float64."""
    wide_vectors()
    zero, power, alpha = filled(0.0), 1.0 / a, 1.0 + a
    for c in range(0, t.shape[1], LANES):
        here, total = load(x, c), zero
        for i in range(t.shape[0]):
            z, target = load(t, (i, c)), to_float64(load(y, (i, c)))
            logs, base, inside = log_base(z, here, near)
            p = where(inside, exp(logs * power), zero)
            part = where(inside, p * base, zero)  # p^alpha
            given = target > zero
            level = expm1(log(where(given, target, 1.0)) * a)  # y^a - 1
            gap = to_float64(z) - here
            gap = gap if near else gap - 1.0
            missed = where(given, target * (level - gap) * power, zero)
            whole = where(given, target * (level + 1.0), zero)
            total = total + (missed - (whole - part) / alpha)
        store(s, c, where(total > zero, total, zero))


@kernel(cost=lambda logits: logits.size)
def losses(chunk, chunks, logits, z, target, mode, a, out):
    """Fill out, (N,), with losses of targets: categories z, (N,), or probabilities, (N, K)."""
    n, categories = logits.shape
    layout = tile.layout(n, categories)
    fold, real = layout.fold, logits.dtype
    t, y = tile.scratch(layout, 2, real)
    best, tau, rest, q, s, past = tile.statistics(layout, 6, real)
    x, sums, slopes = tile.statistics(layout, 3, np.float64)
    (arg,) = tile.statistics(layout, 1, np.int32)
    power = like(a, t)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        if len(target):
            tile.load(y, target, row, like(0, t))
        else:
            tile.load_categories(arg, z, row, fold)
            col.one_hot(y, arg)
        col.subtract_maximum(t, best, fold)
        for c in range(t.shape[1]):
            for i in range(t.shape[0]):
                t[i, c] *= power
        if mode == SPARSEMAX:
            solve_linear(t, tau, rest, q, s, past, fold)
            add_linear(t, y, tau, rest, s)
        elif mode == ENTMAX15:
            solve_square(t, tau, rest, q, s, past, fold)
            add_square(t, y, tau, rest, s)
        else:
            solve_power(t, x, sums, slopes, mode == NEAR, a, fold)
            add_power(t, y, x, mode == NEAR, a, sums)
            for c in range(s.size):
                s[c] = like(sums[c], s)
        if fold:
            col.fold_sum(s)
        tile.store_statistics(out, s, row, fold)
