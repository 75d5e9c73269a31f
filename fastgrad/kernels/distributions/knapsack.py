"""Sums over all sets of items that fit into a knapsack, each weighted by a product of exp(logit).

Items have integer costs. B_i(r) is the log of the sum over sets of items i and on whose costs sum
to at most r. Item i is taken with odds d, if r is left for it:

    d_i(r) = logit_i + B_(i+1)(r - cost_i) - B_(i+1)(r),    B_i(r) = B_(i+1)(r) + log(1 + exp(d)),

and with probability p_i(r) = sigmoid(d), which is 0 where it does not fit. The rest needs no
logarithm: u_i(r), the probability that r is left for item i, follows from p forwards, the marginals
are sums of u p, and derivatives along a direction v of logits obey

    dB_i = (1 - p) dB_(i+1)(r) + p (v_i + dB_(i+1)(r - cost_i)),    dp = p (1 - p) dd.

Room r is in column `lead + r` of the tables, whose `lead` first columns, below every room, hold
-inf in B; so no loop has to ask whether an item fits.

Logits, tables and results are in float64, samples bytes.

Oracle: tests/distributions/test_knapsack.py, `law` of all sets that fit.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.noise import uniform
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import exp, log_normal
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.elementwise import sum_of
from fastgrad.kernels.tiles.memory import empty, reshaped, zeros

CHAINS = 32  # sums side by side, to hide the latency of additions


@block
def choose(p, out, stay, take, logit):
    """p = p_i and out = B_i of all rooms; stay and take are B_(i+1), take of what is left by i.

    log(1 + e) is log(u) + (e - (u - 1)) / u, u being 1 + e rounded: as exact as log1p.
    """
    wide_vectors()
    one = like(1, out)
    for r in range(out.size):
        with_it = logit + take[r]
        more = with_it > stay[r]
        e = exp(-abs(with_it - stay[r]))
        u = one + e
        p[r] = where(more, one, e) / u
        out[r] = where(more, with_it, stay[r]) + (log_normal(u) + (e - (u - one)) / u)


@block
def odds(p, b, row, costs):
    """Fill p, (K, C + 1), for one row of logits; return B_0(C). b is scratch, (2, lead + C + 1)."""
    items, rooms = p.shape
    lead = b.shape[1] - rooms
    b[:] = -np.inf
    above, below = b[0], b[1]
    above[lead:] = 0.0
    for i in range(items - 1, -1, -1):
        take = above[lead - costs[i] : lead - costs[i] + rooms]
        choose(p[i], below[lead:], above[lead:], take, row[i])
        above, below = below, above
    return above[lead + rooms - 1]


@block
def move(out, u, p, cost, taken):
    """out(r) = u(r) (1 - p(r)) + u(r + cost) p(r + cost); return the sum of u p, which is taken."""
    wide_vectors()
    for r in range(u.size):
        taken[r] = u[r] * p[r]
        out[r] = u[r] - taken[r]
    return land(out, taken, cost)


@block
def land(out, taken, cost):
    """Add what is taken where it leads to; return its sum."""
    wide_vectors()
    left, partial = taken[min(cost, taken.size) :], zeros(CHAINS)
    for r in range(left.size):
        out[r] += left[r]
    whole = left.size // CHAINS * CHAINS
    for first in range(0, whole, CHAINS):
        part = left[first : first + CHAINS]
        for c in range(CHAINS):
            partial[c] += part[c]
    return sum_of(partial) + sum_of(left[whole:])


@kernel(cost=lambda logits, budget: 8 * logits.size * (budget + 1))
def marginals(chunk, chunks, logits, costs, budget, lead, out, log_sum):
    """out = probability that each item is taken; log_sum = log of the sum over sets."""
    n, items = logits.shape
    p, b = empty((items, budget + 1)), empty((2, lead + budget + 1))
    u, following, taken = empty(budget + 1), empty(budget + 1), empty(budget + 1)
    for row in chunk_range(n, chunk, chunks):
        log_sum[row] = odds(p, b, logits[row], costs)
        u[:] = 0.0
        u[budget] = 1.0
        for i in range(items):
            out[row, i] = min(move(following, u, p[i], costs[i], taken), 1.0)
            u, following = following, u


@block
def rise(dp, out, stay, take, p, v):
    """dp = p (1 - p) dd and out = dB_i of all rooms; stay and take are dB_(i+1), as in `choose`."""
    wide_vectors()
    for r in range(out.size):
        dd = v + take[r] - stay[r]
        dp[r] = p[r] * (1.0 - p[r]) * dd
        out[r] = fma(p[r], dd, stay[r])


@block
def change(out, du, u, p, dp, taken):
    """Set what is taken to the derivative of u p, and out to that of u less it."""
    wide_vectors()
    for r in range(u.size):
        taken[r] = du[r] * p[r] + u[r] * dp[r]
        out[r] = du[r] - taken[r]


@kernel(cost=lambda logits, budget: 12 * logits.size * (budget + 1))
def marginals_vjp(chunk, chunks, logits, cotangent, costs, budget, lead, out):
    """out = product of the cotangent with the Jacobian of the marginals, their covariance.

    That is symmetric: it is the derivative of the marginals along the cotangent.
    """
    n, items = logits.shape
    rooms = budget + 1
    p, dp, b = empty((items, rooms)), empty((items, rooms)), empty((2, lead + rooms))
    u, du, taken = empty((2, rooms)), empty((2, rooms)), empty(rooms)
    for row in chunk_range(n, chunk, chunks):
        odds(p, b, logits[row], costs)
        b[:] = 0.0
        for i in range(items - 1, -1, -1):
            above, below = b[i % 2], b[1 - i % 2]
            take = above[lead - costs[i] : lead - costs[i] + rooms]
            rise(dp[i], below[lead:], above[lead:], take, p[i], cotangent[row, i])
        u[:], du[:] = 0.0, 0.0
        u[0, budget] = 1.0
        for i in range(items):
            now, then = i % 2, 1 - i % 2
            change(du[then], du[now], u[now], p[i], dp[i], taken)
            out[row, i] = land(du[then], taken, costs[i])
            move(u[then], u[now], p[i], costs[i], taken)


@inline
def columns(items):
    """Return how many columns of a wide tile hold a uniform for each item."""
    return (items + tile.FOLD - 1) // tile.FOLD


@block
def fill_uniform(u, bits):
    """u = uniform variates."""
    wide_vectors()
    for i in range(u.size):
        u[i] = uniform(bits[0, i], bits[1, i], u)


@block
def draw(out, p, u, costs, budget):
    """Set ones at the items that uniforms u take."""
    room = budget
    for i in range(out.size):
        taken = u[i] < p[i, room]
        out[i] = np.uint8(taken)
        room -= costs[i] if taken else 0


@kernel(cost=lambda logits, budget, out: 8 * (out.size + logits.size * (budget + 1)))
def sample(chunk, chunks, logits, costs, budget, lead, noise, out):
    """Fill out, (S, N, K), with ones at the items of a set: one uniform an item."""
    key, first_sample, offset = noise
    n, items = logits.shape
    depth = columns(items)
    p, b = empty((items, budget + 1)), empty((2, lead + budget + 1))
    bits, u = empty((2, depth, tile.FOLD), np.uint32), empty(depth * tile.FOLD)
    flat = reshaped(bits, (2, u.size))
    for row in chunk_range(n, chunk, chunks):
        odds(p, b, logits[row], costs)
        start = (row + offset) * (u.size // 4)
        for s in range(out.shape[0]):
            number = np.uint32(first_sample + s)
            fill_bits(bits, start, 1, tile.FOLD // 4, number, NOISE, key)
            fill_uniform(u, flat)
            draw(out[s, row], p, u, costs, budget)
