"""Entropic transport between masses that are given or only aimed at, and its derivatives.

A problem x = scores / temperature, (n, m), has masses a of rows and b of columns, and its plan is
P = exp(x - f - g). Row sums r that differ from a cost 1 / d times KL(r, a), d being the temperature
by the penalty, and 0 where r is to be a; likewise columns, with e for d. At the optimum

    f = (log sum over j of exp(x - g) - log a) / (1 + d),    r = a exp(d f),

and likewise g. An iteration sets f, then g, and then adds to f and takes from g what balances the
sums of a exp(d f) and of b exp(e g), without which a constant would take 1 / (d + e) iterations to
find its level (Sejourne, Vialard and Peyre 2022). While f and g stay near those absorbed in
K = exp(x - f - g), a half of an iteration is a product of a matrix and a vector, and a logarithm
and an exponential for each row: see `sinkhorn`, whose arrays these are.

Derivatives are those of the equations above. With weights L = P^T diag(1 / (r (1 + d))) P between
columns, each tied to the ground by c (e + d / (1 + d)), c the column sums, they are one system that
`sinkhorn_newton` solves without subtractions.

Rows and columns of no mass, log a = -inf, are left out, so that problems of different sizes can
share a batch.

Oracle: tests/distributions/test_transport.py, `iterations`; their differences for derivatives.
"""

from typing import Any, NamedTuple

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.distributions import sinkhorn, sinkhorn_newton
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import exp, log
from fastgrad.kernels.tiles.elementwise import assign, sum_of
from fastgrad.kernels.tiles.memory import empty, zeros

LEAST = 1e-30  # of sums whose logarithm is taken: below it only logarithms are added


class Side(NamedTuple):
    """What goes with the rows, or the columns, of a problem: padded arrays.

    log_mass is log a; potential is f, and aim is a exp(d f).
    """

    log_mass: Any
    potential: Any
    aim: Any


@block
def side(n, real):
    """Return the arrays for n rows or columns."""
    a = zeros((3, sinkhorn.padded(n)), real)
    return Side(a[0], a[1], a[2])


@block
def places(log_mass, found):
    """Fill `found` with the places of masses; return how many there are."""
    count = 0
    for i in range(log_mass.size):
        if log_mass[i] > -np.inf:
            found[count] = i
            count += 1
    return count


@block
def load(p, rows, columns, scores, scale, log_rows, log_columns, start, at_row, at_column):
    """Load what has mass of one problem."""
    for i in range(p.x.shape[0]):
        line = scores[at_row[i]]
        rows.log_mass[i] = log_rows[at_row[i]]
        for j in range(p.xt.shape[0]):
            p.x[i, j] = line[at_column[j]] * scale
            p.xt[j, i] = p.x[i, j]
    for j in range(p.xt.shape[0]):
        columns.log_mass[j] = log_columns[at_column[j]]
        columns.potential[j] = start[at_column[j]] * scale


@block
def relax(potential, log_mass, damping):
    """f = (f - log a) damping, f being the log of a sum of exponentials."""
    wide_vectors()
    for i in range(potential.size):
        potential[i] = (potential[i] - log_mass[i]) * damping


@block
def rescale(u, potential, total, absorbed, log_mass, damping):
    """Set f = (log of the total - log a) damping, and u, which scales what is absorbed to it."""
    wide_vectors()
    for i in range(u.size):
        f = (log(total[i]) + absorbed[i] - log_mass[i]) * damping
        potential[i] = f
        u[i] = exp(absorbed[i] - f)


@block
def set_aims(side, size, rate):
    """Set a exp(d f); return the sum of the first `size`."""
    wide_vectors()
    for i in range(side.aim.size):
        side.aim[i] = exp(side.log_mass[i] + rate * side.potential[i])
    total = 0.0
    for i in range(size):
        total += side.aim[i]
    return total


@block
def log_total(side, size, rate):
    """Return the log of the sum of the first `size` of a exp(d f)."""
    top, total = like(-np.inf, side.aim), 0.0
    for i in range(size):
        side.aim[i] = side.log_mass[i] + rate * side.potential[i]
        top = side.aim[i] if side.aim[i] > top else top
    for i in range(size):
        total += exp(side.aim[i] - top)
    return top + log(like(total, side.aim))


@block
def level(rows, columns, n, m, rates):
    """Return what is to be added to f and taken from g: 0 where all masses are given."""
    if rates[0] + rates[1] > like(0, rates):
        gap = log_total(columns, m, rates[1]) - log_total(rows, n, rates[0])
        return gap / (rates[0] + rates[1])
    return like(0, rates)


