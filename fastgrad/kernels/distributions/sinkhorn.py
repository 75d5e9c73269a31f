"""Sinkhorn's iteration on one problem: on scalings while they stay in range, else on logarithms.

A problem x = log_alpha / temperature, (n, m) with n <= m, has potentials f and g such that
P = exp(x - f - g) has rows of sum 1, and columns of sum 1 or, where n < m, at most 1 with g >= 0
(`clip`). An iteration sets f, then g, to the log of sums of exponentials over the other axis. While
they stay near the potentials absorbed in K = exp(x - f - g), they change by factors u and v, and an
iteration is two products of a matrix and a vector.

x and K are kept both ways round, so that a loop over either axis vectorises, in rows of whole
vectors: numbers beyond the problem are finite, and never reach it.

Oracle: tests/distributions/test_sinkhorn.py, `iterations`.
"""

from typing import Any, NamedTuple

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, shared, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import exp, exp_normal, log
from fastgrad.kernels.simd.vectors import LANES
from fastgrad.kernels.tiles.elementwise import assign, fill
from fastgrad.kernels.tiles.memory import empty, zeros

REACH = 5e8  # of scalings: what exp_normal flushes to 0 stays negligible times two of them


class Problem(NamedTuple):
    """Arrays of one problem: `wide` has (n, m) matrices, `high` their transposes.

    u and r go with f, v and c with g; top is the bound exp(g) of v where g >= 0.
    """

    x: Any
    xt: Any
    k: Any
    kt: Any
    f: Any
    u: Any
    r: Any
    g: Any
    v: Any
    c: Any
    top: Any


@inline
def padded(n):
    """Return n rounded up to whole vectors."""
    return (n + LANES - 1) // LANES * LANES


@block
def problem(n, m, real):
    """Return the arrays for problems of n rows and m columns."""
    a, at = zeros((2, n, padded(m)), real), zeros((2, m, padded(n)), real)
    b, bt = zeros((3, padded(n)), real), zeros((4, padded(m)), real)
    return Problem(a[0], at[0], a[1], at[1], b[0], b[1], b[2], bt[0], bt[1], bt[2], bt[3])


@block
def load(p, y, scale):
    """x = y scale, and its transpose."""
    for i in range(y.shape[0]):
        for j in range(y.shape[1]):
            p.x[i, j] = like(y[i, j], p.x) * scale
            p.xt[j, i] = p.x[i, j]


@shared
def add_products(out, a, y):
    """out = sum over i of y[i] a[i], four rows at a time."""
    wide_vectors()
    n, whole = a.shape[0], a.shape[0] // 4 * 4
    for c in range(out.size):
        out[c] = like(0, out)
    for i in range(0, whole, 4):
        y0, y1, y2, y3 = y[i], y[i + 1], y[i + 2], y[i + 3]
        a0, a1, a2, a3 = a[i], a[i + 1], a[i + 2], a[i + 3]
        for c in range(out.size):
            out[c] = fma(y3, a3[c], fma(y2, a2[c], fma(y1, a1[c], fma(y0, a0[c], out[c]))))
    for i in range(whole, n):
        for c in range(out.size):
            out[c] = fma(y[i], a[i, c], out[c])


@shared
def log_sums(out, a, shift, best):
    """out = log of the sum over i of exp(a[i] - shift[i])."""
    wide_vectors()
    for c in range(out.size):
        best[c] = a[0, c] - shift[0]
        out[c] = like(0, out)
    for i in range(a.shape[0]):
        for c in range(out.size):
            t = a[i, c] - shift[i]
            best[c] = where(t > best[c], t, best[c])
    for c in range(out.size):  # nothing but -inf has the sum 0
        best[c] = where(best[c] > like(-np.inf, out), best[c], like(0, out))
    for i in range(a.shape[0]):
        for c in range(out.size):
            out[c] += exp_normal(a[i, c] - shift[i] - best[c])
    for c in range(out.size):
        out[c] = best[c] + log(out[c])


