"""Linear terms of f, made of its gradients at other samples, and Stein operators on them.

p are mean features, (N, K); gradients g, (S, N, K), have those of the logits: a category each, or
the single one of a Bernoulli variable, whose outcome 0 or 1 is the feature itself.

Oracle: tests/estimators/score_functions/test_control_variates.py, `test_they_are_their_formulae`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.estimators.score_functions.control_variates import slope, weigh
from fastgrad.kernels.estimators.sums_by_outcome import last_row, load_cells
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import zeros


@inline
def load_outcomes(arg, z, row, fold):
    """Read the categories of all samples, z (S, N), each into a row of arg."""
    if fold:
        for i in range(len(z)):
            tile.load_categories(arg[i], z[i], row, fold)
    else:
        tile.load_many_categories(arg, z, row)


# -- linear terms: <mean of the others' gradients, x - p> of each variable ---------------------


@block
def add_sample(t, x, q, arg, s, at, fold):
    """t += x; at = x at the outcome, less <q, x>."""
    wide_vectors()
    zero = filled(like(0, x))
    for c in range(0, x.shape[1], 2 * LANES):  # two chains of additions, to hide their latency
        d = c + LANES
        dots, mine, winner = zero, zero, load(arg, c)
        dots2, mine2, winner2 = zero, zero, load(arg, d)
        for i in range(x.shape[0]):
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
    for c in range(0, at.size, LANES):
        store(at, c, load(at, c) - load(s, c))


@block
def of_others(at, t, arg, scale, fold):
    """at = scale (t at the outcome - at)."""
    wide_vectors()
    for c in range(0, at.size, LANES):
        mine, winner = filled(like(0, t)), load(arg, c)
        for i in range(t.shape[0]):
            mine = where(winner == np.int32(i), load(t, (i, c)), mine)
        store(at, c, scale * (mine - load(at, c)))
    if fold:  # all but the outcome's column hold what it adds nothing to
        for c in range(at.size):
            if arg[c] >= 0:
                at[0] = at[c]


@kernel(cost=lambda g: g.size)
def linear_terms(chunk, chunks, g, p, z, total, product, out):
    """out = <total - g, x - p> / (S - 1), (S, N); total = the sum of g over samples, (N, K).

    product is the Jacobian of p times total.
    """
    samples, n, k = g.shape
    layout = tile.layout(n, k, 0, tile.FOLD)  # the fewest columns: what samples show stays in L1
    fold, real = layout.fold, p.dtype
    t, x, q = tile.scratch(layout, 3, real)
    (s,) = tile.statistics(layout, 1, real)
    zero, scale = like(0, p), like(1.0 / (samples - 1), p)
    shape = samples, layout.columns
    at, arg = tile.empty(shape, real), tile.empty(shape, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(q, p, row, zero)
        load_outcomes(arg, z, row, fold)
        t[:] = zero
        for i in range(samples):
            tile.load(x, g[i], row, zero)
            add_sample(t, x, q, arg[i], s, at[i], fold)
        tile.store(total, t, row)
        slope(t, q, s, fold)
        for i in range(samples):
            of_others(at[i], t, arg[i], scale, fold)
            tile.store_statistics(out[i], at[i], row, fold)
        weigh(t, q)
        tile.store(product, t, row)


# -- Stein: the Gibbs operator of w and |w|, w(x) the sum of linear terms over the cell of x ----


@block
def find_rest(s, x, t, scale, arg, whole, fold):
    """s = whole less scale (t - x) at the outcome: what w has of the other variables.

    What w has of the mean features is the same at all categories.
    """
    wide_vectors()
    columns = s.size
    first, second = t.reshape(t.size), x.reshape(x.size)
    for c in range(columns):
        # Unsigned: no wraparound to test.
        i = np.uint64(max(arg[c], 0)) * np.uint64(columns) + np.uint64(c)
        mine = scale * (first[i] - second[i])
        s[c] = where(arg[c] >= 0, mine, like(0, s))
    if fold:
        col.fold_sum(s)
    for c in range(0, columns, LANES):
        store(s, c, load(whole, c) - load(s, c))


@block
def add_steps(a, b, x, t, scale, q, s, size, arg, fold):
    """Add p w to a and p |w| to b, less their sums over categories at the outcome: of |w|, size.

    With the variable at each category, w is scale (t - x) + s.
    """
    wide_vectors()
    zero = filled(like(0, x))
    for c in range(0, x.shape[1], LANES):
        base, sums, sizes = load(s, c), zero, zero
        for i in range(x.shape[0]):
            y = scale * (load(t, (i, c)) - load(x, (i, c)))
            v = load(q, (i, c)) * (y + base)
            store(a, (i, c), load(a, (i, c)) + v)
            store(b, (i, c), load(b, (i, c)) + abs(v))
            sums, sizes = sums + v, sizes + abs(v)
        store(s, c, sums)
        store(size, c, sizes)
    if fold:
        col.fold_sum(s)
        col.fold_sum(size)
    columns = a.shape[1]
    first, second = a.reshape(a.size), b.reshape(b.size)
    for c in range(columns):
        if arg[c] >= 0:
            # Unsigned: no wraparound to test.
            i = np.uint64(arg[c]) * np.uint64(columns) + np.uint64(c)
            first[i] -= s[c]
            second[i] -= size[c]


@kernel(cost=lambda g: g.size)
def stein(chunk, chunks, g, p, z, total, w, size, linear, rectified):
    """Sum over samples what drawing a variable afresh makes of w score and |w| score, of its own.

    It is p w(x with the variable at k), less, at the outcome, E[w]: linear and, for |w|, rectified,
    (N, K). w is (S, M); size becomes the E|w| of variables: (S, N).
    """
    samples, n, k = g.shape
    layout = tile.layout(n, k, 0, tile.FOLD)  # the fewest columns: five tiles stay in L1
    fold, real = layout.fold, p.dtype
    zero, scale = like(0, p), like(1.0 / (samples - 1), p)
    t, q, x, a, b = tile.scratch(layout, 5, real)
    s, sizes = tile.statistics(layout, 2, real)
    shape = samples, layout.columns
    sums, arg = tile.empty(shape, real), tile.empty(shape, np.int32)
    origin = zeros(w.shape[1])
    for row in tile.rows(layout, chunk, chunks):
        load_cells(sums, s, w, origin, row, last_row(row, k, layout.columns, n), n)
        load_outcomes(arg, z, row, fold)
        tile.load(q, p, row, zero)
        tile.load(t, total, row, zero)
        a[:] = zero
        b[:] = zero
        for i in range(samples):
            tile.load(x, g[i], row, zero)
            find_rest(s, x, t, scale, arg[i], sums[i], fold)
            add_steps(a, b, x, t, scale, q, s, sizes, arg[i], fold)
            tile.store_statistics(size[i], sizes, row, fold)
        tile.store(linear, a, row)
        tile.store(rectified, b, row)


# -- the same for single features -------------------------------------------------------------


@kernel(cost=lambda g: g.size)
def binary_linear_terms(chunk, chunks, g, p, z, total, product, out):
    """The same as `linear_terms` where K = 1."""
    samples, n, _ = g.shape
    scale = like(1.0 / (samples - 1), p)
    for v in chunk_range(n, chunk, chunks):
        t = like(0, p)
        for i in range(samples):
            t += g[i, v, 0]
        total[v, 0], product[v, 0] = t, p[v, 0] * (like(1, p) - p[v, 0]) * t
        for i in range(samples):
            out[i, v] = scale * (t - g[i, v, 0]) * (like(z[i, v], p) - p[v, 0])


@kernel(cost=lambda g: g.size)
def binary_stein(chunk, chunks, g, p, z, total, w, size, linear, rectified):
    """The same as `stein` where K = 1."""
    samples, n, _ = g.shape
    scale, per = like(1.0 / (samples - 1), p), n // max(w.shape[1], 1)
    for v in chunk_range(n, chunk, chunks):
        q, a, b = p[v, 0], like(0, p), like(0, p)
        for i in range(samples):
            slope, x = scale * (total[v, 0] - g[i, v, 0]), like(z[i, v], p)
            rest = like(w[i, v // per], p) - slope * (x - q)
            zero = (like(1, p) - q) * (rest - q * slope)
            one = q * (rest + (like(1, p) - q) * slope)
            size[i, v] = abs(zero) + abs(one)
            a += one - x * (zero + one)
            b += abs(one) - x * size[i, v]
        linear[v, 0], rectified[v, 0] = a, b
