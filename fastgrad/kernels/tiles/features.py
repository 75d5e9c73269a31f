"""Features of outcomes, their means, and products with the Jacobians of relaxed ones.

Shapes are those of `sums`; sums over samples, too, start from what the array already holds.

Oracle: tests/support/reference.py, `softmax` and `one_hot`; tests/estimators/test_estimators.py,
`test_gumbel_softmax_is_the_product_that_redraws_the_noise`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, shared, wide_vectors
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.row_sums import add_products
from fastgrad.kernels.simd.special import sigmoid
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import empty, flattened
from fastgrad.kernels.tiles.sums import ROWS


@block
def add_softmax_product(g, y, w, scale, s, fold):
    """g += scale y (w - <y, w>)."""
    wide_vectors()
    col.dot(y, w, s, fold)
    for c in range(0, y.shape[1], LANES):
        mean = load(s, c)
        for i in range(y.shape[0]):
            step = scale * (load(y, (i, c)) * (load(w, (i, c)) - mean))
            store(g, (i, c), load(g, (i, c)) + step)


@block
def add_sigmoid_product(g, y, w, scale):
    """g += scale y (1 - y) w."""
    wide_vectors()
    for c in range(g.size):
        g[c] += scale * (y[c] * (w[c] - y[c] * w[c]))


@kernel(cost=lambda x: x.size)
def sigmoid_products(chunk, chunks, x, r, scale, total):
    """total += sum over samples of scale x (1 - x) r: x and r are (S, N)."""
    samples, n = x.shape
    blocks = (n + ROWS - 1) // ROWS
    for b in chunk_range(blocks, chunk, chunks):
        sites = slice(b * ROWS, min((b + 1) * ROWS, n))
        for i in range(samples):
            add_sigmoid_product(total[sites], x[i, sites], r[i, sites], scale)


@inline
def products_layout(shape):
    """Return the layout of tiles half as large: what they are made of lies beside them in L1."""
    n, k = shape
    return tile.layout(n, k, widest=max(tile.TILE // 2 // k // tile.FOLD, 1) * tile.FOLD)


@inline
def products_room(layout, real):
    """Return room for the products of a tile: as they lie in memory, in a tile, and their sums."""
    (w,) = tile.scratch(layout, 1, real)
    rows = 2 if layout.fold else layout.columns + LANES  # `spread` fills a bit more
    return empty((rows, layout.k), real), w, tile.statistics(layout, 2, real)


@block
def multiply(out, x, r):
    """out = x r, on flat arrays."""
    wide_vectors()
    for i in range(x.size):
        out[i] = x[i] * r[i]


@block
def spread(out, s, rows, k):
    """Fill so many rows of out, flat, with their entry of s; the 15 numbers after them are lost."""
    wide_vectors()
    for row in range(rows):
        x = filled(s[row])
        for i in range(row * k, (row + 1) * k, LANES):
            store(out, i, x)


@block
def add_centred(out, x, r, mean, scale, anew):
    """out += scale x (r - mean), on flat arrays; anew, whatever out held."""
    wide_vectors()
    for i in range(x.size):
        before = like(0, out) if anew else out[i]
        out[i] = before + scale * (x[i] * (r[i] - mean[i]))


@shared
def add_whole_rows(out, x, r, mean, k, scale, anew):
    """Do as `add_softmax_products` for flat rows of k numbers, whole vectors, 16 rows at a time.

    Return how many numbers that was: up to 15 rows are left. `mean` is scratch.
    """
    wide_vectors()
    group, zero = LANES * k, filled(like(0, out))
    done = x.size // group * group
    for start in range(0, done, group):
        total = zero
        for i in range(start, start + k, LANES):
            total = add_products(total, x, r, i, k)
        store(mean, 0, total)
        for j in range(LANES):
            own, first = filled(mean[j]), start + j * k
            for i in range(first, first + k, LANES):
                before = zero if anew else load(out, i)
                store(out, i, before + scale * (load(x, i) * (load(r, i) - own)))
    return done


@inline
def add_softmax_products(out, x, r, scale, anew, row, layout, room):
    """out += sum over samples of scale x (r - <x, r>), for the rows of a tile, which out holds.

    There is one sample or more; anew, they do not count what out held. Of large arrays memory
    takes most of the time. So all is read and written in the order in which it lies there; only
    products go through a tile, for the sums of its columns, and where rows are whole vectors not
    even these.
    """
    products, w, (s, mean) = room
    k, flat, zero = layout.k, flattened(products), like(0, w)
    for i in range(x.shape[0]):
        y, q, done = tile.extent(x[i], row, layout), tile.extent(r[i], row, layout), 0
        if k % LANES == 0 and not layout.fold:
            done = add_whole_rows(out, y, q, mean, k, scale, anew and i == 0)
        if done < out.size:
            y, q, rest = y[done:], q[done:], out[done:]
            multiply(flat, y, q)
            tile.load(w, products, 0, zero)
            col.total(w, s, layout.fold)
            tile.store_statistics(mean, s, 0, layout.fold)
            spread(flat, mean, rest.size // k, k)
            add_centred(rest, y, q, flat, scale, anew and i == 0)


@kernel(cost=lambda x: x.size)
def softmax_products(chunk, chunks, x, r, scale, total):
    """total += sum over samples of scale x (r - <x, r>): x and r are (S, N, K)."""
    layout = products_layout(total.shape)
    room = products_room(layout, total.dtype)
    for row in tile.rows(layout, chunk, chunks):
        out = tile.extent(total, row, layout)
        add_softmax_products(out, x, r, scale, False, row, layout, room)


@kernel(cost=lambda logits: logits.size)
def softmax(chunk, chunks, logits, p):
    """Fill p with the softmax of each row of logits, (N, K)."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    (t,) = tile.scratch(layout, 1, real)
    m, s = tile.statistics(layout, 2, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.maximum(t, m, fold)
        col.softmax(t, m, s, fold)
        tile.store(p, t, row)


@kernel(cost=lambda logits: logits.size)
def sigmoids(chunk, chunks, logits, p):
    """Fill p with the sigmoid of logits, (N, 1)."""
    n = logits.size
    for i in chunk_range(n, chunk, chunks):
        p[i, 0] = sigmoid(logits[i, 0])


@block
def place_ones(x, z):
    """Fill x, (n, K), with zeros and a one at category z."""
    wide_vectors()
    n, k = x.shape
    flat = flattened(x)
    for i in range(flat.size):
        flat[i] = like(0, x)
    for c in range(n):
        flat[np.uint64(c) * np.uint64(k) + np.uint64(z[c])] = like(1, x)


@kernel(cost=lambda x: x.size)
def one_hot(chunk, chunks, z, x):
    """Fill x, shape (N, K), with zeros and a one at category z."""
    n = z.size
    blocks = (n + ROWS - 1) // ROWS  # their zeros are still in L1 when the ones come
    for b in chunk_range(blocks, chunk, chunks):
        rows = slice(b * ROWS, min((b + 1) * ROWS, n))
        place_ones(x[rows], z[rows])
