"""Perturbed logits and their relaxations: Gumbel-softmax, z~ given z, and their products.

Logits are taken relative to their row's maximum, phi_i; p = softmax(phi). With E, E' independent
exponentials, z_i = phi_i - log E_i and the sample is b = argmax z. Given b, the time at which the
winner of the exponential race arrives is T = E'_b whatever b is: z~_b = lse(phi) - log T, and
z~_i = phi_i - log(T p_i + E'_i). Nothing divides by p_i, so logits of -90 or -inf need no care.
Coupled noise, T = exp(lse - z_b) and E'_i = E_i - T p_i, is the forward noise again: z~ = z.
"""

import numpy as np

from fastgrad.kernels import columns as col
from fastgrad.kernels import elementwise, tile
from fastgrad.kernels.check import any_nan
from fastgrad.kernels.intrinsics import fma, like, where
from fastgrad.kernels.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.noise import fill_exponential
from fastgrad.kernels.philox import CONDITIONAL, NOISE
from fastgrad.kernels.special import log_normal

SOFT, HARD, LOG = 0, 1, 2


@block
def perturb(w, t):
    """w = t - log(w), w holding exponential noise."""
    wide_vectors()
    flat_w, flat_t = w.reshape(w.size), t.reshape(t.size)
    for i in range(flat_w.size):
        flat_w[i] = flat_t[i] - log_normal(flat_w[i])


@block
def draw_at(w, t, bits, start, along, down, sample, key, best, arg, fold):
    """w = perturbed logits of one sample, their noise from `start`; best and arg their maximum."""
    tile.fill_bits(bits, start, along, down, sample, NOISE, key)
    fill_exponential(w, bits)
    perturb(w, t)
    col.argmax(w, best, arg, fold)


@inline
def draw(w, t, bits, k, row, offset, sample, key, best, arg, fold):
    """`draw_at` the addresses of these rows."""
    start, along, down = tile.addresses(k, row, offset, t.shape[1], t.shape[0])
    draw_at(w, t, bits, start, along, down, sample, key, best, arg, fold)


@block
def condition(w, t, p, time, best, arg):
    """w = z~ given z: w holds exponential noise E', time the winner's T."""
    wide_vectors()
    depth, columns = t.shape
    for i in range(depth):
        for c in range(columns):
            x = t[i, c] - log_normal(fma(time[c], p[i, c], w[i, c]))
            w[i, c] = where(arg[c] == np.int32(i), best[c], x)


@block
def relax_winner(w, best, arg, scale, s, cap, scratch, fold, log):
    """w = softmax(w scale), or its logarithm."""
    if log:
        col.log_sharpen(w, best, arg, scale, s, cap, scratch, fold)
    else:
        col.sharpen(w, best, arg, scale, s, cap, fold)


@block
def winner_time(time, top, w, arg, total, fold):
    """time = the winner's noise in w, T; top = lse - log T, its z~; total holds exp(-lse)."""
    wide_vectors()
    for c in range(time.size):
        time[c] = like(0, time)
    for i in range(w.shape[0]):
        for c in range(time.size):
            time[c] = where(arg[c] == np.int32(i), w[i, c], time[c])
    if fold:
        col.fold_sum(time)
    for c in range(time.size):
        top[c] = -log_normal(total[c] * time[c])


@kernel
def gumbel_softmax(chunk, chunks, logits, offset, scale, key, first_sample, mode, out):
    """Fill out, (S, N, K), with relaxed samples (SOFT), one-hot (HARD) or log relaxed (LOG)."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    t = np.empty((depth, columns), real)
    w = np.empty((depth, columns), real)
    scratch = np.empty((depth, columns), real)
    bits = np.empty((logits.itemsize // 4, depth, columns), np.uint32)
    best, s, cap = np.empty(columns, real), np.empty(columns, real), np.empty(columns, real)
    arg = np.empty(columns, np.int32)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, offset)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        for i in range(out.shape[0]):
            sample = np.uint32(first_sample + i)
            draw(w, t, bits, k, row, offset, sample, key, best, arg, fold)
            if mode == HARD:
                col.one_hot(w, arg)
            else:
                relax_winner(w, best, arg, scale, s, cap, scratch, fold, mode == LOG)
            tile.store(out[i], w, row)


@kernel
def relax(
    chunk,
    chunks,
    logits,
    offset,
    scale,
    key,
    first_sample,
    coupled,
    log,
    z,
    relaxed,
    conditional,
    score,
    bad,
):
    """Draw z, shape (S, N), with relaxed, conditional and score, each (S, N, K).

    bad[chunk] is set where logits are invalid: their sum is NaN, which costs nothing to see.
    """
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    t = np.empty((depth, columns), real)
    p = np.empty((depth, columns), real)
    w = np.empty((depth, columns), real)
    bits = np.empty((logits.itemsize // 4, depth, columns), np.uint32)
    scratch = np.empty((depth, columns), real)
    best, s, cap = np.empty(columns, real), np.empty(columns, real), np.empty(columns, real)
    arg = np.empty(columns, np.int32)
    total, time = np.empty(columns, real), np.empty(columns, real)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, offset)
        start, along, down = tile.addresses(k, row, offset, columns, depth)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        elementwise.copy(p, t)
        best[:] = like(0, t)
        col.softmax(p, best, total, fold)
        bad[chunk] |= any_nan(total)
        for i in range(z.shape[0]):
            sample = np.uint32(first_sample + i)
            draw(w, t, bits, k, row, offset, sample, key, best, arg, fold)
            tile.store_categories(z[i], arg, row, fold)
            relax_winner(w, best, arg, scale, s, cap, scratch, fold, log)
            tile.store(relaxed[i], w, row)
            if not coupled:
                tile.fill_bits(bits, start, along, down, sample, CONDITIONAL, key)
                fill_exponential(w, bits)
                winner_time(time, best, w, arg, total, fold)
                condition(w, t, p, time, best, arg)
                relax_winner(w, best, arg, scale, s, cap, scratch, fold, log)
            tile.store(conditional[i], w, row)
            col.one_hot_minus(w, arg, p)
            tile.store(score[i], w, row)
