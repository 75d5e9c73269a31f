"""Categoricals: samples, scores and entropies of rows of logits, a tile at a time.

Oracle: tests/support/reference.py, the functions of these names.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, kernel
from fastgrad.kernels.distributions.concrete import draw, softmax
from fastgrad.kernels.random.bits import addresses, empty_bits
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import log_normal
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile


@kernel(cost=lambda logits, z: logits.size * len(z))
def sample_gumbel(chunk, chunks, logits, noise, z):
    """Draw z, shape (S, N), as the argmax of perturbed logits: the noise of `concrete`."""
    key, first_sample, offset = noise
    layout = tile.layout(*logits.shape, offset)
    fold, real = layout.fold, logits.dtype
    t, w = tile.scratch(layout, 2, real)
    (best,) = tile.statistics(layout, 1, real)
    (arg,), bits = tile.statistics(layout, 1, np.int32), empty_bits(layout, logits)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        place = addresses(layout, row)
        for i in range(z.shape[0]):
            sample = np.uint32(first_sample + i)
            draw(w, t, bits, place, sample, key, best, arg, fold, best[:0])
            tile.store_categories(z[i], arg, row, fold)


# -- functions of logits and categories --------------------------------------------------------


@kernel(cost=lambda logits: logits.size)
def log_normaliser(chunk, chunks, logits, out):
    """out = logsumexp of each row."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    (t,) = tile.scratch(layout, 1, real)
    m, s = tile.statistics(layout, 2, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.maximum(t, m, fold)
        col.exponentiate(t, m, like(1, t), s, fold)
        for c in range(layout.columns):
            m[c] += log_normal(s[c])
        tile.store_statistics(out, m, row, fold)


@kernel(cost=lambda logits: logits.size)
def log_softmax(chunk, chunks, logits, out):
    """out = log_softmax(logits)."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    t, w = tile.scratch(layout, 2, real)
    m, s = tile.statistics(layout, 2, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, m, fold)
        m[:] = like(0, m)
        col.log_softmax(t, m, s, w, fold)
        tile.store(out, t, row)


@kernel(cost=lambda out: out.size)
def score(chunk, chunks, logits, z, out):
    """out = one-hot(z) - softmax(logits): z is (S, N), out (S, N, K)."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    p, w = tile.scratch(layout, 2, real)
    m, s = tile.statistics(layout, 2, real)
    (arg,) = tile.statistics(layout, 1, np.int32)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(p, logits, row, like(-np.inf, p))
        col.maximum(p, m, fold)
        col.softmax(p, m, s, fold)
        for i in range(z.shape[0]):
            tile.load_categories(arg, z[i], row, fold)
            col.one_hot_minus(w, arg, p)
            tile.store(out[i], w, row)


@kernel(cost=lambda logits: logits.size)
def entropy(chunk, chunks, logits, out):
    """out = -sum p log p of each row."""
    layout = tile.layout(*logits.shape)
    fold, real = layout.fold, logits.dtype
    t, p = tile.scratch(layout, 2, real)
    m, s = tile.statistics(layout, 2, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, logits, row, like(-np.inf, t))
        log_softmax_and_softmax(t, p, m, s, fold)
        col.expectation(p, t, s, fold)
        for c in range(layout.columns):
            s[c] = -s[c]
        tile.store_statistics(out, s, row, fold)


@kernel(cost=lambda p_logits: p_logits.size)
def kl_divergence(chunk, chunks, p_logits, q_logits, out):
    """out = sum p (log p - log q) of each row."""
    layout = tile.layout(*p_logits.shape)
    fold, real = layout.fold, p_logits.dtype
    t, p, q, w = tile.scratch(layout, 4, real)
    m, s = tile.statistics(layout, 2, real)
    for row in tile.rows(layout, chunk, chunks):
        tile.load(t, p_logits, row, like(-np.inf, t))
        tile.load(q, q_logits, row, like(-np.inf, q))
        log_softmax_and_softmax(t, p, m, s, fold)
        log_softmax_and_softmax(q, w, m, s, fold)  # by the same steps: 0 where p is q
        elementwise.difference(t, q)
        col.expectation(p, t, s, fold)
        tile.store_statistics(out, s, row, fold)


@block
def log_softmax_and_softmax(t, p, m, s, fold):
    """t = log_softmax(t), p = softmax(t)."""
    softmax(t, p, m, s, fold)
    col.add_log(t, s)
