"""Bernoulli sites: samples, their log probability and score.

Oracle: tests/distributions/test_bernoulli.py, `test_agrees_with_two_categories`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import (
    block,
    chunk_bounds,
    chunk_range,
    inline,
    kernel,
    wide_vectors,
)
from fastgrad.kernels.distributions import bernoulli_noise as lg
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import where
from fastgrad.kernels.simd.special import sigmoid, softplus
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import empty


@kernel(cost=lambda out: out.size)
def sample(chunk, chunks, logits, noise, out):
    """Fill out, shape (S, N), with samples."""
    key, first_sample, offset = noise
    n = logits.size
    blocks, depth = lg.layout(n, offset)
    bits = empty((logits.itemsize // 4, depth, tile.FOLD), np.uint32)
    w, scratch = empty(bits[0].size, logits.dtype), empty(bits[0].size, logits.dtype)
    for b in chunk_range(blocks, chunk, chunks):
        start, head, tail, low = lg.span(b, depth, n, offset)
        z, odds = scratch[: tail - head], w[low : low + tail - head]
        for i in range(out.shape[0]):
            lg.fill_odds(w, bits, start, np.uint32(first_sample + i), NOISE, key)
            lg.perturb(z, logits[head:tail], odds)
            lg.decide(out[i][head:tail], z)


# -- functions of logits and samples -----------------------------------------------------------


@inline
def log_sigmoid(x):
    """log(sigmoid(x))."""
    return -softplus(-x)


@block
def log_prob_block(out, t, x):
    """out = log sigmoid(t) where x is 1, log sigmoid(-t) where it is 0."""
    wide_vectors()
    for c in range(out.size):
        out[c] = log_sigmoid(where(x[c] > 0, t[c], -t[c]))


@block
def score_block(out, t, x):
    """out = x - sigmoid(t)."""
    wide_vectors()
    for c in range(out.size):
        rest = sigmoid(where(x[c] > 0, -t[c], t[c]))
        out[c] = where(x[c] > 0, rest, -rest)


@kernel(cost=lambda out: out.size)
def log_prob(chunk, chunks, logits, x, out):
    """out = log probability of x, both (S, N)."""
    n = logits.size
    head, tail = chunk_bounds(n, chunk, chunks)
    for i in range(out.shape[0]):
        log_prob_block(out[i][head:tail], logits[head:tail], x[i][head:tail])


@kernel(cost=lambda out: out.size)
def score(chunk, chunks, logits, x, out):
    """out = x - sigmoid(logits), x and out (S, N)."""
    n = logits.size
    head, tail = chunk_bounds(n, chunk, chunks)
    for i in range(out.shape[0]):
        score_block(out[i][head:tail], logits[head:tail], x[i][head:tail])
