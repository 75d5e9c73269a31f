"""Perturbed logits and their relaxations: Gumbel-softmax, z~ given z, and their products.

Logits are taken relative to their row's maximum, phi_i; p = softmax(phi). With E, E' independent
exponentials, z_i = phi_i - log E_i and the sample is b = argmax z. Given b, the time at which the
winner of the exponential race arrives is T = E'_b whatever b is: z~_b = lse(phi) - log T, and
z~_i = phi_i - log(T p_i + E'_i). Nothing divides by p_i, so logits of -90 or -inf need no care.
Coupled noise, T = exp(lse - z_b) and E'_i = E_i - T p_i, is the forward noise again: z~ = z.

Noise is told to kernels as (key, first_sample, offset), offset being that of the first row; scale
is 1 / temperature, the `factors` of rows. Where that is 1 or 2, and for winners alone, relaxations
are made by the kernels of `concrete_by_ratios`: see `concrete_choice`.
Oracle: tests/support/reference.py, `relaxed` and `relax`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, kernel, shared, wide_vectors
from fastgrad.kernels.distributions.concrete_noise import perturb
from fastgrad.kernels.random.bits import addresses, empty_bits, fill_bits
from fastgrad.kernels.random.noise import exponential
from fastgrad.kernels.random.philox import CONDITIONAL, NOISE
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import exp_normal, log_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, prefetch, store
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.check import any_nan
from fastgrad.kernels.tiles.factors import fill, room
from fastgrad.kernels.tiles.memory import flattened

SOFT, HARD, LOG = 0, 1, 2
PART = 128  # terms that are added one by one; sums of more are sums of such parts


@shared
def exponentials_part(t, p, best, total, first):
    """Subtract from t what is in best; p = exp(t), and total as s in `exponentiate_part`."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        high, sums = load(best, c), filled(like(0, t))
        before = sums if first else load(total, c)
        for i in range(t.shape[0]):
            x = load(t, (i, c)) - high
            store(t, (i, c), x)
            e = exp_normal(x)
            store(p, (i, c), e)
            sums = sums + e
        store(total, c, before + sums)


@block
def exponentials(t, p, best, total, fold):
    """Subtract from t its columns' maxima, left in best; p = exp(t), total its column sums."""
    col.maximum(t, best, fold)
    for i in range(0, t.shape[0], col.PART):
        exponentials_part(t[i : i + col.PART], p[i : i + col.PART], best, total, i == 0)
    if fold:
        col.fold_sum(total)


@inline
def softmax(t, p, best, total, fold):
    """`exponentials`, then p = softmax(t), total = exp(-lse(t))."""
    exponentials(t, p, best, total, fold)
    col.divide(p, total)


@shared
def race(w, bits, time, top, arg, total, fold, ahead):
    """w = exponential noise; time = the winner's, T; top = lse - log T, its z~.

    total holds exp(-lse), arg the winners.
    """
    wide_vectors()
    first, second, zero, at = bits[0], bits[-1], like(0, time), 0
    for c in range(0, w.shape[1], LANES):
        mine, winner = filled(zero), load(arg, c)
        for i in range(w.shape[0]):
            prefetch(ahead, at)
            at += LANES
            e = exponential(load(first, (i, c)), load(second, (i, c)), w)
            store(w, (i, c), e)
            mine = where(winner == np.int32(i), e, mine)
        store(time, c, mine)
    if fold:
        col.fold_sum(time)
    for c in range(0, w.shape[1], LANES):
        store(top, c, -log_normal(load(total, c) * load(time, c)))


@shared
def condition(w, t, p, time, best, arg, ahead):
    """w = z~ given z: w holds exponential noise E', time the winner's T."""
    wide_vectors()
    at = 0
    for c in range(0, t.shape[1], LANES):
        mine, winner, high = load(time, c), load(arg, c), load(best, c)
        for i in range(t.shape[0]):
            prefetch(ahead, at)
            at += LANES
            late = fma(mine, load(p, (i, c)), load(w, (i, c)))
            x = load(t, (i, c)) - log_normal(late)
            store(w, (i, c), where(winner == np.int32(i), high, x))


@block
def relax_winner(w, best, arg, scale, s, scratch, fold, log):
    """w = softmax(w scale), or its logarithm."""
    if log:
        col.log_sharpen(w, best, arg, scale, s, scratch, fold)
    else:
        col.sharpen(w, best, arg, scale, s, fold)


