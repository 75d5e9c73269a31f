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
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.memory import empty, zeros


@block
def gather(s, x, index):
    """s = x[index], one entry a column."""
    for c in range(s.size):
        s[c] = like(x[index[c]], s)


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
    depth, columns = y.shape
    col.dot(y, a, s, fold)
    for i in range(depth):
        for c in range(columns):
            a[i, c] = y[i, c] * (a[i, c] - s[c]) * inverse[c]


@block
def find_keep(w, y, temperature, arg, top, fold):
    """w = keep, and 0 for the winner; what has underflowed in y counts for nothing in J(y)."""
    wide_vectors()
    depth, columns = y.shape
    for c in range(columns):
        top[c] = like(0, top)
    for i in range(depth):
        for c in range(columns):
            top[c] = where(arg[c] == np.int32(i), y[i, c], top[c])
    if fold:
        col.fold_sum(top)
    for c in range(columns):
        top[c] = log_normal(top[c])
    for i in range(depth):
        for c in range(columns):
            w[i, c] = (log_normal(y[i, c]) - top[c]) * temperature[c]
    for i in range(depth):
        for c in range(columns):
            w[i, c] = where(arg[c] == np.int32(i), like(0, w), like(1, w) - exp_normal(w[i, c]))


@block
def through_condition(e, keep, p, s, fold):
    """e = (I - p 1^T) diag(keep) e."""
    wide_vectors()
    depth, columns = e.shape
    for i in range(depth):
        for c in range(columns):
            e[i, c] *= keep[i, c]
    col.total(e, s, fold)
    for i in range(depth):
        for c in range(columns):
            e[i, c] -= p[i, c] * s[c]


@inline
def score_of(p, winner, likeliest, rest, i):
    """Return the score of category i, of probability p: 1 - p of the likeliest is given as rest."""
    here = np.int32(i)
    mine = where(likeliest == here, rest, like(1, p) - p)
    return where(winner == here, mine, -p)


@block
def assemble(a, e, p, arg, likeliest, rest, d, c_y, eta):
    """Make g of a and h of e, in place."""
    wide_vectors()
    depth, columns = a.shape
    for i in range(depth):
        for c in range(columns):
            score = score_of(p[i, c], arg[c], likeliest[c], rest[c], i)
            path = a[i, c] - e[i, c]
            a[i, c] = d[c] * score + eta[c] * path
            e[i, c] = c_y[c] * score - path


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
def differentiate(w, g, p, keep, s, fold):
    """w = d z~ along g = diag(keep) (I - 1 p^T) g."""
    wide_vectors()
    depth, columns = g.shape
    col.dot(p, g, s, fold)
    for i in range(depth):
        for c in range(columns):
            w[i, c] = keep[i, c] * (g[i, c] - s[c])


@block
def score_product(s, g, p, arg, likeliest, rest, fold):
    """s = g . score of each column."""
    wide_vectors()
    depth, columns = g.shape
    for c in range(columns):
        s[c] = like(0, s)
    for i in range(depth):
        for c in range(columns):
            s[c] += g[i, c] * score_of(p[i, c], arg[c], likeliest[c], rest[c], i)
    if fold:
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
    s, at, inverse, scale, signal, control, rest = tile.statistics(layout, 7, real)
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
                elementwise.copy(u, t)
                elementwise.copy(e, a)
            else:
                tile.load(u, y[i], row, zero)
                tile.load(e, q[i], row, zero)
                through_softmax(e, u, inverse, s, fold)
            find_keep(keep, u, at, arg, top, fold)
            through_condition(e, keep, p, s, fold)
            assemble(a, e, p, arg, likeliest, rest, signal, control, scale)
            elementwise.add(total, a)
            if products.shape[1]:
                add_products(sums, a, e, s, fold)
            if dots.shape[0]:
                score_product(s, a, p, arg, likeliest, rest, fold)
                tile.store_statistics(dots[i], s, row, fold)
                differentiate(w, a, p, keep, s, fold)
                through_softmax(w, u, inverse, s, fold)
                through_softmax(a, t, inverse, s, fold)
                if along_y.shape[0]:
                    tile.store(along_y[i], w, row)
                else:
                    elementwise.add_multiple(a.reshape(a.size), like(-1, a), w.reshape(w.size))
                tile.store(along_x[i], a, row)
        tile.store(grad, total, row)
        if products.shape[1]:
            for j in range(3):
                tile.store_statistics(products[j], sums[j], row, fold)
