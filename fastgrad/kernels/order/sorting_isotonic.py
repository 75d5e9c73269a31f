"""Projections onto permutahedra by isotonic regression: soft ranks, marks of the k largest, sorts.

Values over the temperature in descending order, s, and weights in descending order, w, give the
projection of s onto the permutations of w as s - v, where v is the isotonic regression of s - w
(not increasing): equal within blocks, and found by pooling neighbours whose order is violated.
Sorting exchanges the roles of s and w. In the quadratic case v of a block is the mean of s less
that of w; in the entropic one it is the log of the sum of exp(s) less that of exp(w), with weights
given by their logarithms.

Weights of ranks are m, ..., 1, those of the k largest k ones and then zeros, those of sorts
m, ..., 1 over the temperature. Blocks are kept as their first places, in `starts`.

Oracle: tests/support/reference_order.py, `projected` and `jacobian`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, shared, wide_vectors
from fastgrad.kernels.order.sorting import COUNTS, RANK, SORT, TOP_K, first_place, order
from fastgrad.kernels.order.sorting_pools import (
    lies_apart,
    pool,
    pool_exponentials,
    rises,
    weight,
)
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import exp, log
from fastgrad.kernels.tiles.memory import empty

REACH = 600.0  # exponentials of differences up to it, and products with sums of weights, are normal


@block
def below_first(s, real, scale):
    """s becomes (s - the first) scale; return what the first was."""
    wide_vectors()
    first = s[0]
    for i in range(real):
        s[i] = (s[i] - first) * scale
    return first


@block
def differences(e, s, real, task, k, scale):
    """e = s - w, or w - s for sorts."""
    wide_vectors()
    if task == SORT:
        for i in range(real):
            e[i] = np.float64(real - i) * scale - s[i]
    elif task == RANK:
        for i in range(real):
            e[i] = s[i] - np.float64(real - i)
    else:
        for i in range(real):
            e[i] = s[i] - (1.0 if i < k else 0.0)


@inline
def kept(s, real, task, entropic):
    """Return whether e holds exponentials of all values relative to the first."""
    return entropic and task != SORT and s[0] - s[real - 1] <= REACH


@block
def weights_of(begin, end, task, real, k):
    """Return the sum of the weights of a block."""
    if task == TOP_K:
        return np.float64(min(end, k) - min(begin, k))
    return (end - begin) * (real - 0.5 * (begin + end - 1))


@inline
def at(begin, j):
    """Return an index that has no sign: no loop asks whether it counts from the end."""
    return np.uint64(begin) + np.uint64(j)


@inline
def summed(x, begin, end):
    """Return the sum of a block, as four sums that do not wait for each other."""
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    size = end - begin
    whole = size // 4 * 4
    for j in range(0, whole, 4):
        a += x[at(begin, j)]
        b += x[at(begin, j + 1)]
        c += x[at(begin, j + 2)]
        d += x[at(begin, j + 3)]
    total = (a + b) + (c + d)
    for j in range(whole, size):
        total += x[at(begin, j)]
    return total


@shared
def exponentials(e, s, begin, end):
    """e = exp(s - the first) in a block; return their sum."""
    wide_vectors()
    first = s[begin]
    for j in range(end - begin):
        e[at(begin, j)] = exp(s[at(begin, j)] - first)
    return summed(e, begin, end)


@shared
def find_blocks(e, s, real, task, k, scale, entropic, starts, a, b):
    """Find the blocks of either regression; return their number. e is scratch.

    Where exponentials are `kept`, these are in e, their sums in a, and those of weights in b. Where
    there are as many blocks as values, their first places are not written.
    """
    if not entropic:
        differences(e, s, real, task, k, scale)
        larger = rises(e, real)
        if larger == 0:
            return real
        if larger == real - 1:
            starts[0], starts[1] = 0, real
            return 1
        return pool(e, real, task, k, False, starts, a, b)
    if not kept(s, real, task, entropic):
        if task == SORT and lies_apart(s, real, scale):
            return real
        return pool_exponentials(s, real, task, k, scale, starts, a, b)
    exponentials(e, s, 0, real)
    return pool(e, real, task, k, True, starts, a, b)


@block
def project_entropic(e, s, begin, end, task, real, k, scale):
    """e = projection in a block; for sorts, relative to the first of all values."""
    wide_vectors()
    total = exponentials(e, s, begin, end)
    if task == SORT:
        level = s[begin] + log(total)
        for j in range(end - begin):
            e[at(begin, j)] = exp(-(j * scale))
        level -= log(summed(e, begin, end))
        for j in range(end - begin):
            e[at(begin, j)] = level - j * scale
    else:
        share = weights_of(begin, end, task, real, k) / total
        for j in range(end - begin):
            e[at(begin, j)] *= share


@inline
def project_quadratic(e, s, begin, end, task, real, k, scale):
    """e = projection in a block; for sorts, relative to the first of all values."""
    size, mean = end - begin, summed(s, begin, end) / (end - begin)
    if task == SORT:
        top = mean + 0.5 * (size - 1) * scale
        for j in range(size):
            e[at(begin, j)] = top - j * scale
    else:
        height = weights_of(begin, end, task, real, k) / size
        for j in range(size):
            e[at(begin, j)] = (s[at(begin, j)] - mean) + height


@block
def project(e, s, blocks, starts, task, real, k, scale, entropic, a, b):
    """e = projection of all values; e, a and b are what `find_blocks` left there."""
    wide_vectors()
    if blocks == real:
        for i in range(real):
            e[i] = s[i] if task == SORT else weight(task, i, real, k)
        return
    known = kept(s, real, task, entropic)
    for j in range(blocks):
        begin, end = starts[j], starts[j + 1]
        if end == begin + 1:  # alone, a value has its weight, and a weight its value
            e[begin] = s[begin] if task == SORT else weight(task, begin, real, k)
        elif known:
            share = b[j] / a[j]
            for i in range(end - begin):
                e[at(begin, i)] *= share
        elif entropic:
            project_entropic(e, s, begin, end, task, real, k, scale)
        else:
            project_quadratic(e, s, begin, end, task, real, k, scale)


@block
def multiply_entropic(e, c, begin, end, task, whole, weights):
    """c = product of cotangents c with the Jacobian in a block.

    e holds exponentials, whose sum is `whole`; that of the weights is `weights`.
    """
    wide_vectors()
    size = end - begin
    if task == SORT:
        share = summed(c, begin, end) / whole
        for j in range(size):
            c[at(begin, j)] = share * e[at(begin, j)]
    else:
        total = 0.0
        for j in range(size):
            total += e[at(begin, j)] * c[at(begin, j)]
        mean, height = total / whole, weights / whole
        for j in range(size):
            c[at(begin, j)] = height * e[at(begin, j)] * (c[at(begin, j)] - mean)


@block
def multiply(e, c, s, blocks, starts, task, real, k, entropic, a, b):
    """c = product of cotangents c with the Jacobian; e, a and b are what `find_blocks` left."""
    wide_vectors()
    if blocks == real:
        for i in range(real if task != SORT else 0):
            c[i] = 0.0
        return
    known = kept(s, real, task, entropic)
    for i in range(blocks):
        begin, end = starts[i], starts[i + 1]
        if end == begin + 1:
            c[begin] = c[begin] if task == SORT else 0.0
        elif known:
            multiply_entropic(e, c, begin, end, task, a[i], b[i])
        elif entropic:
            whole = exponentials(e, s, begin, end)
            weights = weights_of(begin, end, task, real, k)
            multiply_entropic(e, c, begin, end, task, whole, weights)
        else:
            mean = summed(c, begin, end) / (end - begin)
            for j in range(end - begin):
                c[at(begin, j)] = mean if task == SORT else c[at(begin, j)] - mean


@kernel(cost=lambda values: 4 * values.size)
def isotonic(chunk, chunks, values, task, sign, k, scale, entropic, out):
    """Fill out, (N, n), with ranks, marks of the k largest, or sorts: scale is 1 / temperature.

    Ranks ascend where sign is 1, sorts where it is -1.
    """
    n = values.shape[1]
    words, spare = empty(n, np.uint64), empty(n, np.uint64)
    counts, starts = empty(COUNTS, np.uint32), empty(n + 1, np.int64)
    s, e, a, b = empty(n), empty(n), empty(n), empty(n)
    inner = 1.0 if task == SORT else scale
    for row in chunk_range(len(values), chunk, chunks):
        x, y = values[row], out[row]
        real = order(x, sign, s, words, spare, counts)
        top = sign * below_first(s, real, inner)
        blocks = find_blocks(e, s, real, task, k, scale, entropic, starts, a, b)
        project(e, s, blocks, starts, task, real, k, scale, entropic, a, b)
        if task == SORT:
            first = first_place(n, real, sign)
            for i in range(n if real < n else 0):
                y[i] = like(-np.inf, y)
            for i in range(real):
                y[first + i] = like(top + sign * e[i], y)
        else:
            for i in range(n if real < n else 0):
                y[i] = like(0, y)
            for i in range(real):
                y[words[i]] = like(e[i], y)


@kernel(cost=lambda values: 4 * values.size)
def isotonic_vjp(chunk, chunks, values, cotangent, task, sign, k, scale, entropic, grad):
    """grad = product of cotangents (N, n) with the Jacobian of `isotonic`."""
    n = values.shape[1]
    words, spare = empty(n, np.uint64), empty(n, np.uint64)
    counts, starts = empty(COUNTS, np.uint32), empty(n + 1, np.int64)
    s, e, a, b, c = empty(n), empty(n), empty(n), empty(n), empty(n)
    inner = 1.0 if task == SORT else scale
    outer = 1.0 if task == SORT else sign * scale
    for row in chunk_range(len(values), chunk, chunks):
        x, r, g = values[row], cotangent[row], grad[row]
        real = order(x, sign, s, words, spare, counts)
        below_first(s, real, inner)
        blocks = find_blocks(e, s, real, task, k, scale, entropic, starts, a, b)
        first = first_place(n, real, sign)
        for i in range(real):
            c[i] = r[first + i] if task == SORT else r[words[i]]
        multiply(e, c, s, blocks, starts, task, real, k, entropic, a, b)
        for i in range(n if real < n else 0):
            g[i] = like(0, g)
        for i in range(real):
            g[words[i]] = like(outer * c[i], g)
