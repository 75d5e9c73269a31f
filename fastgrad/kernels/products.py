"""Vector-Jacobian products of the relaxations in `concrete`, their noise drawn again.

z_i moves with phi_i alone. Of z~ given b, the noise held, d z~_i / d log p_i is
E'_i / (T p_i + E'_i), and 0 for i = b; then d log p / d phi is the log-softmax's.
"""

import numpy as np

from fastgrad.kernels import columns as col
from fastgrad.kernels import elementwise, tile
from fastgrad.kernels.concrete import condition, draw, draw_at, winner_time
from fastgrad.kernels.intrinsics import fma, like, where
from fastgrad.kernels.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.noise import fill_exponential
from fastgrad.kernels.philox import CONDITIONAL
from fastgrad.kernels.special import expm1


@block
def softmax_product(y, r, t, scale, log, s, fold):
    """r = r J, with J the Jacobian of y = softmax(t scale), or of its logarithm."""
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
    """Replace noise w by z~ given z, and keep by d z~ / d log p: E' / (T p + E'), winner 0."""
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
def gumbel_softmax_vjp(
    chunk, chunks, logits, cotangent, offset, scale, key, first_sample, log, grad
):
    """grad = sum over samples of cotangent (S, N, K) times the Jacobian, noise drawn again."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    t, w = np.empty((depth, columns), real), np.empty((depth, columns), real)
    r, g = np.empty((depth, columns), real), np.empty((depth, columns), real)
    bits = np.empty((logits.itemsize // 4, depth, columns), np.uint32)
    best, s, cap = np.empty(columns, real), np.empty(columns, real), np.empty(columns, real)
    arg = np.empty(columns, np.int32)
    for b in chunk_range(blocks, chunk, chunks):
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
            elementwise.add(g, r)
        tile.store(grad, g, row)


@kernel
def relax_vjp(
    chunk,
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
    """Products of cotangents `relaxed` and `conditional`, (S, N, K) or empty, summed over S."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
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
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, offset)
        start, along, down = tile.addresses(k, row, offset, columns, depth)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        elementwise.copy(p, t)
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
                elementwise.add(g, r)
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