@kernel(cost=lambda out: out.size)
def gumbel_softmax(chunk, chunks, logits, noise, scale, mode, out, bad):
    """Fill out, (S, N, K), with relaxed samples (SOFT) or their logarithms (LOG).

    bad[chunk] is set where logits are invalid: so are their differences from the largest, NaN.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, w, scratch = tile.scratch(layout, 3, real)
    best, s = tile.statistics(layout, 2, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    at = room(scale, layout)
    for row in tile.rows(layout, chunk, chunks):
        fill(at, scale, row, fold)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        bad[chunk] |= any_nan(flattened(t))
        place = addresses(layout, row)
        for i in range(out.shape[0]):
            sample = np.uint32(first_sample + i)
            ahead = tile.extent(out[i], row, layout), tile.ahead(logits, row, layout)
            fill_bits(bits, *place, sample, NOISE, key)
            perturb(w, t, bits, best, arg, fold, ahead)
            relax_winner(w, best, arg, at, s, scratch, fold, mode == LOG)
            tile.store(out[i], w, row)


@inline
def total_but(p, c, likeliest, scale, keep):
    """Return the sums of p scale down 16 columns but for the likeliest entry of each.

    With keep, p becomes p scale.
    """
    zero = like(0, p)
    total = filled(zero)
    for start in range(0, p.shape[0], PART):
        part = filled(zero)
        for i in range(start, min(start + PART, p.shape[0])):
            x = load(p, (i, c)) * scale
            if keep:
                store(p, (i, c), x)
            part = part + where(likeliest == np.int32(i), zero, x)
        total = total + part
    return total


@block
def sum_others(p, s, likeliest, rest, fold):
    """Find the likeliest category of each column, and rest = 1 - p of it, as the sum of the others.

    s is scratch.
    """
    wide_vectors()
    col.argmax(p, s, likeliest, fold)
    for c in range(0, p.shape[1], LANES):
        store(rest, c, total_but(p, c, load(likeliest, c), like(1, p), False))
    if fold:
        col.fold_sum(rest)


@block
def score_tile(w, arg, p, likeliest, rest):
    """w = one-hot(winners) - p, where 1 - p of the likeliest category is given as rest."""
    wide_vectors()
    zero, one = like(0, p), like(1, p)
    for c in range(0, w.shape[1], LANES):
        winner, top, gap = load(arg, c), load(likeliest, c), load(rest, c)
        for i in range(w.shape[0]):
            x, here = load(p, (i, c)), np.int32(i)
            mine = where(top == here, gap, one - x)
            store(w, (i, c), where(winner == here, mine, zero - x))


@kernel(cost=lambda logits, z: logits.size * len(z))
def relax(chunk, chunks, logits, noise, scale, coupled, log, z, others, bad):
    """Draw z, shape (S, N), and the others: relaxed, conditional and score, each (S, N, K).

    An empty score is left to `concrete_score`. bad[chunk] is set where logits are invalid: their
    sum is NaN, which costs nothing to see.
    """
    key, first_sample, offset = noise
    relaxed, conditional, score = others
    scored = score.size > 0
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, p, w, scratch = tile.scratch(layout, 4, real)
    best, s, total, time, rest = tile.statistics(layout, 5, real)
    (arg, likeliest), bits = tile.statistics(layout, 2, np.int32), empty_bits(layout, logits)
    at = room(scale, layout)
    for row in tile.rows(layout, chunk, chunks):
        place = addresses(layout, row)
        fill(at, scale, row, fold)
        tile.load(t, logits, row, like(-np.inf, t))
        softmax(t, p, best, total, fold)
        if scored:
            sum_others(p, s, likeliest, rest, fold)
        bad[chunk] |= any_nan(total)
        for i in range(z.shape[0]):
            sample = np.uint32(first_sample + i)
            first_ahead = tile.extent(relaxed[i], row, layout), tile.ahead(logits, row, layout)
            fill_bits(bits, *place, sample, NOISE, key)
            perturb(w, t, bits, best, arg, fold, first_ahead)
            relax_winner(w, best, arg, at, s, scratch, fold, log)
            tile.store(relaxed[i], w, row)
            tile.store_categories(z[i], arg, row, fold)
            ahead = tile.extent(conditional[i], row, layout)
            if coupled:
                elementwise.assign(ahead, tile.extent(relaxed[i], row, layout))
            else:
                fill_bits(bits, *place, sample, CONDITIONAL, key)
                race(w, bits, time, best, arg, total, fold, ahead)
                ahead = tile.extent(score[i], row, layout)
                condition(w, t, p, time, best, arg, ahead)
                relax_winner(w, best, arg, at, s, scratch, fold, log)
                tile.store(conditional[i], w, row)
            if scored:
                score_tile(w, arg, p, likeliest, rest)
                tile.store(score[i], w, row)
