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

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.order.sorting import COUNTS, RANK, SORT, TOP_K, first_place, order
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import exp, log

REACH = 600.0  # exponentials of differences up to it, and products with sums of weights, are normal


@block
def below_first(s, x, words, real, sign, scale):
    """s = sign (x - the first) scale, in the order of words."""
    first = np.float64(x[words[0]])
    for i in range(real):
        s[i] = sign * (np.float64(x[words[i]]) - first) * scale


@inline
def weight(task, i, real, k):
    """Return the weight at place i."""
    if task == TOP_K:
        return 1.0 if i < k else 0.0
    return np.float64(real - i)


@block
def pool(e, real, task, k, weighted, starts, sums, sizes):
    """Find the blocks of e by the ratio of its sum to the size; return their number.

    The size of a block is the number of its values, or the sum of their weights. sums and sizes are
    scratch. The last block but one is in registers: it is `held`.
    """
    count, begin, total, size = 0, 0, e[0], weight(task, 0, real, k) if weighted else 1.0
    for i in range(1, real):
        first, s, n, held = i, e[i], weight(task, i, real, k) if weighted else 1.0, True
        while held and total * n <= s * size:
            s += total
            n += size
            first = begin
            held = count > 0
            if held:
                count -= 1
                begin, total, size = starts[count], sums[count], sizes[count]
        if held:
            starts[count], sums[count], sizes[count] = begin, total, size
            count += 1
        begin, total, size = first, s, n
    starts[count] = begin
    starts[count + 1] = real
    return count + 1


@inline
def stays(a, b, q):
    """Return whether a > b exp(q); the exponential is seldom needed to tell."""
    if a <= b * (1.0 + q):  # exp(q) >= 1 + q
        return False
    if q < 0.0 and a * (1.0 - q) > b:  # exp(-q) >= 1 - q
        return True
    return a > b * exp(q)


@block
def pool_exponentials(s, real, task, k, scale, starts, ups, downs):
    """Find the blocks of the entropic regression; return their number.

    Sums of exponentials are relative to the first of a block: ups and downs are scratch for them.
    """
    sort = task == SORT
    count, begin, up, down = 0, 0, 1.0, 1.0 if sort else weight(task, 0, real, k)
    for i in range(1, real):
        first, u, d, held = i, 1.0, 1.0 if sort else weight(task, i, real, k), True
        while held:
            drop = s[first] - s[begin]
            lower = (begin - first) * scale if sort else drop
            if stays(up * d, u * down, lower - drop if sort else drop):
                break
            u = up + u * exp(lower)
            d = down + (d * exp(drop) if sort else d)
            first = begin
            held = count > 0
            if held:
                count -= 1
                begin, up, down = starts[count], ups[count], downs[count]
        if held:
            starts[count], ups[count], downs[count] = begin, up, down
            count += 1
        begin, up, down = first, u, d
    starts[count] = begin
    starts[count + 1] = real
    return count + 1


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


@block
def exponentials(e, s, begin, end):
    """e = exp(s - the first) in a block; return their sum."""
    wide_vectors()
    first = s[begin]
    for j in range(end - begin):
        e[at(begin, j)] = exp(s[at(begin, j)] - first)
    return summed(e, begin, end)


@block
def find_blocks(e, s, real, task, k, scale, entropic, starts, a, b):
    """Find the blocks of either regression; return their number. e, a and b are scratch."""
    if not entropic:
        differences(e, s, real, task, k, scale)
        return pool(e, real, task, k, False, starts, a, b)
    if task == SORT or s[0] - s[real - 1] > REACH:
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
def project(e, s, blocks, starts, task, real, k, scale, entropic):
    """e = projection of all values."""
    wide_vectors()
    for j in range(blocks):
        begin, end = starts[j], starts[j + 1]
        if end == begin + 1:  # alone, a value has its weight, and a weight its value
            e[begin] = s[begin] if task == SORT else weight(task, begin, real, k)
        elif entropic:
            project_entropic(e, s, begin, end, task, real, k, scale)
        else:
            project_quadratic(e, s, begin, end, task, real, k, scale)


@block
def multiply_entropic(e, c, s, begin, end, task, real, k):
    """c = product of cotangents c with the Jacobian in a block; e is scratch."""
    wide_vectors()
    size, whole = end - begin, exponentials(e, s, begin, end)
    if task == SORT:
        share = summed(c, begin, end) / whole
        for j in range(size):
            c[at(begin, j)] = share * e[at(begin, j)]
    else:
        total = 0.0
        for j in range(size):
            total += e[at(begin, j)] * c[at(begin, j)]
        mean, height = total / whole, weights_of(begin, end, task, real, k) / whole
        for j in range(size):
            c[at(begin, j)] = height * e[at(begin, j)] * (c[at(begin, j)] - mean)


@block
def multiply(e, c, s, blocks, starts, task, real, k, entropic):
    """c = product of cotangents c with the Jacobian; e is scratch."""
    wide_vectors()
    for i in range(blocks):
        begin, end = starts[i], starts[i + 1]
        if end == begin + 1:
            c[begin] = c[begin] if task == SORT else 0.0
        elif entropic:
            multiply_entropic(e, c, s, begin, end, task, real, k)
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
    words, spare = np.empty(n, np.uint64), np.empty(n, np.uint64)
    counts, starts = np.empty(COUNTS, np.uint32), np.empty(n + 1, np.int64)
    s, e, a, b = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    inner = 1.0 if task == SORT else scale
    for row in chunk_range(len(values), chunk, chunks):
        x, y = values[row], out[row]
        real = order(x, sign, words, spare, counts)
        below_first(s, x, words, real, sign, inner)
        blocks = find_blocks(e, s, real, task, k, scale, entropic, starts, a, b)
        project(e, s, blocks, starts, task, real, k, scale, entropic)
        if task == SORT:
            top, first = np.float64(x[words[0]]), first_place(n, real, sign)
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
    words, spare = np.empty(n, np.uint64), np.empty(n, np.uint64)
    counts, starts = np.empty(COUNTS, np.uint32), np.empty(n + 1, np.int64)
    s, e, a, b, c = np.empty(n), np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    inner = 1.0 if task == SORT else scale
    outer = 1.0 if task == SORT else sign * scale
    for row in chunk_range(len(values), chunk, chunks):
        x, r, g = values[row], cotangent[row], grad[row]
        real = order(x, sign, words, spare, counts)
        below_first(s, x, words, real, sign, inner)
        blocks = find_blocks(e, s, real, task, k, scale, entropic, starts, a, b)
        first = first_place(n, real, sign)
        for i in range(real):
            c[i] = r[first + i] if task == SORT else r[words[i]]
        multiply(e, c, s, blocks, starts, task, real, k, entropic)
        for i in range(n if real < n else 0):
            g[i] = like(0, g)
        for i in range(real):
            g[words[i]] = like(outer * c[i], g)
