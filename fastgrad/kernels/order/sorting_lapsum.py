"""LapSum: ranks, marks of the k largest and sorts by sums of distribution functions of Laplace.

With u the values over the temperature, from the largest down and negated, G(b) is the sum over j of
F(b - u_j), where F is the standard Laplace distribution function. The rank at place i is
m - G(u_i) + 1/2; marks are F(b - u_j) with b such that G(b) = k; sorted values are those b where
G(b) = i + 1/2. Sums of exp(-|u_i - u_j|) over all j on one side of i follow from those of its
neighbour: `behind` over the smaller u, `ahead` over the larger. Between two u, G(b) = w is a
quadratic equation in exp(b).

Oracle: tests/support/reference_order.py, `soft_rank`, `soft_sort` and `jacobian`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.order.sorting import COUNTS, RANK, SORT, first_place, order
from fastgrad.kernels.order.sorting_isotonic import below_first
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import exp, log
from fastgrad.kernels.tiles.memory import empty


@block
def sums(u, real, near, behind, ahead):
    """Set the sums on both sides of each u, and near[i] = exp(u_i - u_(i+1))."""
    wide_vectors()
    for i in range(real - 1):
        near[i] = exp(u[i] - u[i + 1])
    behind[0] = 0.0
    for i in range(real - 1):
        behind[i + 1] = near[i] * (1.0 + behind[i])
    ahead[real - 1] = 0.0
    for i in range(real - 2, -1, -1):
        ahead[i] = near[i] * (1.0 + ahead[i + 1])


@inline
def reached(i, behind, ahead):
    """Return G(u_i)."""
    return i + 0.5 + 0.5 * (ahead[i] - behind[i])


@inline
def between(w, at, u, real, near, behind, ahead):
    """Return from where, in which direction, and exp(how far) the b with G(b) = w is.

    0 < w < real, and `at` of the u are below b.
    """
    off = w - at
    link = near[at - 1] if 0 < at < real else 0.0
    right = 1.0 + ahead[at] if at < real else 1.0
    left = 1.0 + behind[at - 1] if at > 0 else 1.0
    root = np.sqrt(off * off + right * left * link)
    if off > 0.0:
        return u[at], 1.0, (root + off) / right
    if off < 0.0:
        return u[at - 1], -1.0, (root - off) / left
    return 0.5 * (u[at - 1] + u[at]), 0.5, left / right


@block
def solve_all(b, signs, steps, u, real, near, behind, ahead):
    """b[i] = where G is i + 1/2; signs and steps are scratch."""
    wide_vectors()
    at = 0
    for i in range(real):
        w = i + 0.5
        while at < real and reached(at, behind, ahead) < w:
            at += 1
        b[i], signs[i], steps[i] = between(w, at, u, real, near, behind, ahead)
    for i in range(real):
        b[i] += signs[i] * log(steps[i])


@block
def level(k, u, real, near, behind, ahead):
    """Return b with G(b) = k; infinity if k is all of them."""
    if k >= real:
        return np.inf
    low, high = 0, real  # of the places that G has not reached k at
    while low < high:
        middle = (low + high) // 2
        if reached(middle, behind, ahead) < k:
            low = middle + 1
        else:
            high = middle
    start, sign, step = between(np.float64(k), low, u, real, near, behind, ahead)
    return start + sign * log(step)


@block
def densities(f, u, real, b):
    """f = exp(-|b - u|)."""
    wide_vectors()
    for i in range(real):
        f[i] = exp(-abs(b - u[i]))


@block
def multiply_ranks(c, u, real, near, behind, ahead):
    """c = product of cotangents of ranks with their derivatives by -u."""
    before = 0.0
    for i in range(real):  # behind becomes what is to be subtracted, with its part of the sum
        own = c[i]
        behind[i] = own * (behind[i] + ahead[i]) - before
        if i + 1 < real:
            before = near[i] * (own + before)
    after = 0.0
    for i in range(real - 1, -1, -1):
        own = c[i]
        c[i] = 0.5 * (behind[i] - after)
        if i > 0:
            after = near[i - 1] * (own + after)


@block
def multiply_marks(c, f, real):
    """c = product of cotangents of marks with their derivatives by -u; f is twice the densities."""
    total, mixed = 0.0, 0.0
    for i in range(real):
        total += f[i]
        mixed += f[i] * c[i]
    mean = mixed / total if total > 0.0 else 0.0
    for i in range(real):
        c[i] = 0.5 * f[i] * (c[i] - mean)


@block
def spread(g, b, u, real, behind, ahead):
    """Divide g by the sums of exp(-|b - u|) over all u."""
    at = 0
    for i in range(real):
        while at < real and u[at] < b[i]:
            at += 1
        total = 0.0
        if at > 0:
            total += (1.0 + behind[at - 1]) * exp(u[at - 1] - b[i])
        if at < real:
            total += (1.0 + ahead[at]) * exp(b[i] - u[at])
        g[i] /= total


@block
def multiply_sorts(c, g, b, u, real, near):
    """c = sums of g exp(-|b - u|) over all b: a product with the derivatives of b by u."""
    total, i = 0.0, 0
    for j in range(real):
        if j > 0:
            total *= near[j - 1]
        while i < real and b[i] <= u[j]:
            total += g[i] * exp(b[i] - u[j])
            i += 1
        c[j] = total
    total, i = 0.0, real - 1
    for j in range(real - 1, -1, -1):
        if j + 1 < real:
            total *= near[j]
        while i >= 0 and b[i] > u[j]:
            total += g[i] * exp(u[j] - b[i])
            i -= 1
        c[j] += total


@kernel(cost=lambda values: 4 * values.size)
def lapsum(chunk, chunks, values, task, sign, k, scale, out):
    """Fill out, (N, n), with ranks, marks of the k largest, or sorts: scale is 1 / temperature.

    Ranks ascend where sign is 1, sorts where it is -1.
    """
    n = values.shape[1]
    words, spare = empty(n, np.uint64), empty(n, np.uint64)
    counts, arrays = empty(COUNTS, np.uint32), empty((7, n))
    u, e, near, behind, ahead = arrays[0], arrays[1], arrays[2], arrays[3], arrays[4]
    signs, steps = arrays[5], arrays[6]
    for row in chunk_range(len(values), chunk, chunks):
        x, y = values[row], out[row]
        real = order(x, sign, u, words, spare, counts)
        top = sign * below_first(u, real, -scale)
        sums(u, real, near, behind, ahead)
        if task == SORT:
            first = first_place(n, real, sign)
            solve_all(e, signs, steps, u, real, near, behind, ahead)
            for i in range(n if real < n else 0):
                y[i] = like(-np.inf, y)
            for i in range(real):
                y[first + i] = like(top - sign * (e[i] / scale), y)
            continue
        if task == RANK:
            for i in range(real):
                e[i] = real + 0.5 - reached(i, behind, ahead)
        else:
            b = level(k, u, real, near, behind, ahead)
            densities(e, u, real, b)
            for i in range(real):
                e[i] = 0.5 * e[i] if u[i] > b else 1.0 - 0.5 * e[i]
        for i in range(n if real < n else 0):
            y[i] = like(0, y)
        for i in range(real):
            y[words[i]] = like(e[i], y)


@kernel(cost=lambda values: 4 * values.size)
def lapsum_vjp(chunk, chunks, values, cotangent, task, sign, k, scale, grad):
    """grad = product of cotangents (N, n) with the Jacobian of `lapsum`."""
    n = values.shape[1]
    words, spare = empty(n, np.uint64), empty(n, np.uint64)
    counts, arrays = empty(COUNTS, np.uint32), empty((9, n))
    u, e, near, behind, ahead = arrays[0], arrays[1], arrays[2], arrays[3], arrays[4]
    c, b, signs, steps = arrays[5], arrays[6], arrays[7], arrays[8]
    outer = 1.0 if task == SORT else sign * scale
    for row in chunk_range(len(values), chunk, chunks):
        x, r, g = values[row], cotangent[row], grad[row]
        real = order(x, sign, u, words, spare, counts)
        below_first(u, real, -scale)
        sums(u, real, near, behind, ahead)
        first = first_place(n, real, sign)
        for i in range(real):
            c[i] = r[first + i] if task == SORT else r[words[i]]
        if task == SORT:
            solve_all(b, signs, steps, u, real, near, behind, ahead)
            for i in range(real):
                e[i] = c[i]
            spread(e, b, u, real, behind, ahead)
            multiply_sorts(c, e, b, u, real, near)
        elif task == RANK:
            multiply_ranks(c, u, real, near, behind, ahead)
        else:
            densities(e, u, real, level(k, u, real, near, behind, ahead))
            multiply_marks(c, e, real)
        for i in range(n if real < n else 0):
            g[i] = like(0, g)
        for i in range(real):
            g[words[i]] = like(outer * c[i], g)
