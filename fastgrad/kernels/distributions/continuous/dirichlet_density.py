"""Log densities of Dirichlet variables, of which beta variables are the first of two shares.

With p the mean and t = log(x / p), the log density is the deviance, the sum of a (t - (e^t - 1)),
less the sum of log x and what Stirling's formula leaves of the constant. As shares sum to 1, the
sum of a (e^t - 1) is 0: it may be left out where it overflows.

Oracle: tests/distributions/continuous/test_asymptotics.py: mpmath.
"""

import math

from fastgrad.kernels.compiler.jit import block, chunk_bounds, kernel, wide_vectors
from fastgrad.kernels.distributions.continuous.stirling import (
    WORK,
    exp_remainder,
    fill_digamma_gaps,
    log_gamma_remainder,
    repeated,
)
from fastgrad.kernels.random.rejection import ROWS
from fastgrad.kernels.simd.intrinsics import where
from fastgrad.kernels.simd.special import exp, expm1, log, log1p, log_normal
from fastgrad.kernels.tiles.memory import empty, flattened

HALF_LOG_2PI = 0.9189385332046727


@block
def fill_terms(terms, log_x, a, log_p):
    """Set flat terms to those of the sum over components."""
    wide_vectors()
    for i in range(terms.size):
        term = a[i] * exp_remainder(log_x[i] - log_p[i]) - log_x[i]
        at_zero = where(a[i] < 1.0, math.inf, where(a[i] > 1.0, -math.inf, a[i] - a[i] * log_p[i]))
        terms[i] = where(log_x[i] == -math.inf, at_zero, term)


@block
def sum_without_overflow(log_x, a, log_p):
    """Return the sum of the terms of one variable, without a (e^t - 1) where one is infinite."""
    whole, overflow = 0.0, False
    for i in range(log_x.size):
        t = log_x[i] - log_p[i]
        overflow |= t > 0.0 and a[i] * exp_remainder(t) == -math.inf
    for i in range(log_x.size):
        t = log_x[i] - log_p[i]
        if log_x[i] == -math.inf:
            edge = math.inf if a[i] < 1.0 else -math.inf
            first = 0.0 if overflow else a[i]
            whole += edge if a[i] != 1.0 else first - a[i] * log_p[i]
        else:
            whole += (a[i] * t if overflow else a[i] * exp_remainder(t)) - log_x[i]
    return whole


