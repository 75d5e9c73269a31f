"""Vector-Jacobian products of the relaxations in `concrete`, their noise drawn again.

z_i moves with phi_i alone. Of z~ given b, the noise held, d z~_i / d log p_i is
E'_i / (T p_i + E'_i), and 0 for i = b; then d log p / d phi is the log-softmax's.

Oracle: tests/distributions/test_concrete.py, `oracle_gradients`: differences of the forward call.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel, wide_vectors
from fastgrad.kernels.distributions.concrete import condition, race, softmax
from fastgrad.kernels.distributions.concrete_noise import draw
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.philox import CONDITIONAL
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import expm1
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.check import any_nan
from fastgrad.kernels.tiles.factors import entry, fill, room
from fastgrad.kernels.tiles.memory import flattened


@block
def softmax_product(y, r, t, scale, log, s, fold):
    """r = r J, with J the Jacobian of y = softmax(t scale), or of its logarithm."""
    wide_vectors()
    zero = like(0, r)
    if log:
        for c in range(0, r.shape[1], LANES):
            for i in range(r.shape[0]):
                masked = load(t, (i, c)) == like(-np.inf, t)
                store(r, (i, c), where(masked, zero, load(r, (i, c))))
        col.total(r, s, fold)
        for c in range(0, r.shape[1], LANES):
            whole, at = load(s, c), entry(scale, c)
            for i in range(r.shape[0]):
                store(r, (i, c), at * (load(r, (i, c)) - load(y, (i, c)) * whole))
    else:
        col.dot(y, r, s, fold)
        for c in range(0, r.shape[1], LANES):
            mean, at = load(s, c), entry(scale, c)
            for i in range(r.shape[0]):
                store(r, (i, c), at * (load(y, (i, c)) * (load(r, (i, c)) - mean)))


@block
def condition_product(w, keep, t, p, time, best, arg):
    """Replace noise w by z~ given z, and keep by d z~ / d log p: E' / (T p + E'), winner 0."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        mine, winner = load(time, c), load(arg, c)
        for i in range(t.shape[0]):
            e = load(w, (i, c))
            share = e / fma(mine, load(p, (i, c)), e)
            store(keep, (i, c), where(winner == np.int32(i), like(0, w), share))
    condition(w, t, p, time, best, arg, best[:0])


@block
def coupled_product(w, keep, best, arg):
    """Set keep for coupled noise, whose z~ is z = w: 1 - exp(z - z_b)."""
    wide_vectors()
    for c in range(0, w.shape[1], LANES):
        high, winner = load(best, c), load(arg, c)
        for i in range(w.shape[0]):
            share = -expm1(load(w, (i, c)) - high)
            store(keep, (i, c), where(winner == np.int32(i), like(0, w), share))


@block
def add_through_softmax(g, a, keep, p, s, fold):
    """g += keep a - p sum(keep a): a product with d z~ / d logits; a is overwritten."""
    wide_vectors()
    for c in range(0, a.shape[1], LANES):
        sums = filled(like(0, a))
        for i in range(a.shape[0]):
            x = load(a, (i, c)) * load(keep, (i, c))
            store(a, (i, c), x)
            sums = sums + x
        store(s, c, sums)
    if fold:
        col.fold_sum(s)
    for c in range(0, a.shape[1], LANES):
        whole = load(s, c)
        for i in range(a.shape[0]):
            step = load(a, (i, c)) - load(p, (i, c)) * whole
            store(g, (i, c), load(g, (i, c)) + step)


@kernel(cost=lambda cotangent: cotangent.size)
def gumbel_softmax_vjp(chunk, chunks, logits, cotangent, noise, scale, log, grad, bad):
    """grad = sum over samples of cotangent (S, N, K) times the Jacobian, noise drawn again.

    As for bad, see `concrete.gumbel_softmax`.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, w, r, g = tile.scratch(layout, 4, real)
    best, s = tile.statistics(layout, 2, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    at = room(scale, layout)
    for row in tile.rows(layout, chunk, chunks):
        fill(at, scale, row, fold)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        bad[chunk] |= any_nan(flattened(t))
        place = addresses(layout, row)
        g[:] = like(0, g)
        for i in range(cotangent.shape[0]):
            sample = np.uint32(first_sample + i)
            ahead = tile.extent(cotangent[i], row, layout), tile.ahead(logits, row, layout)
            draw(w, t, bits, place, sample, key, best, arg, fold, ahead)
            col.sharpen(w, best, arg, at, s, fold)
            tile.load(r, cotangent[i], row, like(0, r))
            softmax_product(w, r, t, at, log, s, fold)
            elementwise.add(g, r)
        tile.store(grad, g, row)


@kernel(cost=lambda cotangents: cotangents[0].size + cotangents[1].size)
def relax_vjp(chunk, chunks, logits, cotangents, noise, scale, coupled, log, grads, bad):
    """grads = products of both cotangents, (S, N, K) or empty, summed over samples.

    Cotangents are those of the relaxed and the conditional samples; so are grads, (N, K) or empty.
    As for bad, see `concrete.relax`.
    """
    key, first_sample, offset = noise
    relaxed, conditional = cotangents
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, p, w, r, keep, g, h = tile.scratch(layout, 7, real)
    best, s, total, time = tile.statistics(layout, 4, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    at = room(scale, layout)
    for row in tile.rows(layout, chunk, chunks):
        fill(at, scale, row, fold)
        place = addresses(layout, row)
        tile.load(t, logits, row, like(-np.inf, t))
        softmax(t, p, best, total, fold)
        bad[chunk] |= any_nan(total)
        g[:] = like(0, g)
        h[:] = like(0, h)
        for i in range(max(relaxed.shape[0], conditional.shape[0])):
            sample = np.uint32(first_sample + i)
            first = relaxed if relaxed.shape[0] else conditional
            first_ahead = tile.extent(first[i], row, layout), tile.ahead(logits, row, layout)
            draw(w, t, bits, place, sample, key, best, arg, fold, first_ahead)
            if conditional.shape[0] and coupled:
                coupled_product(w, keep, best, arg)
            col.sharpen(w, best, arg, at, s, fold)
            if relaxed.shape[0]:
                tile.load(r, relaxed[i], row, like(0, r))
                softmax_product(w, r, t, at, log, s, fold)
                elementwise.add(g, r)
            if conditional.shape[0]:
                if not coupled:
                    fill_bits(bits, *place, sample, CONDITIONAL, key)
                    ahead = tile.extent(conditional[i], row, layout)
                    race(w, bits, time, best, arg, total, fold, ahead)
                    condition_product(w, keep, t, p, time, best, arg)
                    col.sharpen(w, best, arg, at, s, fold)
                tile.load(r, conditional[i], row, like(0, r))
                softmax_product(w, r, t, at, log, s, fold)
                add_through_softmax(h, r, keep, p, s, fold)
        if relaxed.shape[0]:
            tile.store(grads[0], g, row)
        if conditional.shape[0]:
            tile.store(grads[1], h, row)
