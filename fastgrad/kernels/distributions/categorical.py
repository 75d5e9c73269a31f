"""Categoricals: samples, scores and entropies of rows of logits, a tile at a time."""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel
from fastgrad.kernels.distributions.concrete import draw, softmax
from fastgrad.kernels.random.bits import addresses
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import log_normal
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile


@kernel
def sample_gumbel(chunk, chunks, logits, offset, key, first_sample, z):
    """Draw z, shape (S, N), as the argmax of perturbed logits: the noise of `concrete`."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, offset)
    real = logits.dtype
    t, w = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    bits = tile.empty((logits.itemsize // 4, depth, columns), np.uint32)
    best, arg = tile.empty((columns,), real), tile.empty((columns,), np.int32)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, offset)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, best, fold)
        place = addresses(k, row, offset, columns, depth)
        for i in range(z.shape[0]):
            sample = np.uint32(first_sample + i)
            draw(w, t, bits, place, sample, key, best, arg, fold, best[:0])
            tile.store_categories(z[i], arg, row, fold)


# -- functions of logits and categories --------------------------------------------------------


@kernel
def log_normaliser(chunk, chunks, logits, out):
    """out = logsumexp of each row."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real = logits.dtype
    t = tile.empty((depth, columns), real)
    m, s = tile.empty((columns,), real), tile.empty((columns,), real)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, 0)
        tile.load(t, logits, row, like(-np.inf, t))
        col.maximum(t, m, fold)
        col.exponentiate(t, m, like(1, t), s, fold)
        for c in range(columns):
            m[c] += log_normal(s[c])
        tile.store_statistics(out, m, row, fold)


@kernel
def log_softmax(chunk, chunks, logits, out):
    """out = log_softmax(logits)."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real = logits.dtype
    t, w = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    m, s = tile.empty((columns,), real), tile.empty((columns,), real)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, 0)
        tile.load(t, logits, row, like(-np.inf, t))
        col.subtract_maximum(t, m, fold)
        m[:] = like(0, m)
        col.log_softmax(t, m, s, w, fold)
        tile.store(out, t, row)


@kernel
def score(chunk, chunks, logits, z, out):
    """out = one-hot(z) - softmax(logits): z is (S, N), out (S, N, K)."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real = logits.dtype
    p, w = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    m, s = tile.empty((columns,), real), tile.empty((columns,), real)
    arg = tile.empty((columns,), np.int32)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, 0)
        tile.load(p, logits, row, like(-np.inf, p))
        col.maximum(p, m, fold)
        col.softmax(p, m, s, fold)
        for i in range(z.shape[0]):
            tile.load_categories(arg, z[i], row, fold)
            col.one_hot_minus(w, arg, p)
            tile.store(out[i], w, row)


@kernel
def entropy(chunk, chunks, logits, out):
    """out = -sum p log p of each row."""
    n, k = logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real = logits.dtype
    t, p = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    m, s = tile.empty((columns,), real), tile.empty((columns,), real)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, 0)
        tile.load(t, logits, row, like(-np.inf, t))
        log_softmax_and_softmax(t, p, m, s, fold)
        col.expectation(p, t, s, fold)
        for c in range(columns):
            s[c] = -s[c]
        tile.store_statistics(out, s, row, fold)


@kernel
def kl_divergence(chunk, chunks, p_logits, q_logits, out):
    """out = sum p (log p - log q) of each row."""
    n, k = p_logits.shape
    fold = k > tile.NARROW
    columns, depth = tile.shape(n, k)
    blocks = tile.count(n, k, columns, 0)
    real = p_logits.dtype
    t, p = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    q, w = tile.empty((depth, columns), real), tile.empty((depth, columns), real)
    m, s = tile.empty((columns,), real), tile.empty((columns,), real)
    for b in chunk_range(blocks, chunk, chunks):
        row = tile.first_row(b, k, columns, 0)
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
