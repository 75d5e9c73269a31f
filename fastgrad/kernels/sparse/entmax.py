"""alpha-entmax of logits, or of logits with Gumbel noise, and the products with its Jacobian.

With s_i = p_i^(2 - alpha) on the support of p and 0 elsewhere, the Jacobian is
diag(s) - s s^T / sum(s).

Oracle: tests/support/reference_order.py, `entmax` and `jacobian`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel, wide_vectors
from fastgrad.kernels.distributions.concrete_noise import draw
from fastgrad.kernels.random.bits import addresses, empty_bits
from fastgrad.kernels.simd.intrinsics import like, sqrt, to_float64, where
from fastgrad.kernels.simd.special import exp, log
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.sparse.entmax_threshold import ENTMAX15, SPARSEMAX, narrowed, project
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile


@block
def below_maximum(w, t, best, scale, a):
    """w = (t - best) scale a."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        high, power = load(best, c), load(scale, c) * like(a, t)
        for i in range(t.shape[0]):
            store(w, (i, c), (load(t, (i, c)) - high) * power)


@block
def sensitivity(p, mode, a):
    """p = p^(2 - alpha), 0 where p is 0."""
    wide_vectors()
    zero, one = like(0, p), like(1, p)
    for c in range(0, p.shape[1], LANES):
        for i in range(p.shape[0]):
            x = load(p, (i, c))
            if mode == SPARSEMAX:
                y = where(x > zero, one, zero)
            elif mode == ENTMAX15:
                y = sqrt(x)
            else:
                y = narrowed(exp(log(to_float64(x)) * (1.0 - a)), p)
                y = where(x > zero, y, zero)
            store(p, (i, c), y)


@block
def multiply(r, p, scale, s, total, fold):
    """r = scale p (r - <p, r> / sum(p)), p a sensitivity."""
    wide_vectors()
    col.expectation(p, r, total, fold)
    col.total(p, s, fold)
    zero = filled(like(0, p))
    for c in range(0, p.shape[1], LANES):
        mean, slope = load(total, c) / load(s, c), load(scale, c)
        for i in range(p.shape[0]):
            x = load(p, (i, c))
            step = slope * (x * (load(r, (i, c)) - mean))
            store(r, (i, c), where(x > zero, step, zero))


@kernel(cost=lambda logits, out: logits.size * len(out))
def entmax(chunk, chunks, logits, noise, noisy, scale, mode, a, cotangent, out):
    """Fill out, (S, N, K), with the map of S draws, or of the logits if not noisy.

    If cotangents (S, N, K) are given, fill out[0] with their products, summed over samples. scale,
    (N,), multiplies logits; a is alpha - 1.
    """
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, w, r, g = tile.scratch(layout, 4, real)
    best, tau, rest, q, s, past, at = tile.statistics(layout, 7, real)
    x, sums, slopes = tile.statistics(layout, 3, np.float64)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load_statistics(at, scale, row, like(1, at), fold)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        place = addresses(layout, row)
        g[:] = like(0, g)
        for i in range(max(len(cotangent), len(out))):
            if noisy:
                sample = np.uint32(first_sample + i)
                ahead = best[:0], tile.ahead(logits, row, layout)
                draw(w, t, bits, place, sample, key, best, arg, fold, ahead)
                below_maximum(w, w, best, at, a)
            else:
                best[:] = like(0, best)
                below_maximum(w, t, best, at, a)
            project(w, mode, a, tau, rest, q, s, past, x, sums, slopes, fold)
            if len(cotangent):
                tile.load(r, cotangent[i], row, like(0, r))
                sensitivity(w, mode, a)
                multiply(r, w, at, s, q, fold)
                elementwise.add(g, r)
            else:
                tile.store(out[i], w, row)
        if len(cotangent):
            tile.store(out[0], g, row)
