"""Linear terms of f, made of its gradients at other samples, and Stein operators on them.

p are mean features, (N, K); gradients g, (S, N, K), have those of the logits: a category each, or
the single one of a Bernoulli variable, whose outcome 0 or 1 is the feature itself. Rests are
<total - g, x>, (S, N), total being the sum of g over samples: what a variable shows of the others.

Oracle: tests/estimators/score_functions/test_control_variates.py, `test_they_are_their_formulae`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.estimators.sums_by_outcome import last_row, load_cells
from fastgrad.kernels.simd.intrinsics import like, to_float64, where
from fastgrad.kernels.simd.lanes import entry
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import empty, flattened, zeros

PART = 1024  # numbers of a sample at a time: their sums, means and those of the next stay in L1
SHORT = 16 * LANES  # numbers whose products are summed in their own type


# -- sums of linear terms over the variables of a cell: none over the categories of each -------


@block
def add_and_multiply(t, p, x, ahead):
    """t += x, all of them flat; return <p, x>. What stands `ahead` is fetched by the way."""
    wide_vectors()
    step, sums, total = 2 * LANES, filled(0.0), 0.0
    whole = x.size // step * step
    for start in range(0, whole, SHORT):
        a, b = filled(like(0, x)), filled(like(0, x))
        for i in range(start, min(start + SHORT, whole), step):
            prefetch(ahead, i)
            prefetch(ahead, i + LANES)
            y, z = load(x, i), load(x, i + LANES)
            store(t, i, load(t, i) + y)
            store(t, i + LANES, load(t, i + LANES) + z)
            a, b = a + load(p, i) * y, b + load(p, i + LANES) * z
        sums = sums + to_float64(a + b)
    for lane in range(LANES):
        total += entry(sums, lane)
    for i in range(whole, x.size):
        t[i] += x[i]
        total += np.float64(p[i] * x[i])
    return total


@block
def take_shown(own, x, z):
    """own = the numbers of x, flat, at outcomes z; of one number a row, that."""
    k = np.uint64(x.size // max(z.size, 1))
    for r in range(z.size):
        own[r] = x[np.uint64(r) * k + (np.uint64(z[r]) if k > 1 else np.uint64(0))]


@block
def sum_rests(own, t, z):
    """own = <t - x, features of outcomes z>, where it was x at these; return the sum."""
    total, k = 0.0, np.uint64(t.size // max(z.size, 1))
    for r in range(z.size):
        if k == 1:  # one number a row is the feature's itself
            own[r] = (t[r] - own[r]) * like(z[r], t)
        else:
            own[r] = t[np.uint64(r) * k + np.uint64(z[r])] - own[r]
        total += np.float64(own[r])
    return total


@block
def add_part(g, p, z, first, last, t, rest, spare, dots, out):
    """Do as `linear_sums` for variables first to last: g, p and t are flat, out is (S,).

    What samples show is taken while their gradients are in L1, and kept in rest, or in spare.
    """
    samples, n = z.shape
    k = g.size // max(z.size, 1)
    t[:] = like(0, t)
    own, whole = p[first * k : last * k], 0.0
    for i in range(samples):
        x = g[(i * n + first) * k : (i * n + last) * k]
        ahead = (i + 1) * n + first if i + 1 < samples else last
        dots[i] = add_and_multiply(t, own, x, g[ahead * k :])
        whole += dots[i]
        if rest.size:
            take_shown(rest[i, first:last], x, z[i, first:last])
        else:
            take_shown(spare[i, : last - first], x, z[i, first:last])
    for i in range(samples):
        shown = z[i, first:last]
        if rest.size:
            total = sum_rests(rest[i, first:last], t, shown)
        else:
            total = sum_rests(spare[i, : last - first], t, shown)
        out[i] = total - (whole - dots[i])


@kernel(cost=lambda g: g.size)
def linear_sums(chunk, chunks, g, p, z, rows, total, rest, out):
    """total = the sum of g over samples; out = sum of <total - g, x - p> over variables by parts.

    M cells of N / M variables each are cut into parts of so many rows, whatever the threads: out
    is (S, M, parts of a cell). The rests are kept, unless there is no room for them.
    """
    samples, n, k = g.shape
    _, cells, parts = out.shape
    per, dots = n // max(cells, 1), empty(samples)
    spare = empty((0 if rest.size else samples, rows), g.dtype)
    flat = flattened(g), flattened(p)
    for item in chunk_range(cells * parts, chunk, chunks):
        cell, part = item // parts, item % parts
        first = cell * per + part * rows
        last = min(first + rows, (cell + 1) * per)
        own = flattened(total)[first * k : last * k]
        add_part(*flat, z, first, last, own, rest, spare, dots, out[:, cell, part])


# -- linear terms of each variable --------------------------------------------------------------


@inline
def load_outcomes(arg, z, row, fold):
    """Read the categories of all samples, z (S, N), each into a row of arg."""
    if fold:
        for i in range(len(z)):
            tile.load_categories(arg[i], z[i], row, fold)
    else:
        tile.load_many_categories(arg, z, row)


@block
def add_sample(t, x, q, arg, s, at, fold, ahead):
    """t += x; at = x at the outcome, s = <q, x>. What stands `ahead` is fetched by the way."""
    wide_vectors()
    zero, place = filled(like(0, x)), 0
    for c in range(0, x.shape[1], 2 * LANES):  # two chains of additions, to hide their latency
        d = c + LANES
        dots, mine, winner = zero, zero, load(arg, c)
        dots2, mine2, winner2 = zero, zero, load(arg, d)
        for i in range(x.shape[0]):
            prefetch(ahead, place)
            prefetch(ahead, place + LANES)
            place += 2 * LANES
            y, y2, here = load(x, (i, c)), load(x, (i, d)), np.int32(i)
            store(t, (i, c), load(t, (i, c)) + y)
            store(t, (i, d), load(t, (i, d)) + y2)
            dots, dots2 = dots + load(q, (i, c)) * y, dots2 + load(q, (i, d)) * y2
            mine, mine2 = where(winner == here, y, mine), where(winner2 == here, y2, mine2)
        store(s, c, dots)
        store(s, d, dots2)
        store(at, c, mine)
        store(at, d, mine2)
    if fold:
        col.fold_sum(s)
        col.fold_sum(at)


@block
def of_others(at, s, t, arg, mean, scale, fold):
    """at = t at the outcome - at; s = scale (at - (mean - s))."""
    wide_vectors()
    for c in range(0, at.size, LANES):
        mine, winner = filled(like(0, t)), load(arg, c)
        for i in range(t.shape[0]):
            mine = where(winner == np.int32(i), load(t, (i, c)), mine)
        mine = mine - load(at, c)
        store(at, c, mine)
        store(s, c, scale * (mine - (load(mean, c) - load(s, c))))
    if fold:  # all but the outcome's column hold what it adds nothing to
        for c in range(at.size):
            if arg[c] >= 0:
                at[0], s[0] = at[c], s[c]


@kernel(cost=lambda g: g.size)
def linear_terms(chunk, chunks, g, p, z, total, rest, out):
    """out = <total - g, x - p> / (S - 1), (S, N); total = the sum of g over samples, (N, K)."""
    samples, n, k = g.shape
    layout = tile.layout(n, k, 0, tile.FOLD)  # the fewest columns: what samples show stays in L1
    fold, real = layout.fold, p.dtype
    t, x, q = tile.scratch(layout, 3, real)
    (mean,) = tile.statistics(layout, 1, real)
    zero, scale = like(0, p), like(1.0 / (samples - 1), p)
    shape = samples, layout.columns
    at, s, arg = tile.empty(shape, real), tile.empty(shape, real), tile.empty(shape, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(q, p, row, zero)
        load_outcomes(arg, z, row, fold)
        t[:] = zero
        for i in range(samples):
            tile.load(x, g[i], row, zero)
            ahead = tile.following(g, i, row, layout)
            add_sample(t, x, q, arg[i], s[i], at[i], fold, ahead)
        tile.store(total, t, row)
        col.dot(q, t, mean, fold)
        for i in range(samples):
            of_others(at[i], s[i], t, arg[i], mean, scale, fold)
            tile.store_statistics(rest[i], at[i], row, fold)
            tile.store_statistics(out[i], s[i], row, fold)


@kernel(cost=lambda g: g.size)
def binary_linear_terms(chunk, chunks, g, p, z, total, rest, out):
    """The same as `linear_terms` where K = 1."""
    samples, n, _ = g.shape
    scale = like(1.0 / (samples - 1), p)
    for v in chunk_range(n, chunk, chunks):
        t = like(0, p)
        for i in range(samples):
            t += g[i, v, 0]
        total[v, 0] = t
        for i in range(samples):
            slope, x = t - g[i, v, 0], like(z[i, v], p)
            rest[i, v], out[i, v] = slope * x, scale * slope * (x - p[v, 0])


# -- Stein: the Gibbs operator of w and |w|, w(x) the sum of linear terms over the cell of x ----


@block
def add_steps(a, b, x, t, scale, q, w, rest, sums, sizes, fold, ahead):
    """Add q w to a and q |w| to b; sums and sizes = their own sums over categories.

    With the variable at each category, w is w less scale (rest - (t - x)): what it has of the mean
    features is the same at all. What stands `ahead` is fetched by the way.
    """
    wide_vectors()
    zero, at = filled(like(0, x)), 0
    for c in range(0, x.shape[1], LANES):
        base, total, size = load(w, c) - scale * load(rest, c), zero, zero
        for i in range(x.shape[0]):
            prefetch(ahead, at)
            at += LANES
            y = scale * (load(t, (i, c)) - load(x, (i, c)))
            v = load(q, (i, c)) * (y + base)
            store(a, (i, c), load(a, (i, c)) + v)
            store(b, (i, c), load(b, (i, c)) + abs(v))
            total, size = total + v, size + abs(v)
        store(sums, c, total)
        store(sizes, c, size)
    if fold:
        col.fold_sum(sums)
        col.fold_sum(sizes)


@block
def tile_steps(tiles, scale, g, w, rest, means, row, room, layout):
    """`add_steps` of all samples to nothing."""
    (t, q, x, a, b), (mine, sums, sizes), fold = tiles, room, layout.fold
    a[:] = like(0, a)
    b[:] = like(0, b)
    for i in range(len(g)):
        tile.load(x, g[i], row, like(0, x))
        tile.load_statistics(mine, rest[i], row, like(0, x), fold)
        ahead = tile.following(g, i, row, layout)
        add_steps(a, b, x, t, scale, q, w[i], mine, sums, sizes, fold, ahead)
        tile.store_statistics(means[0, i], sums, row, fold)
        tile.store_statistics(means[1, i], sizes, row, fold)


@kernel(cost=lambda g: g.size)
def stein(chunk, chunks, g, p, rest, total, w, means, steps):
    """steps = the sums over samples of p w and of p |w|, w with the variable at k, (2, N, K).

    means = the E[w] and E|w| of variables, (2, S, N), which are to be taken from these at the
    outcomes: what drawing a variable afresh makes of its own of w score and |w| score. w is (S, M).
    """
    samples, n, k = g.shape
    layout = tile.layout(n, k, 0, tile.FOLD)  # the fewest columns: five tiles stay in L1
    real = p.dtype
    zero, scale = like(0, p), like(1.0 / (samples - 1), p)
    tiles, stats = tile.scratch(layout, 5, real), tile.statistics(layout, 3, real)
    (room,) = tile.statistics(layout, 1, real)
    cells = tile.empty((samples, layout.columns), real)
    origin = zeros(w.shape[1])
    for row in tile.rows(layout, chunk, chunks):
        load_cells(cells, room, w, origin, row, last_row(row, k, layout.columns, n), n)
        tile.load(tiles[0], total, row, zero)
        tile.load(tiles[1], p, row, zero)
        tile_steps(tiles, scale, g, cells, rest, means, row, stats, layout)
        tile.store(steps[0], tiles[3], row)
        tile.store(steps[1], tiles[4], row)


@kernel(cost=lambda g: g.size)
def binary_stein(chunk, chunks, g, p, rest, total, w, means, steps):
    """The same as `stein` where K = 1."""
    samples, n, _ = g.shape
    scale, per = like(1.0 / (samples - 1), p), n // max(w.shape[1], 1)
    for v in chunk_range(n, chunk, chunks):
        q, a, b = p[v, 0], like(0, p), like(0, p)
        for i in range(samples):
            slope = scale * (total[v, 0] - g[i, v, 0])
            base = like(w[i, v // per], p) - scale * rest[i, v]
            zero, one = (like(1, p) - q) * base, q * (base + slope)
            means[0, i, v], means[1, i, v] = zero + one, abs(zero) + abs(one)
            a, b = a + one, b + abs(one)
        steps[0, v, 0], steps[1, v, 0] = a, b
