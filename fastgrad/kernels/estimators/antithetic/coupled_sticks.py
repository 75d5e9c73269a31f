"""Tables for breaking a stick into the probabilities of categories, the rarest first.

`order`, (N, K), lists the categories of each variable by increasing logit, equal ones by index. The
one at place i is drawn with probability p_i = w_i / rest_i if none before it was, where rest_i is
the sum of the weights from there on. But for the last, p_i <= 1/2: so under the coupling all pairs
of possible categories are possible. The ratio of a pair's probability if its draws were independent
to that under the coupling depends only on which place comes first: `pair_ratios` finds it.

Oracle: tests/estimators/antithetic/test_carms.py, `pair_law`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import like, where
from fastgrad.kernels.simd.special import exp, expm1, log
from fastgrad.kernels.tiles import elementwise
from fastgrad.kernels.tiles.memory import empty


@block
def count_before(rank, x):
    """rank[i] = how many x come before x[i]: lower, or equal and of lower index."""
    wide_vectors()
    for i in range(x.size):
        rank[i] = np.int32(0)
    for j in range(x.size):
        y, place = x[j], np.int32(j)
        for i in range(x.size):
            rank[i] += np.int32((y < x[i]) | ((y == x[i]) & (place < np.int32(i))))


@kernel(cost=lambda order: order.size)
def sort(chunk, chunks, logits, order):
    """Fill the order of each row: for few categories, counting beats sorting."""
    n, k = order.shape
    rank = empty(k, np.int32)
    for row in chunk_range(n, chunk, chunks):
        count_before(rank, logits[row])
        for i in range(k):
            order[row, rank[i]] = i


@block
def weigh(w, x, top):
    """w = exp(x - top)."""
    wide_vectors()
    for i in range(w.size):
        w[i] = exp(np.float64(x[i]) - top)


@block
def break_stick(p, rest, w, logits, order):
    """p[i] = what place i takes of the rest[i] that is left there; rest[0] = 1. w is scratch."""
    weigh(w, logits, np.float64(logits[order[order.size - 1]]))
    total = 0.0
    for i in range(order.size - 1, -1, -1):
        total += w[order[i]]
        p[i], rest[i] = w[order[i]] / total, total
    for i in range(order.size):
        rest[i] /= total


@kernel(cost=lambda logits: logits.size)
def pair_tables(chunk, chunks, logits, order, rest, reach):
    """rest as above; reach[i] = probability that the twins part at place i or before it."""
    n, k = order.shape
    p, w = empty(k), empty(k)
    for row in chunk_range(n, chunk, chunks):
        break_stick(p, rest[row], w, logits[row], order[row])
        together, parted = 1.0, 0.0
        for i in range(k):
            parted += together * (p[i] + p[i])
            together *= 1.0 - (p[i] + p[i])
            reach[row, i] = parted


@block
def fill_thresholds(t, p, size):
    """t = p**(-1 / (size - 1)) - 1."""
    wide_vectors()
    for i in range(t.size):
        t[i] = -log(p[i]) / np.float64(size - 1)
    for i in range(t.size):
        t[i] = expm1(t[i])


@block
def fill_overlaps(out, t, size):
    """out = max(0, 1 - t)**(size - 1), that two draws of p are 1, over p, if t is p's threshold."""
    wide_vectors()
    for i in range(t.size):
        t[i] = where(t[i] < 1.0, 1.0 - t[i], 0.0)
    elementwise.power(out, t, size - 1)


@kernel(cost=lambda logits: logits.size)
def thresholds(chunk, chunks, logits, order, size, out):
    """out = the thresholds of all places, as `disarm.exceed` takes them."""
    n, k = order.shape
    p, rest, w = empty(k), empty(k), empty(k)
    for row in chunk_range(n, chunk, chunks):
        break_stick(p, rest, w, logits[row], order[row])
        fill_thresholds(w, p, size)
        for i in range(k):
            out[row, i] = like(w[i], out)


@kernel(cost=lambda logits: logits.size)
def pair_ratios(chunk, chunks, logits, order, size, out):
    """out[c] = ratio for two of `size` coupled draws, of which category c comes first."""
    n, k = order.shape
    p, rest, w, t = empty(k), empty(k), empty(k), empty(k)
    for row in chunk_range(n, chunk, chunks):
        break_stick(p, rest, w, logits[row], order[row])
        w[:] = 0.0  # p <= 1/2: of two draws, not both take a place
        if size > 2:
            fill_thresholds(t, p, size)
            fill_overlaps(w, t, size)
        together = 1.0  # the probability that both draws pass all places before
        for i in range(k - 1):
            out[row, order[row, i]] = rest[i] * rest[i + 1] / (together * (1.0 - w[i]))
            together *= 1.0 - p[i] * (2.0 - w[i])
        out[row, order[row, k - 1]] = 0.0