@shared
def scaled(out, a, down, along):
    """out = exp(a - (down + along)): the same bits for the transposes."""
    wide_vectors()
    for i in range(a.shape[0]):
        for c in range(along.size):
            out[i, c] = exp_normal(a[i, c] - (down[i] + along[c]))


@block
def misses(u, r, n, tolerance):
    """Return how many of the first n sums u r are off 1 by more than the tolerance."""
    wide_vectors()
    count, one = np.int32(0), like(1, u)
    for i in range(n):
        count += where(abs(u[i] * r[i] - one) <= tolerance, np.int32(0), np.int32(1))
    return count


@block
def beyond(u, n):
    """Return how many of the first n scalings are out of reach."""
    wide_vectors()
    count, high, low = np.int32(0), like(REACH, u), like(1 / REACH, u)
    for i in range(n):
        count += where(u[i] < high, np.int32(0), np.int32(1))
        count += where(u[i] > low, np.int32(0), np.int32(1))
    return count


@block
def invert(u, r, top):
    """u = 1 / r, at most top."""
    wide_vectors()
    one = like(1, u)
    for i in range(u.size):
        t = one / r[i]
        u[i] = where(t < top[i], t, top[i])


@block
def move(g, v, top):
    """g -= log(v), the potentials of scalings v; exactly 0 where these are at their bound."""
    wide_vectors()
    for j in range(g.size):
        g[j] = where(v[j] < top[j], g[j] - log(v[j]), like(0, g))


@block
def absorb(p, clip):
    """Iterate once on logarithms, and start again from there: u = 1."""
    wide_vectors()
    move(p.g, p.v, p.top)
    log_sums(p.f, p.xt, p.g, p.u)
    log_sums(p.g, p.x, p.f, p.v)
    fill(p.top, np.inf)
    fill(p.u, 1)
    if clip:
        for j in range(p.g.size):
            p.g[j] = where(p.g[j] > like(0, p.g), p.g[j], like(0, p.g))
        for j in range(p.g.size):
            p.top[j] = exp(p.g[j])
    scaled(p.k, p.x, p.f, p.g)
    scaled(p.kt, p.xt, p.g, p.f)


@block
def iterate(p, tolerance, most, clip, past_f, past_g):
    """Iterate until all rows sum to 1 within the tolerance; return how often, and whether they do.

    The potentials after iteration t are left in past_f[t] and past_g[t], if these have rows.
    """
    n, m = p.x.shape[0], p.xt.shape[0]
    fill(p.g, 0)
    fill(p.v, 1)
    unbounded = empty(p.u.size, p.u.dtype)
    fill(unbounded, np.inf)
    near, count = False, 0
    while True:
        if near:
            add_products(p.r, p.kt, p.v)
            if misses(p.u, p.r, n, tolerance) == 0:
                return count, True
        if count == most:
            return count, False
        if near:
            invert(p.u, p.r, unbounded)
        else:
            absorb(p, clip)
        add_products(p.c, p.k, p.u)
        invert(p.v, p.c, p.top)
        near = beyond(p.u, n) + beyond(p.v, m) == 0
        if past_f.shape[0] > 0:
            assign(past_f[count], p.f)
            assign(past_g[count], p.g)
            move(past_f[count], p.u, unbounded)
            move(past_g[count], p.v, p.top)
        count += 1


@block
def store(out, p):
    """out = u K v."""
    wide_vectors()
    for i in range(out.shape[0]):
        row, k = out[i], p.k[i]
        for j in range(row.size):
            row[j] = p.u[i] * (k[j] * p.v[j])


@block
def error(a, clip):
    """Return by how much the sums of rows and columns of a are off 1, columns in excess only.

    It is infinite if a is not finite, as where logits overflowed.
    """
    worst, whole, columns = 0.0, 0.0, zeros(a.shape[1])
    for i in range(a.shape[0]):
        total = 0.0
        for j in range(a.shape[1]):
            total += a[i, j]
            columns[j] += a[i, j]
        worst, whole = max(worst, abs(total - 1.0)), whole + total
    for j in range(a.shape[1]):
        off = columns[j] - 1.0
        worst = max(worst, off if clip else abs(off))
    return worst if abs(whole) < np.inf else np.inf
