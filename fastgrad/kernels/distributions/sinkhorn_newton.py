"""Newton's method on the potentials of a Sinkhorn problem, and derivatives of its solution.

With rows normalised, P = exp(x - f(g) - g), the potentials g minimise
phi(g) = sum f(g) + sum g, whose gradient is 1 - c, c the column sums, and whose Hessian is the
Laplacian of a graph of the columns with weights L = P^T diag(1 / r) P, r the row sums. Elimination
on its weights alone adds and never subtracts (Grassmann, Taksar and Heyman, 1985), so nearly
separate parts, as at low temperatures, cost no accuracy. Slack columns, g = 0 and c < 1, do not
move: they are one ground to which the others are tied.

Oracle: tests/distributions/test_sinkhorn.py, `iterations`, and `differences` for derivatives.
"""

from typing import Any, NamedTuple

import numpy as np

from fastgrad.kernels.compiler.jit import block, shared, wide_vectors
from fastgrad.kernels.distributions.sinkhorn import add_products, log_sums, padded, scaled
from fastgrad.kernels.simd.intrinsics import fma
from fastgrad.kernels.tiles.elementwise import assign, fill, subtract, sum_of
from fastgrad.kernels.tiles.memory import empty, flattened, zeros

SEPARATE = 1e-15  # weight below which a part is its own: rounding would decide its potential
COOLING = 3.0  # ratio of one temperature to the next
ROUGH = 0.1  # error at which the temperature is lowered
SPREAD = 8.0  # of logits at the first temperature


class System(NamedTuple):
    """Weights of the graph with what ties its nodes to the ground, right side and solution."""

    weights: Any
    ground: Any
    side: Any
    step: Any
    free: Any


@block
def system(m):
    """Return the arrays for problems of m columns."""
    a, free = zeros((3, padded(m))), empty(padded(m), np.bool_)
    fill(free, 1)
    return System(zeros((m, padded(m))), a[0], a[1], a[2], free)


@shared
def add_outer(weights, p, inverse):
    """Add to the weights p[i] p[i]^T inverse[i], for each row i."""
    wide_vectors()
    n, whole = p.shape[0], p.shape[0] // 4 * 4
    for j in range(weights.shape[0]):
        row = weights[j]
        for i in range(0, whole, 4):
            y0, y1 = p[i, j] * inverse[i], p[i + 1, j] * inverse[i + 1]
            y2, y3 = p[i + 2, j] * inverse[i + 2], p[i + 3, j] * inverse[i + 3]
            a0, a1, a2, a3 = p[i], p[i + 1], p[i + 2], p[i + 3]
            for c in range(row.size):
                row[c] = fma(y3, a3[c], fma(y2, a2[c], fma(y1, a1[c], fma(y0, a0[c], row[c]))))
        for i in range(whole, n):
            y = p[i, j] * inverse[i]
            for c in range(row.size):
                row[c] = fma(y, p[i, c], row[c])


@block
def connect(s, p, r):
    """Set the graph of p, (n, wide), whose row sums are r: the slack columns of p become 0."""
    n, m = p.shape[0], s.weights.shape[0]
    inverse, slack = empty(n), zeros(n)
    for i in range(n):
        inverse[i] = 1.0 / r[i]
    fill(flattened(s.weights), 0)
    fill(s.ground, 0)
    for j in range(m):
        if not s.free[j]:
            for i in range(n):
                slack[i] += p[i, j]
                p[i, j] = 0.0
    for i in range(n):
        if slack[i] > 0.0:
            for j in range(m):
                s.ground[j] += p[i, j] * slack[i] * inverse[i]
    add_outer(s.weights, p, inverse)


@block
def eliminate_from(row, pivot_row, factor):
    """row += factor pivot_row."""
    wide_vectors()
    for c in range(row.size):
        row[c] = fma(factor, pivot_row[c], row[c])


@block
def solve(s):
    """Solve for the step: its Laplacian is the right side, up to a constant for each part."""
    m = s.weights.shape[0]
    pivots = zeros(m)
    for k in range(m):
        pivot = s.ground[k]
        for j in range(k + 1, m):
            pivot += s.weights[k, j]
        if pivot > SEPARATE and s.free[k]:
            pivots[k] = pivot
            rest = s.weights[k, k + 1 :]
            for j in range(k + 1, m):
                factor = s.weights[k, j] / pivot
                if factor > 0.0:
                    eliminate_from(s.weights[j, k + 1 :], rest, factor)
                    s.ground[j] += factor * s.ground[k]
                    s.side[j] += factor * s.side[k]
    for k in range(m - 1, -1, -1):
        total = s.side[k]
        for j in range(k + 1, m):
            total += s.weights[k, j] * s.step[j]
        s.step[k] = total / pivots[k] if pivots[k] > 0.0 else 0.0