@block
def add_constant(x, constant):
    """x += constant."""
    wide_vectors()
    for i in range(x.size):
        x[i] += constant


@block
def times(x, factor):
    """x *= factor."""
    wide_vectors()
    for i in range(x.size):
        x[i] *= factor


@block
def absorb(p, rows, columns, damping, rates):
    """Iterate once on logarithms, and start again from there: u = 1. Return the shift."""
    sinkhorn.log_sums(rows.potential, p.xt, columns.potential, p.u)
    relax(rows.potential, rows.log_mass, damping[0])
    sinkhorn.log_sums(columns.potential, p.x, rows.potential, p.v)
    relax(columns.potential, columns.log_mass, damping[1])
    shift = level(rows, columns, p.x.shape[0], p.xt.shape[0], rates)
    add_constant(rows.potential, shift)
    add_constant(columns.potential, -shift)
    assign(p.f, rows.potential)
    assign(p.g, columns.potential)
    p.u[:], p.v[:] = like(1, p.u), like(1, p.v)
    sinkhorn.scaled(p.k, p.x, p.f, p.g)
    sinkhorn.scaled(p.kt, p.xt, p.g, p.f)
    return shift


@block
def step(p, rows, columns, damping, rates):
    """Iterate once on scalings, from row sums p.r of K v. Return the shift."""
    rescale(p.u, rows.potential, p.r, p.f, rows.log_mass, damping[0])
    sinkhorn.add_products(p.c, p.k, p.u[: p.x.shape[0]])
    rescale(p.v, columns.potential, p.c, p.g, columns.log_mass, damping[1])
    shift = level(rows, columns, p.x.shape[0], p.xt.shape[0], rates)
    if shift != like(0, shift):
        add_constant(rows.potential, shift)
        add_constant(columns.potential, -shift)
        factor = exp(shift)
        times(p.u, like(1, shift) / factor)
        times(p.v, factor)
    return shift


@block
def misses(p, aim, n, bound):
    """Return how many of the first n row sums u r are off their aims by more than the bound."""
    wide_vectors()
    count = np.int32(0)
    for i in range(n):
        count += np.int32(0) if abs(p.u[i] * p.r[i] - aim[i]) <= bound else np.int32(1)
    return count


@block
def iterate(p, rows, columns, damping, rates, tolerance, most):
    """Iterate until sums are within the tolerance of their aims; return how often."""
    n, m = p.x.shape[0], p.xt.shape[0]
    one = like(1, rates)
    shift, count = absorb(p, rows, columns, damping, rates), 1
    while True:
        set_aims(rows, n, rates[0])
        total = set_aims(columns, m, rates[1])
        sinkhorn.add_products(p.r, p.kt, p.v[:m])
        # Columns were right before the shift, which changed what they aim at.
        slip = abs(exp(rates[1] * shift) - one)
        if total > 0.0:
            slip *= like(m * columns.aim[:m].max() / total, rates)
        bound = like(tolerance * sum_of(rows.aim[:n]) / n, rates)
        if (slip <= tolerance and misses(p, rows.aim, n, bound) == 0) or count == most:
            return count
        far = sinkhorn.beyond(p.u, n) + sinkhorn.beyond(p.v, m)
        if far == 0 and min(rows.aim[:n].min(), columns.aim[:m].min()) > LEAST:
            shift = step(p, rows, columns, damping, rates)
        else:
            shift = absorb(p, rows, columns, damping, rates)
        count += 1


@block
def store(out, f, g, p, rows, columns, at_row, at_column):
    """Put plan and potentials where they belong, and 0 elsewhere."""
    out[:], f[:], g[:] = like(0, out), like(0, f), like(0, g)
    for i in range(p.x.shape[0]):
        f[at_row[i]] = rows.potential[i]
        line, k = out[at_row[i]], p.k[i]
        for j in range(p.xt.shape[0]):
            line[at_column[j]] = p.u[i] * (k[j] * p.v[j])
    for j in range(p.xt.shape[0]):
        g[at_column[j]] = columns.potential[j]


