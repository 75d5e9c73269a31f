"""Sums over all subsets of k items, each weighted by the product of its exp(logit).

With q_i = sigmoid(logit_i + c), such a subset is one of independent choices that number k, whatever
c. Where c makes their mean number about k, that has a probability of at least 1 / (K + 1), so sums
of products stay in range with no logarithm, and what underflows does not matter. B_i(t) is the
probability that of items i and on just k - t are chosen, a_i(j) that of those before i just j are.

Oracle: tests/distributions/test_k_hot.py, `law` of all `subsets`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, shared, wide_vectors
from fastgrad.kernels.random.bits import fill_bits
from fastgrad.kernels.random.noise import uniform
from fastgrad.kernels.random.philox import NOISE
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.simd.special import log, sigmoid, softplus
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.elementwise import sum_of
from fastgrad.kernels.tiles.memory import empty, reshaped

CHAINS = 32  # sums side by side, to hide the latency of additions
CLOSE = 0.25  # of the mean number to k
HALVINGS = 60


@shared
def probabilities(q, x, c):
    """q = sigmoid(x + c)."""
    wide_vectors()
    for i in range(q.size):
        q[i] = sigmoid(x[i] + c)


@shared
def tilt(q, x, row, k):
    """x = row, q and 1 - q, the two rows of q; return c, inf where all items are chosen."""
    support, low, high = 0, np.inf, -np.inf
    for i in range(row.size):
        x[i] = np.float64(row[i])
        if x[i] > -np.inf:
            support += 1
            low, high = min(low, x[i]), max(high, x[i])
    if support == k:
        for i in range(row.size):
            q[0, i] = 1.0 if x[i] > -np.inf else 0.0
            q[1, i] = 1.0 - q[0, i]
        return np.inf
    margin = log(np.float64(row.size)) + 2.0
    down, up, c = -high - margin, -low + margin, 0.0
    for _ in range(HALVINGS):
        c = 0.5 * (down + up)
        probabilities(q[0], x, c)
        mean = sum_of(q[0])
        if abs(mean - k) < CLOSE:
            break
        if mean > k:
            up = c
        else:
            down = c
    for i in range(row.size):
        q[1, i] = -x[i]
    probabilities(q[1], q[1], -c)
    return c


@inline
def entries(k):
    """Return the length of rows of probabilities: 0 to k, whole groups of chains, and one more."""
    return (k + CHAINS) // CHAINS * CHAINS + 1


@block
def shift_down(out, b, q, none):
    """out[t] = none b[t] + q b[t + 1]."""
    wide_vectors()
    above = b[1:]
    for t in range(above.size):
        out[t] = fma(q, above[t], none * b[t])


@block
def shift_up(out, a, q, none):
    """out[j] = none a[j] + q a[j - 1]."""
    wide_vectors()
    target, above = out[1:], a[1:]
    out[0] = none * a[0]
    for j in range(above.size):
        target[j] = fma(q, a[j], none * above[j])


@block
def add_scaled(out, x, factor):
    """out += factor x."""
    wide_vectors()
    for i in range(out.size):
        out[i] = fma(factor, x[i], out[i])


@block
def dot(x, y, partial):
    """Return the sum of x[j] y[j + 1]."""
    wide_vectors()
    partial[:] = 0.0
    for first in range(0, x.size - 1, CHAINS):
        u, v = x[first : first + CHAINS], y[first + 1 : first + 1 + CHAINS]
        for c in range(CHAINS):
            partial[c] = fma(u[c], v[c], partial[c])
    return sum_of(partial)


@block
def tables(b, q, k):
    """Fill b, (K + 1, entries), with b[i, t] = B_i(t)."""
    n = q.shape[1]
    b[:] = 0.0
    b[n, k] = 1.0
    for i in range(n - 1, -1, -1):
        shift_down(b[i], b[i + 1], q[0, i], q[1, i])


@block
def slopes(d, b, q, r):
    """Fill d with the derivatives of b along logits r."""
    n = q.shape[1]
    d[:] = 0.0
    for i in range(n - 1, -1, -1):
        shift_down(d[i], d[i + 1], q[0, i], q[1, i])
        add_scaled(d[i, :-1], b[i + 1, 1:], q[0, i] * r[i])


@block
def normaliser(x, q, c, k, chosen):
    """Return the log of the sum over subsets: `chosen` is the probability of k choices."""
    total = 0.0
    for i in range(x.size):
        if x[i] > -np.inf:
            total += softplus(x[i] + c) if c < np.inf else x[i]
    return total + log(chosen) - k * c if c < np.inf else total


@block
def marginals_of(out, q, b, a, following, partial):
    """out = the probability that each item is chosen, given that k are."""
    a[:] = 0.0
    a[0] = 1.0
    for i in range(out.size):
        p = q[0, i] * dot(a, b[i + 1], partial) / b[0, 0]
        out[i] = min(p, 1.0)  # but for rounding it is no more
        shift_up(following, a, q[0, i], q[1, i])
        a, following = following, a


@kernel(cost=lambda logits, k: 2 * logits.size * k)
def marginals(chunk, chunks, logits, k, out, log_sum):
    """out = probability that each item is chosen; log_sum = log of the sum over subsets."""
    n, items = logits.shape
    size = entries(k)
    x, q, b = empty(items), empty((2, items)), empty((items + 1, size))
    a, following, partial = empty(size), empty(size), empty(CHAINS)
    for row in chunk_range(n, chunk, chunks):
        c = tilt(q, x, logits[row], k)
        tables(b, q, k)
        log_sum[row] = normaliser(x, q, c, k, b[0, 0])
        marginals_of(out[row], q, b, a, following, partial)


@block
def slopes_of(out, q, b, d, r, cotangent, k, slope_pair, a_pair, partial):
    """out = the derivative of the marginals along the cotangent.

    k items are chosen whatever the logits: a constant less in the cotangent changes nothing.
    """
    mean = 0.0
    for i in range(r.size):
        mean += q[0, i] * cotangent[i] / k
    for i in range(r.size):
        r[i] = cotangent[i] - mean
    slopes(d, b, q, r)
    slope, next_slope = slope_pair[0], slope_pair[1]
    a, following = a_pair[0], a_pair[1]
    slope[:] = 0.0
    a[:] = 0.0
    a[0] = 1.0
    for i in range(r.size):
        p = q[0, i] * dot(a, b[i + 1], partial) / b[0, 0]
        rise = dot(slope, b[i + 1], partial) + dot(a, d[i + 1], partial)
        out[i] = q[0, i] * rise / b[0, 0] + p * (r[i] - d[0, 0] / b[0, 0])
        shift_up(following, a, q[0, i], q[1, i])
        shift_up(next_slope, slope, q[0, i], q[1, i])
        add_scaled(next_slope[1:], a[:-1], q[0, i] * r[i])
        a, following = following, a
        slope, next_slope = next_slope, slope


@kernel(cost=lambda logits, k: 4 * logits.size * k)
def marginals_vjp(chunk, chunks, logits, cotangent, k, out):
    """out = product of the cotangent with the Jacobian of the marginals, their covariance.

    That is symmetric: it is the derivative of the marginals along the cotangent.
    """
    n, items = logits.shape
    size = entries(k)
    x, q, r = empty(items), empty((2, items)), empty(items)
    b, d = empty((items + 1, size)), empty((items + 1, size))
    slope, a, partial = empty((2, size)), empty((2, size)), empty(CHAINS)
    for row in chunk_range(n, chunk, chunks):
        tilt(q, x, logits[row], k)
        tables(b, q, k)
        slopes_of(out[row], q, b, d, r, cotangent[row], k, slope, a, partial)


@block
def draw(out, q, b, u, k):
    """Set ones at the k items that uniforms u choose."""
    t = 0
    for i in range(out.size):
        chosen = t < k and u[i] * b[i, t] < q[0, i] * b[i + 1, t + 1]
        out[i] = like(1, out) if chosen else like(0, out)
        t += 1 if chosen else 0


@kernel(cost=lambda logits, k, out: 8 * (out.size + logits.size * k))
def sample(chunk, chunks, logits, k, noise, out):
    """Fill out, (S, N, K), with ones at the k items of a subset: one uniform an item."""
    key, first_sample, offset = noise
    n, items = logits.shape
    depth = (items + tile.FOLD - 1) // tile.FOLD
    size = entries(k)
    x, q, b = empty(items), empty((2, items)), empty((items + 1, size))
    bits, u = empty((2, depth, tile.FOLD), np.uint32), empty(depth * tile.FOLD)
    flat = reshaped(bits, (2, u.size))
    for row in chunk_range(n, chunk, chunks):
        tilt(q, x, logits[row], k)
        tables(b, q, k)
        start = (row + offset) * (u.size // 4)
        for s in range(out.shape[0]):
            number = np.uint32(first_sample + s)
            fill_bits(bits, start, 1, tile.FOLD // 4, number, NOISE, key)
            fill_uniform(u, flat)
            draw(out[s, row], q, b, u, k)


@block
def fill_uniform(u, bits):
    """u = uniform variates."""
    wide_vectors()
    for i in range(u.size):
        u[i] = uniform(bits[0, i], bits[1, i], u)
