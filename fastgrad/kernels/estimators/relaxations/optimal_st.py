"""Flows between categories, and their potentials: the products of `OptimalST`, in float64.

Oracle: tests/estimators/relaxations/test_optimal_st.py, `by_least_squares`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.tiles.memory import empty


@block
def draw_from_others(drawn, flow, p, slope, outcome):
    """flow += what an outcome draws from each category, whose sum leaves it."""
    wide_vectors()
    own, total = p[outcome], 0.0
    for k in range(p.size):
        both = p[k] + own
        drawn[k] = p[k] / (both if both > 0.0 else 1.0) * np.float64(slope[k])
    drawn[outcome] = 0.0
    for k in range(p.size):
        flow[k] += drawn[k]
        total += drawn[k]
    flow[outcome] -= total


@kernel(cost=lambda w: 4 * w.size)
def add(chunk, chunks, p, z, w, direct, flow):
    """Add gradients w, (S, N, K), at outcomes z, (S, N), to the sums of both, (N, K)."""
    samples, n, k = w.shape
    drawn = empty(k)
    for row in chunk_range(n, chunk, chunks):
        for s in range(samples):
            outcome = z[s, row]
            draw_from_others(drawn, flow[row], p[row], w[s, row], outcome)
            direct[row, outcome] += np.float64(w[s, row, outcome])


@block
def laplacian(a, r, p):
    """Fill the upper half of a with the Laplacian scaled by the roots r of p, plus r r^T.

    Conductances are p_i p_j / (p_i + p_j). Where p is 0 it is that of the identity.
    """
    wide_vectors()
    for i in range(p.size):
        own = p[i]
        if own == 0.0:
            a[i] = 0.0
            a[i, i] = 1.0
            continue
        for j in range(p.size):
            a[i, j] = r[i] * r[j] - r[i] * r[j] / (own + p[j])
        total = 0.0
        for j in range(p.size):
            total += 0.0 if j == i else p[j] / (own + p[j])
        a[i, i] = total + own


@block
def solve(a, x):
    """x = the solution of a x = x, by elimination; of a, which is positive, the upper half."""
    wide_vectors()
    n = x.size
    for k in range(n):
        for i in range(k + 1, n):
            factor = a[k, i] / a[k, k]
            x[i] -= factor * x[k]
            for j in range(i, n):
                a[i, j] -= factor * a[k, j]
    for k in range(n - 1, -1, -1):
        total = x[k]
        for j in range(k + 1, n):
            total -= a[k, j] * x[j]
        x[k] = total / a[k, k]


@kernel(cost=lambda p: p.size * p.shape[1] * (2 + p.shape[1] // 8))
def product(chunk, chunks, p, direct, flow, out):
    """out = J(p) (direct / p + the potential of the flow) / 2, all (N, K)."""
    n, k = p.shape
    a, r, x = empty((k, k)), empty(k), empty(k)
    for row in chunk_range(n, chunk, chunks):
        for i in range(k):
            r[i] = np.sqrt(p[row, i])
            x[i] = flow[row, i] / r[i] if p[row, i] > 0.0 else 0.0
        laplacian(a, r, p[row])
        solve(a, x)
        total = 0.0
        for i in range(k):
            x[i] = direct[row, i] + r[i] * x[i]
            total += x[i]
        for i in range(k):
            out[row, i] = (x[i] - p[row, i] * total) / 2
