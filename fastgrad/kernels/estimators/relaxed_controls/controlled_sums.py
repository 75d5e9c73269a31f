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
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import features, tile
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


@inline
def through(y, a, mean, inverse):
    """Return entries of J(y) a, which is symmetric, given mean = <y, a>."""
    return y * (a - mean) * inverse


@block
def through_softmax(a, y, inverse, s):
    """a = J(y) a, given s = <y, a>."""
    wide_vectors()
    for c in range(0, y.shape[1], LANES):
        mean, factor = load(s, c), load(inverse, c)
        for i in range(y.shape[0]):
            store(a, (i, c), through(load(y, (i, c)), load(a, (i, c)), mean, factor))


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
def through_both(e, q, keep, y, inverse, temperature, arg, top, s, plain, fold, ahead):
    """q = J(y) q, given s = <y, q>; find keep, 0 for the winner; e = q keep, s = its column sums.

    What has underflowed in y counts for nothing in J(y). Where all temperatures are 1, it is plain.
    By the way it fetches `ahead`, what is going to be loaded next.
    """
    wide_vectors()
    (next_x, next_r), zero, place = ahead, like(0, y), 0
    for c in range(0, y.shape[1], LANES):
        high, winner, at, total = load(top, c), load(arg, c), load(temperature, c), filled(zero)
        mean, factor = load(s, c), load(inverse, c)
        if plain:
            for i in range(y.shape[0]):
                prefetch(next_x, place)
                prefetch(next_r, place)
                place += LANES
                here = load(y, (i, c))
                x = where(winner == np.int32(i), zero, (high - here) / high)
                v = through(here, load(q, (i, c)), mean, factor)
                store(q, (i, c), v)
                v = v * x
                store(keep, (i, c), x)
                store(e, (i, c), v)
                total = total + v
        else:
            log_high = log_normal(high)
            for i in range(y.shape[0]):
                prefetch(next_x, place)
                prefetch(next_r, place)
                place += LANES
                here = load(y, (i, c))
                x = where(winner == np.int32(i), zero, kept(here, log_high, high, at))
                v = through(here, load(q, (i, c)), mean, factor)
                store(q, (i, c), v)
                v = v * x
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
def assemble(total, a, e, p, s, arg, likeliest, rest, d, c_y, eta, ahead):
    """Make g of a and h of e - p s, in place, and add g to total; fetch `ahead`."""
    wide_vectors()
    (next_y, next_q), place = ahead, 0
    for c in range(0, a.shape[1], LANES):
        winner, top, gap, sums = load(arg, c), load(likeliest, c), load(rest, c), load(s, c)
        signal, control, scale = load(d, c), load(c_y, c), load(eta, c)
        for i in range(a.shape[0]):
            prefetch(next_y, place)
            prefetch(next_q, place)
            place += LANES
            q = load(p, (i, c))
            score = score_of(q, winner, top, gap, i)
            path = load(a, (i, c)) - (load(e, (i, c)) - q * sums)
            g = signal * score + scale * path
            store(a, (i, c), g)
            store(e, (i, c), control * score - path)
            store(total, (i, c), load(total, (i, c)) + g)


@block
def accumulate(total, s):
    """total += s, in float64."""
    wide_vectors()
    for c in range(s.size):
        total[c] += np.float64(s[c])


@block
def add_products(products, g, h, s, fold):
    """Add g . h, h . h and g . g of each column to the rows of products; s is room for three."""
    wide_vectors()
    zero = like(0, g)
    for c in range(0, g.shape[1], LANES):
        mixed, of_h, of_g = filled(zero), filled(zero), filled(zero)
        for i in range(g.shape[0]):
            x, y = load(g, (i, c)), load(h, (i, c))
            mixed, of_h, of_g = mixed + x * y, of_h + y * y, of_g + x * x
        store(s[0], c, mixed)
        store(s[1], c, of_h)
        store(s[2], c, of_g)
    for j in range(3):
        if fold:
            col.fold_sum(s[j])
        accumulate(products[j], s[j])


