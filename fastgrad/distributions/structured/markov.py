"""Markov chains with a probability proportional to a product over their steps: sums over all.

A chain of states z_0 to z_L has the log weight phi_1(z_0, z_1) + ... + phi_L(z_(L-1), z_L). With

    a_t(j) = log sum over i of exp(a_(t-1)(i) + phi_t(i, j)),    a_0 = 0,

the log of the sum over all chains is that of exp(a_L), the last state is j with probability
q(j) = softmax(a_L)_j, and the one before a state j is i with probability
Q_t(i | j) = exp(a_(t-1)(i) + phi_t(i, j) - a_t(j)). Samples and marginals follow from the last
state backwards, and derivatives along v from

    da_t(j) = sum over i of Q_t(i | j) (da_(t-1)(i) + v_t(i, j)),
    dQ_t(i | j) = Q_t(i | j) (da_(t-1)(i) + v_t(i, j) - da_t(j)).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad._typing import FloatArray, IntArray

__all__ = ["Backwards", "backwards", "draw", "pair_marginals", "pair_marginals_jvp"]


class Backwards(NamedTuple):
    """A chain from its last state backwards, for R rows of K states and L steps.

    Attributes
    ----------
    last : array, shape (R, K)
        Probability q of each last state.
    before : array, shape (R, L, K, K)
        Probability Q_t(i | j) of the state i before j, at [:, t - 1, i, j].
    log_sum : array, shape (R,)
        Log of the sum over all chains.
    """

    last: FloatArray
    before: FloatArray
    log_sum: FloatArray


def _log_sum(x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the log of the sum of exp(x) over the second axis, and the softmax there."""
    top = x.max(axis=1, keepdims=True)
    top = np.where(np.isneginf(top), 0, top)
    e = np.exp(x - top)
    total = e.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore"):
        log_sum = (top + np.log(total))[:, 0]
    return log_sum, e / np.where(total > 0, total, 1)


def backwards(phi: FloatArray) -> Backwards:
    """Return the chains of log weights phi, (R, L, K, K), from their last states backwards."""
    before, a = np.empty(phi.shape), np.zeros((len(phi), phi.shape[-1]))
    for t in range(phi.shape[1]):
        a, before[:, t] = _log_sum(a[:, :, None] + phi[:, t])
    log_sum, last = _log_sum(a)
    return Backwards(last, before, log_sum)


def pair_marginals(chain: Backwards) -> FloatArray:
    """Return the probability of each pair of consecutive states, (R, L, K, K)."""
    p, now = np.empty_like(chain.before), chain.last
    for t in range(chain.before.shape[1] - 1, -1, -1):
        p[:, t] = chain.before[:, t] * now[:, None]
        now = p[:, t].sum(axis=2)
    return p


def pair_marginals_jvp(chain: Backwards, tangent: FloatArray) -> FloatArray:
    """Multiply the Jacobian of `pair_marginals` by phi, which is symmetric, with tangents.

    So it is the product with cotangents as well.
    """
    v, q = tangent, chain.before
    da, rises = np.zeros(chain.last.shape), np.empty(q.shape)
    for t in range(q.shape[1]):
        rise = da[:, :, None] + v[:, t]
        da = (q[:, t] * rise).sum(axis=1)
        rises[:, t] = q[:, t] * (rise - da[:, None])
    now = chain.last
    change = now * (da - (now * da).sum(axis=1, keepdims=True))
    out = np.empty(q.shape)
    for t in range(q.shape[1] - 1, -1, -1):
        out[:, t] = rises[:, t] * now[:, None] + q[:, t] * change[:, None]
        now, change = (q[:, t] * now[:, None]).sum(axis=2), out[:, t].sum(axis=2)
    return out


def draw(chain: Backwards, u: FloatArray) -> IntArray:
    """Return the states, (S, R, L + 1), that uniforms of this shape draw, from the last one on."""
    steps, row = chain.before.shape[1], np.arange(len(chain.last))
    z = np.empty(u.shape, np.int32)
    p = np.broadcast_to(chain.last, (len(u), *chain.last.shape))
    for t in range(steps, -1, -1):
        whole = p.cumsum(axis=2)
        z[:, :, t] = (whole < u[:, :, t, None] * whole[:, :, -1:]).sum(axis=2)
        if t:
            p = chain.before[row, t - 1, :, z[:, :, t]]
    return z
