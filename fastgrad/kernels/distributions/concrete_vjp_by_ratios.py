"""Products of relaxations at temperatures 1 and 1/2, their noise drawn again: by ratios.

What `concrete_vjp` does at other temperatures, with the same arguments; see `concrete_choice`. The
relaxations have the bits of `concrete_by_ratios`. Of x = softmax(z scale) the Jacobian is a
function of x alone, and what z~_i keeps of a step of log p_i is 1 - exp(z~_i - z~_b): one less the
quotient of two ratios.

Oracle: tests/distributions/test_concrete_ratios.py, the products of the relaxations drawn.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel, wide_vectors
from fastgrad.kernels.distributions import concrete_ratios as ratios
from fastgrad.kernels.distributions import concrete_ratios_given as given
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.philox import CONDITIONAL, NOISE
from fastgrad.kernels.simd.intrinsics import like, sqrt, where
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.check import any_nan
from fastgrad.kernels.tiles.factors import power


@block
def find_means(y, r, inverse, s, fold, ahead):
    """s = <x, r>, where x = y inverse.

    By the way it fetches `ahead`, where the products' sums are going to be stored.
    """
    wide_vectors()
    at = 0
    for c in range(0, y.shape[1], LANES):
        factor, total = load(inverse, c), filled(like(0, y))
        for i in range(y.shape[0]):
            prefetch(ahead, at)
            at += LANES
            total = total + load(y, (i, c)) * factor * load(r, (i, c))
        store(s, c, total)
    if fold:
        col.fold_sum(s)


@block
def add_product(g, y, r, inverse, scale, s, fold, ahead):
    """g += scale x (r - <x, r>), where x = y inverse; ahead as in `find_means`."""
    wide_vectors()
    find_means(y, r, inverse, s, fold, ahead)
    for c in range(0, y.shape[1], LANES):
        factor, mean = load(inverse, c), load(s, c)
        for i in range(y.shape[0]):
            step = load(y, (i, c)) * factor * (load(r, (i, c)) - mean)
            store(g, (i, c), load(g, (i, c)) + scale * step)


@block
def add_conditional_product(g, y, r, inverse, scale, w, share, top, s, fold, ahead):
    """g += keep a - p sum(keep a): a = scale x (r - <x, r>), x = y inverse, p = w share.

    r is overwritten; scale is 1 or 2, the exponent of the ratios in y; ahead as in `find_means`.
    """
    wide_vectors()
    col.maximum(y, top, fold)
    find_means(y, r, inverse, s, fold, ahead)
    zero, one = like(0, y), like(1, y)
    for c in range(0, y.shape[1], LANES):
        factor, mean, high, total = load(inverse, c), load(s, c), load(top, c), filled(zero)
        unit = one / high
        for i in range(y.shape[0]):
            x = load(y, (i, c))
            quotient = x * unit
            quotient = sqrt(quotient) if scale == 2 else quotient
            keep = where(x < high, one - quotient, zero)
            step = scale * (x * factor * (load(r, (i, c)) - mean)) * keep
            store(r, (i, c), step)
            total = total + step
        store(s, c, total)
    if fold:
        col.fold_sum(s)
    for c in range(0, y.shape[1], LANES):
        part = load(share, c) * load(s, c)
        for i in range(y.shape[0]):
            step = load(r, (i, c)) - load(w, (i, c)) * part
            store(g, (i, c), load(g, (i, c)) + step)


@kernel(cost=lambda cotangent: cotangent.size)
def gumbel_softmax_vjp(chunk, chunks, logits, cotangent, noise, scale, log, grad, bad):
    """grad = sum over samples of cotangent (S, N, K) times the Jacobian; log is False.

    As for bad, see `concrete.gumbel_softmax`.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real, exponent = layout.fold, logits.dtype, power(scale[0])
    t, w, r, g = tile.scratch(layout, 4, real)
    best, second, s, mean = tile.statistics(layout, 4, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        ratios.weigh(t, best, fold, tile.ahead(logits, row, layout))
        bad[chunk] |= any_nan(best)
        place = addresses(layout, row)
        g[:] = like(0, g)
        for i in range(cotangent.shape[0]):
            sample = np.uint32(first_sample + i)
            fill_bits(bits, *place, sample, NOISE, key)
            ahead = tile.extent(cotangent[i], row, layout)
            ratios.race(w, t, bits, best, second, arg, s, exponent, fold, ahead)
            ratios.invert(s)
            if ratios.near(best, second):
                ratios.settle(r, logits, row, bits, second, arg, fold)
                ratios.crown(w, best, s, arg, exponent)
            tile.load(r, cotangent[i], row, like(0, r))
            add_product(g, w, r, s, scale[0], mean, fold, tile.extent(grad, row, layout))
        tile.store(grad, g, row)


@kernel(cost=lambda cotangents: cotangents[0].size + cotangents[1].size)
def relax_vjp(chunk, chunks, logits, cotangents, noise, scale, coupled, log, grads, bad):
    """grads = products of both cotangents, as in `concrete_vjp`; log is False."""
    key, first_sample, offset = noise
    relaxed, conditional = cotangents
    layout = tile.layout(*logits.shape, offset)
    fold, real, exponent = layout.fold, logits.dtype, power(scale[0])
    t, w, r, g, h = tile.scratch(layout, 5, real)
    best, second, s, total, time, mean = tile.statistics(layout, 6, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        place = addresses(layout, row)
        tile.load(t, logits, row, like(-np.inf, t))
        col.maximum(t, best, fold)
        given.weigh(t, best, total, fold, tile.ahead(logits, row, layout))
        bad[chunk] |= any_nan(total)
        g[:] = like(0, g)
        h[:] = like(0, h)
        for i in range(max(relaxed.shape[0], conditional.shape[0])):
            sample = np.uint32(first_sample + i)
            fill_bits(bits, *place, sample, NOISE, key)
            first = relaxed if relaxed.shape[0] else conditional
            ahead = tile.extent(first[i], row, layout)
            ratios.race(w, t, bits, best, second, arg, s, exponent, fold, ahead)
            ratios.invert(s)
            if ratios.near(best, second):
                ratios.settle(r, logits, row, bits, second, arg, fold)
                ratios.crown(w, best, s, arg, exponent)
            if relaxed.shape[0]:
                tile.load(r, relaxed[i], row, like(0, r))
                ahead = tile.extent(grads[0], row, layout)
                add_product(g, w, r, s, scale[0], mean, fold, ahead)
            if conditional.shape[0]:
                if not coupled:
                    fill_bits(bits, *place, sample, CONDITIONAL, key)
                    ahead = tile.extent(conditional[i], row, layout)
                    given.arrive(time, bits, arg, total, fold, ahead)
                    given.race(w, t, bits, time, best, second, arg, s, exponent, fold, ahead)
                    ratios.invert(s)
                    if ratios.near(best, second):
                        ratios.crown(w, best, s, arg, exponent)
                tile.load(r, conditional[i], row, like(0, r))
                ahead, roomy = tile.extent(grads[1], row, layout), (total, best, mean, fold)
                add_conditional_product(h, w, r, s, scale[0], t, *roomy, ahead)
        if relaxed.shape[0]:
            tile.store(grads[0], g, row)
        if conditional.shape[0]:
            tile.store(grads[1], h, row)
