"""Sums of scores weighted by signals, made of the `sums_by_outcome` of what samples showed.

Oracle: tests/estimators/score_functions/test_reinforce.py, `test_reinforce_is_its_formula`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.concrete import sum_others
from fastgrad.kernels.estimators.sums_by_outcome import (
    AT_ONCE,
    WIDEST,
    begin,
    last_row,
    load_cells,
    take,
)
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import sigmoid
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.sums import add_deviations


@block
def centre_tile(sums, mean, samples, inverse):
    """sum = (sum - mean count) inverse, 0 where the outcome never varied: that sum less itself."""
    wide_vectors()
    totals, counts = sums[0], sums[1]
    s, zero = like(samples, sums), filled(like(0, sums))
    for c in range(0, sums.shape[2], LANES):
        m = load(mean, c)
        for i in range(sums.shape[1]):
            n = load(counts, (i, c))
            x = (load(totals, (i, c)) - m * n) * inverse
            store(totals, (i, c), where(n == s, zero, x))


@block
def add_scores(sums, shift, samples, inverse, p, likeliest, rest):
    """sum += shift (count - samples p) inverse, where 1 - p of the likeliest is given as rest."""
    wide_vectors()
    totals, counts, s = sums[0], sums[1], like(samples, sums)
    for c in range(0, sums.shape[2], LANES):
        d, top, gap = load(shift, c) * inverse, load(likeliest, c), load(rest, c)
        for i in range(sums.shape[1]):
            n = load(counts, (i, c))
            score = where(top == np.int32(i), (n - s) + s * gap, n - s * load(p, (i, c)))
            store(totals, (i, c), load(totals, (i, c)) + d * score)


@block
def mean_features(p, logits, row, m, s, single, fold):
    """p = the mean features: the softmax of rows of logits, (N, K), or the sigmoid."""
    wide_vectors()
    tile.load(p, logits, row, like(0 if single else -np.inf, p))
    if single:
        flat = p.reshape(p.size)
        for c in range(0, flat.size, LANES):
            store(flat, c, sigmoid(load(flat, c)))
    else:
        col.maximum(p, m, fold)
        col.softmax(p, m, s, fold)


@block
def sum_other(p, likeliest, rest, scratch, logits, row):
    """Do as `sum_others` for sites of one logit, of which 1 is the likeliest where p > 1 / 2."""
    wide_vectors()
    tile.load(scratch, logits, row, like(0, scratch))
    flat, sites = scratch.reshape(scratch.size), p.reshape(p.size)
    for c in range(0, flat.size, LANES):
        above = load(sites, c) > like(0.5, p)
        store(likeliest, c, where(above, np.int32(0), np.int32(-1)))
        store(rest, c, sigmoid(-load(flat, c)))


@inline
def sum_rest(p, s, likeliest, rest, scratch, logits, row, single, fold):
    """Do as `sum_others` for either kind of tile; s and scratch are room."""
    if single:
        sum_other(p, likeliest, rest, scratch, logits, row)
    else:
        sum_others(p, s, likeliest, rest, fold)


@inline
def optimum(n, p, q, s):
    """Return the factor that makes of a sum about the mean one about the optimum; q = 1 - p.

    The optimum c = sum x score^2 / sum score^2 over the other samples depends on whether a sample
    shows this category, of probability p, as n of s do; the sum over all has a closed form.
    """
    zero, one = like(0, p), like(1, p)
    m, y = s - n, q
    # For n = 1, or m = 1, the squares of p, or q, cancel, which could underflow.
    shown, absent = n == one, m == one
    up = where(shown, y, y * p * p)
    down = where(shown, m, y * y * (n - one) + p * p * m)
    up_too = where(absent, p, p * y * y)
    down_too = where(absent, n, y * y * n + p * p * (m - one))
    both = (n > zero) & (m > zero)
    return where(both, s * (up / down + up_too / down_too), p - p)


@block
def multiply_optima(sums, samples, p, likeliest, rest):
    """sum *= `optimum`, where 1 - p of the likeliest is given as rest."""
    wide_vectors()
    totals, counts, s = sums[0], sums[1], filled(like(samples, sums))
    for c in range(0, sums.shape[2], LANES):
        top, gap = load(likeliest, c), load(rest, c)
        for i in range(sums.shape[1]):
            x = load(p, (i, c))
            q = where(top == np.int32(i), gap, like(1, p) - x)
            factor = optimum(load(counts, (i, c)), x, q, s)
            store(totals, (i, c), load(totals, (i, c)) * factor)


@block
def settle_means(deviation, shift, value, last, head, tail, samples, baseline):
    """Set what `centre` needs of the cells head to tail: the mean of x, less first and baseline."""
    wide_vectors()
    _, x, first, total = last
    cells, own = slice(head, tail), deviation[0, head:tail]
    own[:] = total[cells]
    for i in range(x.shape[0]):
        add_deviations(own, x[i, cells], first[cells])
    for c in range(head, tail):
        deviation[0, c] /= samples
        mean = first[c] + deviation[0, c]
        value[c] = mean
        if baseline.size > 0:
            shift[0, c] = mean - baseline[c if baseline.size > 1 else 0]


@kernel(cost=lambda last, out: last[0].size + out.size)
def centre(chunk, chunks, sums, last, samples, over, about, distribution, value, out):
    """value, (M,), = the mean of x; out = the sum over samples of (x - value) one-hot(z), / over.

    about is (baseline, optimal). With a baseline, (M,) or one for all, out is the sum of
    (x - baseline) score; if optimal, that of (x - optimum of each coordinate) score, both given the
    logits. distribution is (logits, whether each is alone). last are samples z with signals x that
    are not in the sums yet, (z, x, the signal from which sums count, the sum of those that are in
    the sums, less that): a tile is finished while it is in L1.
    """
    z, x, first, _ = last
    baseline, optimal = about
    logits, single = distribution
    n, k = out.shape
    layout, real = tile.layout(n, k, 0, WIDEST), sums.dtype
    fold, columns, shifted = layout.fold, layout.columns, baseline.size > 0
    own, (p, scratch) = tile.empty((2, layout.depth, columns), real), tile.scratch(layout, 2, real)
    m, d = tile.empty((1, columns), real), tile.empty((AT_ONCE, columns), real)
    (s,), arg = tile.statistics(layout, 1, real), tile.empty((AT_ONCE, columns), np.int32)
    cells = value.size
    deviation, origin = np.empty((1, cells)), np.zeros(cells)
    shift = np.empty((1, cells if shifted else 0))
    inverse, per, head, tail = like(1.0 / over, out), n // max(cells, 1), 0, 0
    if n == 0:
        settle_means(deviation, shift, value, last, 0, cells, samples, baseline)
    for b in chunk_range(layout.blocks, chunk, chunks):
        row = tile.first_row(layout, b)
        end = last_row(row, k, columns, n)
        if (end - 1) // per >= tail:
            head, tail = row // per, (end - 1) // per + 1
            settle_means(deviation, shift, value, last, head, tail, samples, baseline)
        begin(own, sums, b)
        take(own, row, k, z, x, first, arg, d, s)
        load_cells(m, s, deviation, origin, row, end, n)
        centre_tile(own, m[0], samples, inverse)
        if optimal or shifted:
            mean_features(p, logits, row, m[0], s, single, fold)
            if not optimal:
                load_cells(m, s, shift, origin, row, end, n)
            sum_rest(p, d[0], arg[0], s, scratch, logits, row, single, fold)
        if optimal:
            multiply_optima(own, samples, p, arg[0], s)
        elif shifted:
            add_scores(own, m[0], samples, inverse, p, arg[0], s)
        tile.store(out, own[0], row)


@block
def add_change(t, start, arg, d):
    """t += d (one-hot(arg) - one-hot(start)), in columns, where they differ."""
    depth = t.shape[0]
    for c in range(d.size):
        if arg[c] != start[c]:
            if depth > 1:
                t[arg[c], c] += d[c]
                t[start[c], c] -= d[c]
            else:
                t[0, c] += d[c] if arg[c] else -d[c]


@block
def add_change_folded(t, start, arg, d):
    """`add_change` of a wide tile, whose outcomes are given by their number."""
    flat = t.reshape(t.size)
    if arg != start:
        flat[arg] += d
        flat[start] -= d


@block
def add_first(t, p, start, total, likeliest, rest):
    """t += total (one-hot(start) - p), where 1 - p of the likeliest is given as rest."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        d, winner, top, gap = load(total, c), load(start, c), load(likeliest, c), load(rest, c)
        for i in range(t.shape[0]):
            x, here = load(p, (i, c)), np.int32(i)
            mine = where(top == here, gap, like(1, t) - x)
            x = where(winner == here, mine, like(0, t) - x)
            store(t, (i, c), load(t, (i, c)) + d * x)


