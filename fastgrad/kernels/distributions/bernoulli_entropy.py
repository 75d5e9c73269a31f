"""Entropy and divergence of Bernoulli sites and their products, in forms that keep their digits.

The divergence is that of `categorical_entropy` for two outcomes, the likelier one of p as r.

Oracle: tests/distributions/test_bernoulli_entropy.py, by mpmath.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_bounds, inline, kernel, wide_vectors
from fastgrad.kernels.distributions.categorical_entropy import NEAR, bend
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import expm1, log1p, sigmoid, softplus


@inline
def excess(c, p, q):
    """Return p (expm1(d) - d) for d = log q - log p = -c."""
    near = where(abs(c) < like(NEAR, c), p * bend(-c), (q - p) + p * c)
    return where(p > like(0, p), near, q)


@inline
def divergence(a, b):
    """Sum over both outcomes of p (expm1(d) - d), d = log q - log p: no term is negative.

    Logits are turned so that p's likelier outcome has log odds |a|, and q for it log odds b.
    """
    zero, one, inf = like(0, a), like(1, a), like(np.inf, a)
    b = where(a < zero, -b, b)
    a = abs(a)
    gap = a - b  # log odds of the other outcome in q less those in p
    rare = sigmoid(-a)
    near = log1p(rare * expm1(where(abs(gap) < one, gap, zero)))
    c = where(abs(gap) < one, near, softplus(-b) - softplus(-a))
    total = excess(c, one - rare, sigmoid(b)) + excess(c - gap, rare, sigmoid(-b))
    return where(abs(b) == inf, where(a == b, zero, inf), where(a == inf, softplus(-b), total))


@block
def kl_divergence_block(out, a, b):
    """out = divergence from p to q of each site, their logits a and b."""
    wide_vectors()
    for c in range(out.size):
        out[c] = divergence(a[c], b[c])


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


# -- gradients ---------------------------------------------------------------------------------


@block
def entropy_slopes(out, t, cotangent):
    """out = -cotangent t p (1 - p)."""
    wide_vectors()
    for c in range(out.size):
        finite = where(abs(t[c]) < like(np.inf, t), t[c], like(0, t))
        out[c] = -cotangent[c] * (finite * (sigmoid(t[c]) * sigmoid(-t[c])))


@block
def divergence_slopes(p_grad, q_grad, a, b, cotangent):
    """p_grad = cotangent p (1 - p) (a - b), q_grad = cotangent (q - p)."""
    wide_vectors()
    zero = like(0, a)
    for c in range(p_grad.size):
        spread = sigmoid(a[c]) * sigmoid(-a[c])
        slope = where(spread > zero, spread * (a[c] - b[c]), zero)
        p_grad[c] = where(cotangent[c] == zero, zero, cotangent[c] * slope)
    for c in range(q_grad.size):
        high, low = where(a[c] > b[c], a[c], b[c]), where(a[c] > b[c], b[c], a[c])
        size = sigmoid(high) * sigmoid(-low) * -expm1(low - high)
        change = where(b[c] > a[c], size, -size)
        q_grad[c] = where(a[c] == b[c], zero, cotangent[c] * change)


@kernel(cost=lambda out: out.size)
def entropy_vjp(chunk, chunks, logits, cotangent, out):
    """out = cotangent times the gradient of the entropy of each site."""
    head, tail = chunk_bounds(out.size, chunk, chunks)
    entropy_slopes(out[head:tail], logits[head:tail], cotangent[head:tail])


@kernel(cost=lambda p_grad: p_grad.size)
def kl_divergence_vjp(chunk, chunks, p_logits, q_logits, cotangent, p_grad, q_grad):
    """Set the gradients to cotangent times those of the divergence of each site."""
    head, tail = chunk_bounds(p_grad.size, chunk, chunks)
    divergence_slopes(
        p_grad[head:tail],
        q_grad[head:tail],
        p_logits[head:tail],
        q_logits[head:tail],
        cotangent[head:tail],
    )
