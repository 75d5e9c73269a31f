"""Perturbed logits and their relaxations: Gumbel-softmax, z~ given z, and their products.

Logits are taken relative to their row's maximum, phi_i; p = softmax(phi). With E, E' independent
exponentials, z_i = phi_i - log E_i and the sample is b = argmax z. Given b, the time at which the
winner of the exponential race arrives is T = E'_b whatever b is: z~_b = lse(phi) - log T, and
z~_i = phi_i - log(T p_i + E'_i). Nothing divides by p_i, so logits of -90 or -inf need no care.
Coupled noise, T = exp(lse - z_b) and E'_i = E_i - T p_i, is the forward noise again: z~ = z.
"""

import numpy as np

from fastgrad.kernels import columns as col
from fastgrad.kernels import tile
from fastgrad.kernels.jit import block, inline, kernel, prange, wide_vectors
from fastgrad.kernels.noise import fill_exponential
from fastgrad.kernels.philox import CONDITIONAL, NOISE
from fastgrad.kernels.special import exp, expm1, fma, like, log_normal, where

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
    """w = perturbed logits of one sample, with noise from `start`; best and arg its maximum and where."""
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
def gumbel_softmax(chunks, logits, offset, scale, key, first_sample, mode, out):
    """Fill out, shape (S, N, K), with relaxed samples (SOFT), one-hot (HARD) or log relaxed (LOG)."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    for chunk in prange(chunks):
        t = np.empty((depth, columns), real)
        w = np.empty((depth, columns), real)
        scratch = np.empty((depth, columns), real)
        bits = np.empty((logits.itemsize // 4, depth, columns), np.uint32)
        best, s, cap = np.empty(columns, real), np.empty(columns, real), np.empty(columns, real)
        arg = np.empty(columns, np.int32)
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
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
    chunks, logits, offset, scale, key, first_sample, coupled, log, z, relaxed, conditional, score
):
    """Draw z, shape (S, N), with relaxed, conditional and score, each (S, N, K)."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    for chunk in prange(chunks):
        t = np.empty((depth, columns), real)
        p = np.empty((depth, columns), real)
        w = np.empty((depth, columns), real)
        bits = np.empty((logits.itemsize // 4, depth, columns), np.uint32)
        scratch = np.empty((depth, columns), real)
        best, s, cap = np.empty(columns, real), np.empty(columns, real), np.empty(columns, real)
        arg = np.empty(columns, np.int32)
        total, time = np.empty(columns, real), np.empty(columns, real)
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            row = tile.first_row(b, k, columns, offset)
            start, along, down = tile.addresses(k, row, offset, columns, depth)
            tile.load(t, logits, row, like(-np.inf, t))
            col.subtract_maximum(t, best, fold)
            col.copy(p, t)
            best[:] = like(0, t)
            col.softmax(p, best, total, fold)
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


# -- vector-Jacobian products ------------------------------------------------------------------


@block
def softmax_product(y, r, t, scale, log, s, fold):
    """r = r J, with J the Jacobian with respect to t of softmax(t scale) = y, or of its logarithm."""
    wide_vectors()
    depth, columns = y.shape
    if log:
        for i in range(depth):
            for c in range(columns):
                r[i, c] = where(t[i, c] == like(-np.inf, t), like(0, r), r[i, c])
        col.total(r, s, fold)
        for i in range(depth):
            for c in range(columns):
                r[i, c] = scale * (r[i, c] - y[i, c] * s[c])
    else:
        col.dot(y, r, s, fold)
        for i in range(depth):
            for c in range(columns):
                r[i, c] = scale * (y[i, c] * (r[i, c] - s[c]))


@block
def condition_product(w, keep, t, p, time, best, arg):
    """Replace noise w by z~ given z, and keep by d z~_i / d log p_i: E' / (T p + E'), the winner's 0."""
    wide_vectors()
    depth, columns = t.shape
    for i in range(depth):
        for c in range(columns):
            x = w[i, c] / fma(time[c], p[i, c], w[i, c])
            keep[i, c] = where(arg[c] == np.int32(i), like(0, x), x)
    condition(w, t, p, time, best, arg)


@block
def coupled_product(w, keep, best, arg):
    """Set keep for coupled noise, whose z~ is z = w: 1 - exp(z - z_b)."""
    wide_vectors()
    depth, columns = w.shape
    for i in range(depth):
        for c in range(columns):
            x = -expm1(w[i, c] - best[c])
            keep[i, c] = where(arg[c] == np.int32(i), like(0, x), x)


@block
def add_through_softmax(g, a, keep, p, s, fold):
    """g += keep a - p sum(keep a): a product with d z~ / d logits; a is overwritten."""
    wide_vectors()
    depth, columns = a.shape
    for i in range(depth):
        for c in range(columns):
            a[i, c] *= keep[i, c]
    col.total(a, s, fold)
    for i in range(depth):
        for c in range(columns):
            g[i, c] += a[i, c] - p[i, c] * s[c]


@kernel
def gumbel_softmax_vjp(chunks, logits, cotangent, offset, scale, key, first_sample, log, grad):
    """grad = sum over samples of cotangent (S, N, K) times the Jacobian, noise drawn again."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    for chunk in prange(chunks):
        t, w = np.empty((depth, columns), real), np.empty((depth, columns), real)
        r, g = np.empty((depth, columns), real), np.empty((depth, columns), real)
        bits = np.empty((logits.itemsize // 4, depth, columns), np.uint32)
        best, s, cap = np.empty(columns, real), np.empty(columns, real), np.empty(columns, real)
        arg = np.empty(columns, np.int32)
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            row = tile.first_row(b, k, columns, offset)
            tile.load(t, logits, row, like(-np.inf, t))
            col.subtract_maximum(t, best, fold)
            g[:] = like(0, g)
            for i in range(cotangent.shape[0]):
                sample = np.uint32(first_sample + i)
                draw(w, t, bits, k, row, offset, sample, key, best, arg, fold)
                col.sharpen(w, best, arg, scale, s, cap, fold)
                tile.load(r, cotangent[i], row, like(0, r))
                softmax_product(w, r, t, scale, log, s, fold)
                col.add(g, r)
            tile.store(grad, g, row)


@kernel
def relax_vjp(
    chunks,
    logits,
    relaxed,
    conditional,
    offset,
    scale,
    key,
    first_sample,
    coupled,
    log,
    grad,
    grad_conditional,
):
    """Products of the cotangents `relaxed` and `conditional`, (S, N, K) or empty, summed over samples."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    for chunk in prange(chunks):
        t, p = np.empty((depth, columns), real), np.empty((depth, columns), real)
        w, r = np.empty((depth, columns), real), np.empty((depth, columns), real)
        keep = np.empty((depth, columns), real)
        g, h = np.empty((depth, columns), real), np.empty((depth, columns), real)
        bits = np.empty((logits.itemsize // 4, depth, columns), np.uint32)
        best, s, cap = np.empty(columns, real), np.empty(columns, real), np.empty(columns, real)
        total, time, arg = (
            np.empty(columns, real),
            np.empty(columns, real),
            np.empty(columns, np.int32),
        )
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            row = tile.first_row(b, k, columns, offset)
            start, along, down = tile.addresses(k, row, offset, columns, depth)
            tile.load(t, logits, row, like(-np.inf, t))
            col.subtract_maximum(t, best, fold)
            col.copy(p, t)
            best[:] = like(0, best)
            col.softmax(p, best, total, fold)
            g[:] = like(0, g)
            h[:] = like(0, h)
            for i in range(max(relaxed.shape[0], conditional.shape[0])):
                sample = np.uint32(first_sample + i)
                draw_at(w, t, bits, start, along, down, sample, key, best, arg, fold)
                if conditional.shape[0] and coupled:
                    coupled_product(w, keep, best, arg)
                col.sharpen(w, best, arg, scale, s, cap, fold)
                if relaxed.shape[0]:
                    tile.load(r, relaxed[i], row, like(0, r))
                    softmax_product(w, r, t, scale, log, s, fold)
                    col.add(g, r)
                if conditional.shape[0]:
                    if not coupled:
                        tile.fill_bits(bits, start, along, down, sample, CONDITIONAL, key)
                        fill_exponential(w, bits)
                        winner_time(time, best, w, arg, total, fold)
                        condition_product(w, keep, t, p, time, best, arg)
                        col.sharpen(w, best, arg, scale, s, cap, fold)
                    tile.load(r, conditional[i], row, like(0, r))
                    softmax_product(w, r, t, scale, log, s, fold)
                    add_through_softmax(h, r, keep, p, s, fold)
            if relaxed.shape[0]:
                tile.store(grad, g, row)
            if conditional.shape[0]:
                tile.store(grad_conditional, h, row)
