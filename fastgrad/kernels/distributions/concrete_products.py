"""Products of relaxations that are at hand: what `concrete_vjp` does, and no noise drawn again.

Of x = softmax(z / temperature) the Jacobian is a function of x alone. Of y = softmax(z~ /
temperature) so it is, given p = softmax(logits) and the sample b: d z~ / d logits is
diag(keep) (I - 1 p^T), with keep_i = 1 - exp(z~_i - z~_b) = 1 - (y_i / y_b)^temperature. Of coupled
noise that is the same. At temperatures 1 and 1/2 that power is the ratio, or its root.

Oracle: tests/distributions/test_concrete_products.py: the products that draw the noise again.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import like, sqrt, where
from fastgrad.kernels.simd.special import exp_normal, log_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import features, tile
from fastgrad.kernels.tiles.factors import power

TINY_4, TINY_8 = 2.0**-126, 2.0**-1022  # the least normal numbers of either size


@kernel(cost=lambda x: x.size)
def gumbel_softmax(chunk, chunks, x, r, scale, grad):
    """grad = sum over samples of scale x (r - <x, r>): x and r are (S, N, K)."""
    layout = features.products_layout(grad.shape)
    room = features.products_room(layout, grad.dtype)
    for row in tile.rows(layout, chunk, chunks):
        out = tile.extent(grad, row, layout)
        features.add_softmax_products(out, x, r, scale, True, row, layout, room)


@block
def take_dots(x, r, y, q, arg, through, given, top, fold, ahead):
    """through = <x, r>, given = <y, q>, top = y of the winner.

    By the way it fetches `ahead`, what is going to be loaded next.
    """
    wide_vectors()
    zero, at = like(0, x), 0
    first_ahead, second_ahead = ahead
    for c in range(0, x.shape[1], LANES):
        first, second, mine, winner = filled(zero), filled(zero), filled(zero), load(arg, c)
        for i in range(x.shape[0]):
            prefetch(first_ahead, at)
            prefetch(second_ahead, at)
            at += LANES
            first = first + load(x, (i, c)) * load(r, (i, c))
            here = load(y, (i, c))
            second = second + here * load(q, (i, c))
            mine = where(winner == np.int32(i), here, mine)
        store(through, c, first)
        store(given, c, second)
        store(top, c, mine)
    if fold:
        col.fold_sum(through)
        col.fold_sum(given)
        col.fold_sum(top)


@inline
def share(x, temperature, tiny, known):
    """Return 1 - x^temperature, which is `known` to be 1 or 1/2, or 0 for any other.

    What has underflowed in x counts for nothing.
    """
    if known == 2:
        return like(1, tiny) - sqrt(x)
    if known == 1:
        return like(1, tiny) - x
    return like(1, tiny) - exp_normal(log_normal(where(x > tiny, x, tiny)) * temperature)


def _keeper(known):
    """Build what goes through the softmax of y and then through keep, for one kind of `share`."""

    @block
    def keep(y, q, arg, given, top, scale, temperature, tiny, whole, fold, ahead):
        """Replace q by a = keep scale y (q - <y, q>), 0 for the winner; whole = sum(a)."""
        wide_vectors()
        zero, at = like(0, y), 0
        first_ahead, second_ahead = ahead
        for c in range(0, y.shape[1], LANES):
            inverse, mean = like(1, y) / load(top, c), load(given, c)
            winner, total = load(arg, c), filled(zero)
            for i in range(y.shape[0]):
                prefetch(first_ahead, at)
                prefetch(second_ahead, at)
                at += LANES
                here = load(y, (i, c))
                part = share(here * inverse, temperature, tiny, known)
                a = scale * (here * (load(q, (i, c)) - mean)) * part
                a = where(winner == np.int32(i), zero, a)
                store(q, (i, c), a)
                total = total + a
            store(whole, c, total)
        if fold:
            col.fold_sum(whole)

    return keep


_keep, _keep_ratio, _keep_root = _keeper(0), _keeper(1), _keeper(2)


@block
def add_both(g, x, r, through, scale, a, p, whole, ahead):
    """g += scale x (r - through) + (a - p whole)."""
    wide_vectors()
    at = 0
    first_ahead, second_ahead = ahead
    for c in range(0, x.shape[1], LANES):
        mean, total = load(through, c), load(whole, c)
        for i in range(x.shape[0]):
            prefetch(first_ahead, at)
            prefetch(second_ahead, at)
            at += LANES
            here = load(g, (i, c)) + scale * (load(x, (i, c)) * (load(r, (i, c)) - mean))
            store(g, (i, c), here + (load(a, (i, c)) - load(p, (i, c)) * total))


@kernel(cost=lambda pair: 2 * pair[0].size)
def relax(chunk, chunks, logits, z, pair, cotangents, scale, temperature, grad):
    """grad = products (N, K) of both relaxations (S, N, K), of samples z (S, N), summed over S."""
    x, y = pair
    r, q = cotangents
    layout = features.products_layout(grad.shape)
    fold, real, known = layout.fold, logits.dtype, power(scale)
    p, g, u, v, w, a = tile.scratch(layout, 6, real)
    through, given, top, whole = tile.statistics(layout, 4, real)
    (arg,) = tile.statistics(layout, 1, np.int32)
    zero, tiny = like(0, p), like(TINY_4 if logits.itemsize == 4 else TINY_8, p)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(p, logits, row, like(-np.inf, p))
        col.maximum(p, top, fold)
        col.softmax(p, top, whole, fold)
        g[:] = zero
        for i in range(len(z)):
            tile.load_categories(arg, z[i], row, fold)
            tile.load(u, x[i], row, zero)
            tile.load(v, r[i], row, zero)
            tile.load(w, y[i], row, zero)
            tile.load(a, q[i], row, zero)
            # Each part waits for two arrays: memory has but a few dozen lines under way at once.
            early = tile.ahead(x[i], row, layout), tile.ahead(r[i], row, layout)
            others = tile.ahead(y[i], row, layout), tile.ahead(q[i], row, layout)
            late = tile.ahead(logits, row, layout), tile.ahead(grad, row, layout)
            take_dots(u, v, w, a, arg, through, given, top, fold, early)
            numbers = scale, temperature, tiny
            if known == 2:
                _keep_root(w, a, arg, given, top, *numbers, whole, fold, others)
            elif known == 1:
                _keep_ratio(w, a, arg, given, top, *numbers, whole, fold, others)
            else:
                _keep(w, a, arg, given, top, *numbers, whole, fold, others)
            add_both(g, u, v, through, scale, a, p, whole, late)
        tile.store(grad, g, row)