@block
def score_product(dots, s, lean, g, p, x, arg, likeliest, rest, fold, ahead):
    """dots = g . score of each column, s = <p, g>, lean = <x, g>; fetch `ahead`."""
    wide_vectors()
    zero, place = like(0, g), 0
    for c in range(0, g.shape[1], LANES):
        winner, top, gap = load(arg, c), load(likeliest, c), load(rest, c)
        total, mean, along = filled(zero), filled(zero), filled(zero)
        for i in range(g.shape[0]):
            prefetch(ahead, place)
            place += LANES
            v, q = load(g, (i, c)), load(p, (i, c))
            total, mean = total + v * score_of(q, winner, top, gap, i), mean + v * q
            along = along + load(x, (i, c)) * v
        store(dots, c, total)
        store(s, c, mean)
        store(lean, c, along)
    if fold:
        col.fold_sum(dots)
        col.fold_sum(s)
        col.fold_sum(lean)


@block
def lean_of_given(lean, g, keep, y, s, fold):
    """lean = <y, w>: with s = <p, g>, w = keep (g - s) is d z~ along g."""
    wide_vectors()
    for c in range(0, g.shape[1], LANES):
        mean, total = load(s, c), filled(like(0, g))
        for i in range(g.shape[0]):
            w = load(keep, (i, c)) * (load(g, (i, c)) - mean)
            total = total + load(y, (i, c)) * w
        store(lean, c, total)
    if fold:
        col.fold_sum(lean)


@block
def differentiate(g, keep, x, y, inverse, s, leans, apart):
    """g = derivatives of x along g, keep = those of y; or, unless apart, g = their difference.

    leans are <x, g> and what `lean_of_given` finds.
    """
    wide_vectors()
    for c in range(0, g.shape[1], LANES):
        mean, factor = load(s, c), load(inverse, c)
        lean_x, lean_y = load(leans[0], c), load(leans[1], c)
        for i in range(g.shape[0]):
            v = load(g, (i, c))
            w = load(keep, (i, c)) * (v - mean)
            v = through(load(x, (i, c)), v, lean_x, factor)
            w = through(load(y, (i, c)), w, lean_y, factor)
            if apart:
                store(g, (i, c), v)
                store(keep, (i, c), w)
            else:
                store(g, (i, c), v - w)


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
    layout = features.products_layout(logits.shape)
    fold, real = layout.fold, logits.dtype
    p, total, t, u, a, e, keep = tile.scratch(layout, 7, real)
    s, at, inverse, scale, signal, control, rest, along = tile.statistics(layout, 8, real)
    room = tile.statistics(layout, 3, real)
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
            col.dot(t, a, s, fold)
            if coupled:
                y_tile, q_tile = t, a
            else:
                through_softmax(a, t, inverse, s)
                y_tile, q_tile = u, e
                tile.load(u, y[i], row, zero)
                tile.load(e, q[i], row, zero)
                col.dot(u, e, s, fold)
            find_top(top, y_tile, arg, fold)
            ahead = tile.following(x, i, row, layout), tile.following(r, i, row, layout)
            through_both(e, q_tile, keep, y_tile, inverse, at, arg, top, s, plain, fold, ahead)
            if not coupled:
                ahead = tile.following(y, i, row, layout), tile.following(q, i, row, layout)
            assemble(total, a, e, p, s, arg, likeliest, rest, signal, control, scale, ahead)
            if products.shape[1]:
                add_products(sums, a, e, room, fold)
            if dots.shape[0]:
                into = tile.extent(along_x[i], row, layout)
                score_product(along, s, room[0], a, p, t, arg, likeliest, rest, fold, into)
                tile.store_statistics(dots[i], along, row, fold)
                lean_of_given(room[1], a, keep, y_tile, s, fold)
                apart = along_y.shape[0] > 0
                differentiate(a, keep, t, y_tile, inverse, s, room, apart)
                if apart:
                    tile.store(along_y[i], keep, row)
                tile.store(along_x[i], a, row)
        tile.store(grad, total, row)
        if products.shape[1]:
            for j in range(3):
                tile.store_statistics(products[j], sums[j], row, fold)
