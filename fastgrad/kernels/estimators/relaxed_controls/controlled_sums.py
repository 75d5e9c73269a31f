"""Gradients with a relaxed control variate, from the relaxations alone: no noise is drawn again.

Of a sample b with relaxations x = softmax(z / temperature) and y = softmax(z~ / temperature), and a
control variate c with gradients r at x and q at y, the estimate is g = d score + eta (a - e), with
d = f(b) - eta c(y), and h = c(y) score - a + e is what eta multiplies, of mean zero. Here
a = J(x) r with J(x) = (diag x - x x^T) / temperature, and e = J~(y) q, where J~(y) is J(y) times
d z~ / d logits = diag(keep) (I - 1 p^T): keep_i = 1 - exp(z~_i - z~_b), and
exp(z~_i - z~_b) = (y_i / y_b)^temperature.

Sums take samples in order and start from what the arrays hold. N variables belong to M cells; f and
c have a number for each cell, temperature and eta one for each variable.

Oracle: tests/estimators/relaxed_controls/test_rebar.py, `gradients`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.concrete import sum_others
from fastgrad.kernels.estimators.relaxed_controls.relaxed_pairs import row_of
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp_normal, log_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import empty, flattened, zeros


@block
def gather(s, x, index):
    """s = x[index], one entry a column."""
    for c in range(s.size):
        s[c] = like(x[index[c]], s)


@block
def all_ones(x):
    """Return whether all numbers are 1."""
    ones = 0
    for c in range(x.size):
        ones += x[c] == like(1, x)
    return ones == x.size


@block
def invert(inverse, x):
    """inverse = 1 / x."""
    wide_vectors()
    for c in range(x.size):
        inverse[c] = like(1, x) / x[c]


@block
def through_softmax(a, y, inverse, s, fold):
    """a = J(y) a, which is symmetric: products from both sides."""
    wide_vectors()
    col.dot(y, a, s, fold)
    for c in range(0, y.shape[1], LANES):
        mean, factor = load(s, c), load(inverse, c)
        for i in range(y.shape[0]):
            x = load(y, (i, c)) * (load(a, (i, c)) - mean) * factor
            store(a, (i, c), x)


@block
def find_top(top, y, arg, fold):
    """top = y of the winners."""
    flat, columns = flattened(y), y.shape[1]
    for c in range(columns):
        # Unsigned: no wraparound to test.
        i = np.uint64(max(arg[c], 0)) * np.uint64(columns) + np.uint64(c)
        top[c] = where(arg[c] >= 0, flat[i], like(0, top))
    if fold:
        col.fold_sum(top)


@inline
def kept(y, log_top, top, temperature):
    """Return keep of what has not won, 1 - (y / top)^temperature: at temperature 1 by division."""
    x = like(1, y) - exp_normal((log_normal(y) - log_top) * temperature)
    return where(temperature == like(1, y), (top - y) / top, x)


@block
def through_keep(e, q, keep, y, temperature, arg, top, s, plain, fold):
    """Find keep, 0 for the winner; e = q keep, and s = its column sums.

    What has underflowed in y counts for nothing in J(y). Where all temperatures are 1, it is plain.
    """
    wide_vectors()
    zero = like(0, y)
    for c in range(0, y.shape[1], LANES):
        high, winner, at, total = load(top, c), load(arg, c), load(temperature, c), filled(zero)
        if plain:
            for i in range(y.shape[0]):
                x = (high - load(y, (i, c))) / high
                x = where(winner == np.int32(i), zero, x)
                v = load(q, (i, c)) * x
                store(keep, (i, c), x)
                store(e, (i, c), v)
                total = total + v
        else:
            log_high = log_normal(high)
            for i in range(y.shape[0]):
                x = kept(load(y, (i, c)), log_high, high, at)
                x = where(winner == np.int32(i), zero, x)
                v = load(q, (i, c)) * x
                store(keep, (i, c), x)
                store(e, (i, c), v)
                total = total + v
        store(s, c, total)
    if fold:
        col.fold_sum(s)


@inline
def score_of(p, winner, likeliest, rest, i):
    """Return the score of category i, of probability p: 1 - p of the likeliest is given as rest."""
    here = np.int32(i)
    mine = where(likeliest == here, rest, like(1, p) - p)
    return where(winner == here, mine, -p)


@block
def assemble(total, a, e, p, s, arg, likeliest, rest, d, c_y, eta):
    """Make g of a and h of e - p s, in place, and add g to total."""
    wide_vectors()
    for c in range(0, a.shape[1], LANES):
        winner, top, gap, sums = load(arg, c), load(likeliest, c), load(rest, c), load(s, c)
        signal, control, scale = load(d, c), load(c_y, c), load(eta, c)
        for i in range(a.shape[0]):
            q = load(p, (i, c))
            score = score_of(q, winner, top, gap, i)
            path = load(a, (i, c)) - (load(e, (i, c)) - q * sums)
            g = signal * score + scale * path
            store(a, (i, c), g)
            store(e, (i, c), control * score - path)
            store(total, (i, c), load(total, (i, c)) + g)


@block
def subtract(a, b):
    """a -= b, for tiles."""
    wide_vectors()
    x, y = flattened(a), flattened(b)
    for i in range(0, x.size, LANES):
        store(x, i, load(x, i) - load(y, i))


@block
def accumulate(total, s):
    """total += s, in float64."""
    wide_vectors()
    for c in range(s.size):
        total[c] += np.float64(s[c])


@inline
def add_products(products, g, h, s, fold):
    """Add g . h, h . h and g . g of each column to the rows of products."""
    for j, u, v in ((0, g, h), (1, h, h), (2, g, g)):
        col.dot(u, v, s, fold)
        accumulate(products[j], s)


@block
def differentiate(w, g, keep, s):
    """w = keep (g - s): with s = <p, g>, d z~ along g = diag(keep) (I - 1 p^T) g."""
    wide_vectors()
    for c in range(0, g.shape[1], LANES):
        mean = load(s, c)
        for i in range(g.shape[0]):
            store(w, (i, c), load(keep, (i, c)) * (load(g, (i, c)) - mean))


@block
def score_product(dots, s, g, p, arg, likeliest, rest, fold):
    """dots = g . score of each column, s = <p, g>."""
    wide_vectors()
    zero = like(0, g)
    for c in range(0, g.shape[1], LANES):
        winner, top, gap = load(arg, c), load(likeliest, c), load(rest, c)
        total, mean = filled(zero), filled(zero)
        for i in range(g.shape[0]):
            x, q = load(g, (i, c)), load(p, (i, c))
            total, mean = total + x * score_of(q, winner, top, gap, i), mean + x * q
        store(dots, c, total)
        store(s, c, mean)
    if fold:
        col.fold_sum(dots)
        col.fold_sum(s)


@kernel(cost=lambda pair: pair[0].size)
def categorical(
    chunk, chunks, logits, z, pair, slopes, temperature, eta, values, grad, products, directions
):
    """Add g to grad (N, K) and g . h, h . h, g . g to products (3, N) or (3, 0).

    The pair x, y and its slopes r, q are (S, N, K), y and q empty where noise is coupled (then they
    are x and r); the values d and c_y are (S, M). Directions, unless empty, get the derivatives of
    x and y along g, (S, N, K), and the product of g with the score, (S, N): what the gradient of
    g . g by c's parameters needs. Where there is no room for those of y, they are subtracted.
    """
    x, y = pair
    r, q = slopes
    d, c_y = values
    along_x, along_y, dots = directions
    n, coupled = logits.shape[0], y.shape[0] == 0
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    p, total, t, u, a, e, keep, w = tile.scratch(layout, 8, real)
    s, at, inverse, scale, signal, control, rest, along = tile.statistics(layout, 8, real)
    arg, likeliest = tile.statistics(layout, 2, np.int32)
    top = zeros(layout.columns, real)
    zero, per = like(0, grad), n // max(d.shape[1], 1)
    sums = zeros((3, layout.columns))
    rows, cells = empty(layout.columns, np.int64), empty(layout.columns, np.int64)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(p, logits, row, like(-np.inf, p))
        col.maximum(p, top, fold)
        col.softmax(p, top, s, fold)
        sum_others(p, s, likeliest, rest, fold)
        tile.load(total, grad, row, zero)
        for c in range(layout.columns):
            rows[c] = row_of(c, row, layout.columns, n, fold)
            cells[c] = rows[c] // per
        gather(at, temperature, rows)
        plain = all_ones(at)
        invert(inverse, at)
        gather(scale, eta, rows)
        if products.shape[1]:
            for j in range(3):
                gather(sums[j], products[j], rows)
        for i in range(z.shape[0]):
            tile.load_categories(arg, z[i], row, fold)
            gather(signal, d[i], cells)
            gather(control, c_y[i], cells)
            tile.load(t, x[i], row, zero)
            tile.load(a, r[i], row, zero)
            through_softmax(a, t, inverse, s, fold)
            if coupled:
                y_tile, q_tile = t, a
            else:
                y_tile, q_tile = u, e
                tile.load(u, y[i], row, zero)
                tile.load(e, q[i], row, zero)
                through_softmax(e, u, inverse, s, fold)
            find_top(top, y_tile, arg, fold)
            through_keep(e, q_tile, keep, y_tile, at, arg, top, s, plain, fold)
            assemble(total, a, e, p, s, arg, likeliest, rest, signal, control, scale)
            if products.shape[1]:
                add_products(sums, a, e, s, fold)
            if dots.shape[0]:
                score_product(along, s, a, p, arg, likeliest, rest, fold)
                tile.store_statistics(dots[i], along, row, fold)
                differentiate(w, a, keep, s)
                through_softmax(w, y_tile, inverse, s, fold)
                through_softmax(a, t, inverse, s, fold)
                if along_y.shape[0]:
                    tile.store(along_y[i], w, row)
                else:
                    subtract(a, w)
                tile.store(along_x[i], a, row)
        tile.store(grad, total, row)
        if products.shape[1]:
            for j in range(3):
                tile.store_statistics(products[j], sums[j], row, fold)
