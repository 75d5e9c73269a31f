"""Features of outcomes, their means, and products with the Jacobians of relaxed ones.

Shapes are those of `sums`; sums over samples, too, start from what the array already holds.

Oracle: tests/support/reference.py, `softmax` and `one_hot`; tests/estimators/test_estimators.py,
`test_gumbel_softmax_is_the_product_that_redraws_the_noise`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import sigmoid
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import flattened
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


@kernel(cost=lambda x: x.size)
def softmax_products(chunk, chunks, x, r, scale, total):
    """total += sum over samples of scale x (r - <x, r>): x and r are (S, N, K)."""
    layout = tile.layout(*total.shape)
    fold, real = layout.fold, total.dtype
    y, w, g = tile.scratch(layout, 3, real)
    (s,) = tile.statistics(layout, 1, real)
    zero = like(0, total)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(g, total, row, zero)
        for i in range(x.shape[0]):
            tile.load(y, x[i], row, zero)
            tile.load(w, r[i], row, zero)
            add_softmax_product(g, y, w, scale, s, fold)
        tile.store(total, g, row)


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