@block
def error_of(out, f, g, log_rows, log_columns, rates):
    """Return by how much a row or column sum is off its aim, as a part of the mean of these.

    It is infinite if the plan is not finite, as where scores overflowed.
    """
    n, m = out.shape
    off, aims, count = zeros(m), zeros(m), 0
    worst, total, whole = 0.0, 0.0, 0.0
    for i in range(n):
        if log_rows[i] > -np.inf:
            aim = exp(np.float64(log_rows[i]) + np.float64(rates[0]) * np.float64(f[i]))
            have = 0.0
            for j in range(m):
                have += out[i, j]
                off[j] += out[i, j]
            worst, total, count = max(worst, abs(have - aim)), total + aim, count + 1
            whole += have
    worst = worst * count / total if total > 0.0 else worst
    most, total, count = 0.0, 0.0, 0
    for j in range(m):
        if log_columns[j] > -np.inf:
            aims[j] = exp(np.float64(log_columns[j]) + np.float64(rates[1]) * np.float64(g[j]))
            most, total = max(most, abs(off[j] - aims[j])), total + aims[j]
            count += 1
    worst = max(worst, most * count / total if total > 0.0 else most)
    return worst if abs(whole) < np.inf else np.inf


@kernel(cost=lambda out: 16 * out.size)
def solve(chunk, chunks, scores, scales, masses, start, rates, limits, out, potentials, told):
    """Fill out, (B, n, m), with plans, and potentials, (B, n) and (B, m).

    masses are logs, (B, n) and (B, m), start has column potentials, (B, m), rates d and e, (B, 2),
    and limits are the tolerance and the most iterations. told has errors and iterations, (B,).
    """
    tolerance, most = limits
    batch, n, m = scores.shape
    at_row, at_column = empty(n, np.int64), empty(m, np.int64)
    p = sinkhorn.problem(n, m, out.dtype)
    rows, columns = side(n, out.dtype), side(m, out.dtype)
    damping, one = empty(2, out.dtype), like(1, out)
    for b in chunk_range(batch, chunk, chunks):
        few, narrow = places(masses[0][b], at_row), places(masses[1][b], at_column)
        if few != p.x.shape[0] or narrow != p.xt.shape[0]:
            p = sinkhorn.problem(few, narrow, out.dtype)
            rows, columns = side(few, out.dtype), side(narrow, out.dtype)
        args = scores[b], scales[b], masses[0][b], masses[1][b], start[b], at_row, at_column
        load(p, rows, columns, *args)
        damping[0], damping[1] = one / (one + rates[b, 0]), one / (one + rates[b, 1])
        told[1][b] = iterate(p, rows, columns, damping, rates[b], tolerance, most)
        f, g = potentials[0][b], potentials[1][b]
        store(out[b], f, g, p, rows, columns, at_row, at_column)
        told[0][b] = error_of(out[b], f, g, masses[0][b], masses[1][b], rates[b])


@block
def differentiate(grad, f_grad, g_grad, plan, w, p, s, rates):
    """Set the products of w with the derivatives of a plan by x, log a and log b."""
    n, m = plan.shape
    whole = 0.0
    for i in range(n):
        for j in range(m):
            whole += plan[i, j]
    unit = m / whole  # columns have a mass of about 1
    lean = 1.0 + rates[0]
    sums, inverse, mean = zeros(n), zeros(n), zeros(n)
    s.side[:], s.ground[:], s.weights[:] = 0.0, 0.0, 0.0
    for i in range(n):
        for j in range(m):
            p[i, j] = plan[i, j] * unit
            sums[i] += p[i, j]
            mean[i] += p[i, j] * w[i, j]
            s.side[j] += p[i, j] * w[i, j]
            s.ground[j] += p[i, j]
        if sums[i] > 0.0:
            inverse[i] = 1.0 / (sums[i] * lean)
    for j in range(m):
        g_grad[j] = s.ground[j]
        s.ground[j] *= rates[1] + rates[0] / lean
    for i in range(n):
        for j in range(m):
            s.side[j] -= p[i, j] * mean[i] * inverse[i]
    sinkhorn_newton.add_outer(s.weights, p, inverse)
    sinkhorn_newton.solve(s)
    for j in range(m):
        g_grad[j] *= s.step[j] / unit
    for i in range(n):
        shift = mean[i]
        for j in range(m):
            shift -= p[i, j] * s.step[j]
        shift *= inverse[i]
        f_grad[i] = sums[i] * shift / unit
        for j in range(m):
            grad[i, j] = plan[i, j] * (w[i, j] - shift - s.step[j])


@kernel(cost=lambda plan: 8 * plan.size)
def vjp(chunk, chunks, plan, cotangent, rates, grad, f_grad, g_grad):
    """Fill grad, (B, n, m), f_grad, (B, n), and g_grad, (B, m), with products of the cotangent."""
    batch, n, m = plan.shape
    p, s = zeros((n, sinkhorn.padded(m))), sinkhorn_newton.system(m)
    for b in chunk_range(batch, chunk, chunks):
        differentiate(grad[b], f_grad[b], g_grad[b], plan[b], cotangent[b], p, s, rates[b])
