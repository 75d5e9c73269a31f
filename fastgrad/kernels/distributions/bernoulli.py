"""Bernoulli sites: samples, their log probability and score, entropy and divergence.

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
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import sigmoid, softplus
from fastgrad.kernels.tiles import tile


@kernel(cost=lambda out: out.size)
def sample(chunk, chunks, logits, noise, out):
    """Fill out, shape (S, N), with samples."""
    key, first_sample, offset = noise
    n = logits.size
    blocks, depth = lg.layout(n, offset)
    bits = np.empty((logits.itemsize // 4, depth, tile.FOLD), np.uint32)
    w, scratch = np.empty(bits[0].size, logits.dtype), np.empty(bits[0].size, logits.dtype)
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


@inline
def divergence(a, b):
    """p (log p - log q) of the outcome with logits a and b: 0 where p is, else inf where q is 0."""
    log_p, log_q = log_sigmoid(a), log_sigmoid(b)
    term = sigmoid(a) * (log_p - log_q)
    term = where(log_q == like(-np.inf, b), like(np.inf, b), term)
    return where(log_p == like(-np.inf, a), like(0, a), term)


@block
def kl_divergence_block(out, a, b):
    """out = sum over both outcomes of p (log p - log q)."""
    wide_vectors()
    for c in range(out.size):
        out[c] = divergence(a[c], b[c])
    for c in range(out.size):
        out[c] += divergence(-a[c], -b[c])


@block
def entropy_block(out, t):
    """out = -sum p log p: log(1 + e) + |t| e / (1 + e), e = exp(-|t|)."""
    wide_vectors()
    for c in range(out.size):
        a = abs(t[c])
        out[c] = where(a < like(np.inf, a), a, like(0, a)) * sigmoid(-a)
    for c in range(out.size):
        out[c] += softplus(-abs(t[c]))


@kernel(cost=lambda out: out.size)
def kl_divergence(chunk, chunks, p_logits, q_logits, out):
    """out = Kullback-Leibler divergence of each site."""
    n = out.size
    head, tail = chunk_bounds(n, chunk, chunks)
    kl_divergence_block(out[head:tail], p_logits[head:tail], q_logits[head:tail])


@kernel(cost=lambda out: out.size)
def entropy(chunk, chunks, logits, out):
    """out = entropy of each site."""
    n = out.size
    head, tail = chunk_bounds(n, chunk, chunks)
    entropy_block(out[head:tail], logits[head:tail])
