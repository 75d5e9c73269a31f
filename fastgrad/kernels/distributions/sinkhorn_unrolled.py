"""Backwards through Sinkhorn's iterations, from the potentials that each of them left.

Oracle: tests/distributions/test_sinkhorn.py, `differences`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, wide_vectors
from fastgrad.kernels.distributions import sinkhorn
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import exp
from fastgrad.kernels.tiles.elementwise import assign


@block
def add_outer(a, y, z):
    """a += y z^T."""
    wide_vectors()
    for i in range(a.shape[0]):
        row = a[i]
        for j in range(row.size):
            row[j] += y[i] * z[j]


@block
def add_hadamard(total, a, k):
    """total += a k, and a = 0."""
    wide_vectors()
    for i in range(total.shape[0]):
        for j in range(total.shape[1]):
            total[i, j] += a[i, j] * k[i, j]
    a[:] = like(0, a)


@block
def set_scalings(u, f, target):
    """u = exp(f - target)."""
    wide_vectors()
    for i in range(u.size):
        u[i] = exp(f[i] - target[i])


@block
def aim(p, f, g, a, total):
    """Set u and v such that u K v has the potentials f and g: where out of reach, K as well."""
    set_scalings(p.u, p.f, f)
    set_scalings(p.v, p.g, g)
    if sinkhorn.beyond(p.u, p.x.shape[0]) + sinkhorn.beyond(p.v, p.xt.shape[0]) > 0:
        add_hadamard(total, a, p.k)
        assign(p.f, f)
        assign(p.g, g)
        p.u[:], p.v[:] = like(1, p.u), like(1, p.v)
        sinkhorn.scaled(p.k, p.x, p.f, p.g)
        sinkhorn.scaled(p.kt, p.xt, p.g, p.f)


@block
def unroll(p, w, past_f, past_g, count, clip, a, total):
    """total = product of w with the derivative, by x, of the matrix after `count` iterations.

    Every half of an iteration adds K a to it, where a has rank one: u y^T or z v^T.
    """
    n, m = w.shape
    start, zero = np.zeros_like(p.g), like(0, a)
    row, column = np.zeros_like(p.f), np.zeros_like(p.g)  # cotangents of f and g
    aim(p, past_f[count - 1], past_g[count - 1], a, total)
    for i in range(n):
        for j in range(m):
            t = p.u[i] * p.k[i, j] * p.v[j] * w[i, j]
            total[i, j] = t
            row[i] -= t
            column[j] -= t
    a[:] = zero
    for t in range(count - 1, -1, -1):
        aim(p, past_f[t], past_g[t], a, total)
        for j in range(m):
            column[j] = zero if clip and past_g[t, j] <= zero else column[j] * p.v[j]
        sinkhorn.add_products(p.r, p.kt, column)
        for i in range(n):
            row[i] -= p.u[i] * p.r[i]
        add_outer(a, p.u, column)
        aim(p, past_f[t], past_g[t - 1] if t else start, a, total)
        for i in range(n):
            row[i] *= p.u[i]
        sinkhorn.add_products(p.c, p.k, row)
        add_outer(a, row, p.v)
        for j in range(m):
            column[j] = -(p.v[j] * p.c[j])
        row[:] = zero
    add_hadamard(total, a, p.k)