@kernel(cost=lambda out: out.size)
def weighted(chunk, chunks, z, weights, total, logits, single, out):
    """out = the sum over samples of weights score(z), z (S, N) and weights (S, M).

    That is the sum of weights (one-hot(z) - one-hot(z_0)), and of total score(z_0), if total, (M,),
    the sum of all weights, is not empty: what all samples agree on, and what is masked, gets 0.
    """
    n, k = out.shape
    layout, real = tile.layout(n, k), out.dtype
    fold = layout.fold
    t, p, scratch = tile.scratch(layout, 3, real)
    s, m, rest = tile.statistics(layout, 3, real)
    start, arg = tile.statistics(layout, 2, np.int32)
    d = tile.empty((1, layout.columns), real)
    origin = np.zeros(weights.shape[1])
    for row in tile.rows(layout, chunk, chunks):
        last = last_row(row, k, layout.columns, n)
        tile.load_categories(start, z[0], row, fold)
        t[:] = like(0, t)
        for i in range(1, len(z)):
            load_cells(d, s, weights[i : i + 1], origin, row, last, n)
            if fold:
                add_change_folded(t, z[0, row], z[i, row], d[0, 0])
            else:
                tile.load_categories(arg, z[i], row, fold)
                add_change(t, start, arg, d[0])
        if total.size > 0:
            mean_features(p, logits, row, m, s, single, fold)
            sum_rest(p, s, arg, rest, scratch, logits, row, single, fold)
            load_cells(d, s, total.reshape((1, total.size)), origin, row, last, n)
            if k == 1:
                start -= np.int32(1)  # the feature is 1 at outcome 1
            add_first(t, p, start, d[0], arg, rest)
        tile.store(out, t, row)