@block
def evaluate(p):
    """Set f(g), K = exp(x - f - g) and its column sums; return phi(g)."""
    log_sums(p.f, p.xt, p.g, p.u)
    scaled(p.k, p.x, p.f, p.g)
    fill(p.r, 1)
    add_products(p.c, p.k, p.r[: p.x.shape[0]])
    return sum_of(p.f[: p.x.shape[0]]) + sum_of(p.g[: p.xt.shape[0]])


@block
def residual(s, p, clip):
    """Set the right side c - 1, 0 in slack columns; return its largest size."""
    worst = 0.0
    for j in range(p.xt.shape[0]):
        s.free[j] = not clip or p.g[j] > 0.0 or p.c[j] > 1.0
        s.side[j] = p.c[j] - 1.0 if s.free[j] else 0.0
        worst = max(worst, abs(s.side[j]))
    return worst


@shared
def descend(p, s, tolerance, most, clip):
    """Take Newton steps until the columns are within the tolerance; return how many.

    A step is halved until phi falls by a fair part of what its slope says. One that does not halve
    the error is followed by Sinkhorn's iteration, which always leads down.
    """
    m = p.xt.shape[0]
    value, previous, count = evaluate(p), np.inf, 0
    old, side = zeros(m), zeros(m)
    while True:
        worst = residual(s, p, clip)
        if worst <= tolerance or count >= most or not worst < np.inf:
            return count
        if worst > 0.5 * previous:
            log_sums(p.g, p.x, p.f, p.v)
            if clip:
                for j in range(m):
                    p.g[j] = max(p.g[j], 0.0)
            value = evaluate(p)
            worst = residual(s, p, clip)
        previous = worst
        assign(old, p.g)
        assign(side, s.side)
        connect(s, p.k, p.r)
        solve(s)
        if not clip:
            subtract(s.step[:m], s.step[:m], sum_of(s.step[:m]) / m)
        size = 1.0
        while True:
            fall = 0.0
            for j in range(m):
                g = old[j] + size * s.step[j]
                p.g[j] = max(g, 0.0) if clip else g
                fall += side[j] * (p.g[j] - old[j])
            trial = evaluate(p)
            if trial <= value - 1e-4 * fall + 1e-12 * abs(value):
                value = trial
                break
            size *= 0.5
            if size < 1e-3:
                assign(p.g[:m], old)
                value = evaluate(p)
                break
        count += 1


@block
def divide(x, number):
    """x /= number."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] /= number


@block
def multiply(x, number):
    """x *= number."""
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            x[i, j] *= number


@shared
def anneal(p, s, tolerance, most, clip):
    """Solve at falling temperatures, down to that of x; return the Newton steps taken."""
    n, m = p.x.shape[0], p.xt.shape[0]
    low, high = np.inf, -np.inf
    for i in range(n):
        for j in range(m):
            if p.x[i, j] > -np.inf:
                low, high = min(low, p.x[i, j]), max(high, p.x[i, j])
    warmth, count = max(high / SPREAD - low / SPREAD, 1.0), 0  # their difference may overflow
    divide(p.x, warmth)
    divide(p.xt, warmth)
    fill(p.g, 0)
    while True:
        last = warmth <= 1.0 or not warmth < np.inf  # of which no part is less
        count += descend(p, s, tolerance if last else ROUGH, most - count, clip)
        if last:
            return count
        ratio = min(COOLING, warmth)
        warmth = warmth / ratio if warmth > COOLING else 1.0
        for j in range(p.g.size):
            p.g[j] *= ratio
        multiply(p.x, ratio)
        multiply(p.xt, ratio)


@block
def differentiate(out, p, s, w, clip):
    """out = the product of w with the derivative of K by x, where K solves the problem.

    Its gradient is K (w - a_i - b_j), with a and b such that the rows and the columns, but for
    slack ones, sum to 0.
    """
    n, m = w.shape
    mean = zeros(n)
    for i in range(n):
        p.r[i] = 0.0
        for j in range(m):
            p.r[i] += p.k[i, j]
            mean[i] += p.k[i, j] * w[i, j]
        mean[i] /= p.r[i]
    fill(s.side, 0)
    for j in range(m):
        s.free[j] = not clip or p.g[j] > 0.0
    for i in range(n):
        for j in range(m):
            p.x[i, j] = p.k[i, j] * (w[i, j] - mean[i])
            s.side[j] += p.x[i, j] if s.free[j] else 0.0
    fill(flattened(p.xt), 0)
    whole = p.k.copy()
    connect(s, p.k, p.r)
    solve(s)
    for i in range(n):
        shift = 0.0
        for j in range(m):
            shift += whole[i, j] * s.step[j]
        shift /= p.r[i]
        for j in range(m):
            out[i, j] = p.x[i, j] + whole[i, j] * (shift - s.step[j])