@kernel(cost=lambda log_x: WORK * log_x.size)
def log_prob(chunk, chunks, log_x, a, log_p, constant, out):
    """out = log densities at shares given by their logarithms, (R, K).

    Variable r has parameters r % N of a and of log_p, the logarithm of its mean, both flat (N K),
    and of constant, (N,).
    """
    k = log_x.shape[1]
    begin, end = chunk_bounds(out.size, chunk, chunks)
    most, n = max(ROWS // k, 1), constant.size
    a, log_p = repeated(a), repeated(log_p)
    terms, flat = empty(most * k), flattened(log_x)
    while begin < end:
        first = begin * k % a.size
        last = min(first + min(most, end - begin) * k, a.size)
        x = flat[begin * k : begin * k + last - first]
        own_a, own_p = a[first:last], log_p[first:last]
        fill_terms(terms[: last - first], x, own_a, own_p)
        for i in range(0, last - first, k):
            whole = 0.0
            for j in range(i, i + k):
                whole += terms[j]
            if whole == -math.inf:
                j = i + k
                whole = sum_without_overflow(x[i:j], own_a[i:j], own_p[i:j])
            out[begin] = whole + constant[begin % n]
            begin += 1


@block
def fill_slopes(out, log_x, a, log_p, gap):
    """Set flat out to derivatives by log a."""
    wide_vectors()
    for i in range(out.size):
        out[i] = a[i] * (log_x[i] - log_p[i] + gap[i])


@kernel(cost=lambda out: out.size)
def score(chunk, chunks, log_x, a, log_p, gap, out):
    """Set flat out to the derivatives of `log_prob` by log a, given `gaps`; log_x is flat too."""
    begin, end = chunk_bounds(out.size, chunk, chunks)
    a, log_p, gap = repeated(a), repeated(log_p), repeated(gap)
    while begin < end:
        first = begin % a.size
        last = min(first + end - begin, a.size)
        rows, own = slice(begin, begin + last - first), slice(first, last)
        fill_slopes(out[rows], log_x[rows], a[own], log_p[own], gap[own])
        begin += last - first


# -- constants of the parameters ---------------------------------------------------------------


@block
def fill_constants(terms, log_a, a):
    """Set the part of each component of the constant."""
    wide_vectors()
    for i in range(terms.size):
        terms[i] = 0.5 * log_a[i] - log_gamma_remainder(a[i])


@block
def complete_constants(out, totals, k):
    """Add the part of the total to the constant."""
    wide_vectors()
    for i in range(out.size):
        whole = log_gamma_remainder(totals[i]) - 0.5 * log_normal(totals[i])
        out[i] += whole - (k - 1) * HALF_LOG_2PI


@kernel(cost=lambda a: WORK * a.size)
def constants(chunk, chunks, log_a, a, out):
    """out = what the log density is beside its sum over components: a (N, K), out (N,)."""
    n, k = a.shape
    begin, end = chunk_bounds(n, chunk, chunks)
    most = max(ROWS // k, 1)
    terms, totals = empty(most * k), empty(most)
    flat, flat_log = flattened(a), flattened(log_a)
    for first in range(begin, end, most):
        rows = min(most, end - first)
        part = slice(first * k, (first + rows) * k)
        fill_constants(terms[: rows * k], flat_log[part], flat[part])
        for r in range(rows):
            total, whole = 0.0, 0.0
            for j in range(k):
                total += a[first + r, j]
                whole += terms[r * k + j]
            totals[r], out[first + r] = total, whole
        complete_constants(out[first : first + rows], totals, k)


@kernel(cost=lambda a: WORK * a.size)
def gaps(chunk, chunks, a, out):
    """out = digamma(total) - digamma(a) less the same of logarithms, both (N, K)."""
    n, k = a.shape
    begin, end = chunk_bounds(n, chunk, chunks)
    most = max(ROWS // k, 1)
    totals, of_totals = empty(most), empty(most)
    flat, flat_out = flattened(a), flattened(out)
    for first in range(begin, end, most):
        rows = min(most, end - first)
        part = slice(first * k, (first + rows) * k)
        for r in range(rows):
            total = 0.0
            for j in range(k):
                total += a[first + r, j]
            totals[r] = total
        fill_digamma_gaps(flat[part], 0.0, flat_out[part])
        fill_digamma_gaps(totals[:rows], 0.0, of_totals[:rows])
        for r in range(rows):
            for j in range(k):
                out[first + r, j] -= of_totals[r]


# -- shares of beta variables ------------------------------------------------------------------


@block
def fill_shares(x, own, other, logs):
    """Set log x and log(1 - x) of flat x, or with logs at exp(x): NaN outside (0, 1)."""
    wide_vectors()
    if logs:  # log(1 - e^x), from the closer side: Mächler, 2012
        for i in range(x.size):
            near = x[i] > -0.7
            own[i] = where(x[i] > 0.0, math.nan, x[i])
            other[i] = where(near, log(-expm1(x[i])), log1p(-exp(x[i])))
    else:
        for i in range(x.size):
            outside = (x[i] < 0.0) | (x[i] > 1.0)
            own[i] = where(outside, math.nan, log(x[i]))
            other[i] = where(outside, math.nan, log1p(-x[i]))


@kernel(cost=lambda x: WORK * x.size)
def shares(chunk, chunks, x, logs, complement, out):
    """out = (log x, log(1 - x)) of flat x, or with logs at exp(x): NaN outside (0, 1).

    With complement, x stands for 1 - x.
    """
    begin, end = chunk_bounds(x.size, chunk, chunks)
    pair = empty((2, ROWS))
    for first in range(begin, end, ROWS):
        n = min(ROWS, end - first)
        fill_shares(x[first : first + n], pair[0], pair[1], logs)
        mine = 1 if complement else 0
        for i in range(n):
            out[first + i, mine] = pair[0, i]
            out[first + i, 1 - mine] = pair[1, i]


@block
def fill_log_ratios(first, second, own, other):
    """Set own and other to first and second less the logarithm of the sum of their exponentials."""
    wide_vectors()
    for i in range(own.size):
        gap = first[i] - second[i]
        least = -abs(gap)
        rest = log1p(exp(least))
        own[i] = min(gap, 0.0) - rest
        other[i] = min(-gap, 0.0) - rest


@kernel(cost=lambda own: WORK * own.size)
def shares_of_gammas(chunk, chunks, first, second, own, other):
    """Set flat own and other to log x and log(1 - x) of x = e^first / (e^first + e^second)."""
    begin, end = chunk_bounds(own.size, chunk, chunks)
    rows = slice(begin, end)
    fill_log_ratios(first[rows], second[rows], own[rows], other[rows])
