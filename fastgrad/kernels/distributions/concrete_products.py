"""Products of relaxations that are at hand: what `concrete_vjp` does, and no noise drawn again.

Of x = softmax(z / temperature) the Jacobian is a function of x alone. Of y = softmax(z~ /
temperature) so it is, given p = softmax(logits) and the sample b: d z~ / d logits is
diag(keep) (I - 1 p^T), with keep_i = 1 - exp(z~_i - z~_b) = 1 - (y_i / y_b)^temperature. Of coupled
noise that is the same.

Oracle: tests/distributions/test_concrete_products.py: the products that draw the noise again.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel, wide_vectors
from fastgrad.kernels.distributions.concrete_vjp import add_through_softmax, softmax_product
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp_normal, log_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.features import add_softmax_product

TINY_4, TINY_8 = 2.0**-126, 2.0**-1022  # the least normal numbers of either size


@kernel(cost=lambda x: x.size)
def gumbel_softmax(chunk, chunks, x, r, scale, grad):
    """grad = sum over samples of scale x (r - <x, r>): x and r are (S, N, K)."""
    layout = tile.layout(*grad.shape)
    fold, real = layout.fold, grad.dtype
    y, w, g = tile.scratch(layout, 3, real)
    (s,) = tile.statistics(layout, 1, real)
    zero = like(0, grad)
    for row in tile.rows(layout, chunk, chunks):
        g[:] = zero
        for i in range(x.shape[0]):
            tile.load(y, x[i], row, zero)
            tile.load(w, r[i], row, zero)
            add_softmax_product(g, y, w, scale, s, fold)
        tile.store(grad, g, row)


@block
def find_keep(keep, y, arg, temperature, tiny, top, fold):
    """keep = 1 - (y / y_b)^temperature, 0 for b; what has underflowed in y counts for nothing."""
    wide_vectors()
    zero = like(0, y)
    for c in range(0, y.shape[1], LANES):
        mine, winner = filled(zero), load(arg, c)
        for i in range(y.shape[0]):
            mine = where(winner == np.int32(i), load(y, (i, c)), mine)
        store(top, c, mine)
    if fold:
        col.fold_sum(top)
    for c in range(0, y.shape[1], LANES):
        inverse, winner = like(1, y) / load(top, c), load(arg, c)
        for i in range(y.shape[0]):
            x = load(y, (i, c)) * inverse
            x = where(x > tiny, x, tiny)
            share = like(1, y) - exp_normal(log_normal(x) * temperature)
            store(keep, (i, c), where(winner == np.int32(i), zero, share))


@kernel(cost=lambda pair: 2 * pair[0].size)
def relax(chunk, chunks, logits, z, pair, cotangents, scale, temperature, grad):
    """grad = products (N, K) of both relaxations (S, N, K), of samples z (S, N), summed over S."""
    x, y = pair
    r, q = cotangents
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    p, g, u, w, keep = tile.scratch(layout, 5, real)
    s, top = tile.statistics(layout, 2, real)
    (arg,) = tile.statistics(layout, 1, np.int32)
    zero, tiny = like(0, p), like(TINY_4 if logits.itemsize == 4 else TINY_8, p)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(p, logits, row, like(-np.inf, p))
        col.maximum(p, top, fold)
        col.softmax(p, top, s, fold)
        g[:] = zero
        for i in range(len(z)):
            tile.load(u, x[i], row, zero)
            tile.load(w, r[i], row, zero)
            softmax_product(u, w, p, scale, False, s, fold)
            elementwise.add(g, w)
            tile.load_categories(arg, z[i], row, fold)
            tile.load(u, y[i], row, zero)
            tile.load(w, q[i], row, zero)
            find_keep(keep, u, arg, temperature, tiny, top, fold)
            softmax_product(u, w, p, scale, False, s, fold)
            add_through_softmax(g, w, keep, p, s, fold)
        tile.store(grad, g, row)
