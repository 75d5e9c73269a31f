"""Remainders of Stirling's series of any a > 0, in float64, as functions of numbers and as kernels.

The series serves a >= 10. Below, it is taken at a + 10, and the steps up to there are exact sums:
with t = log((a + 10) / a) and k from 1 to 9,

    R(a) = R(a + 10) + (a + 1/2) t - log(product of (a + k) / (a + 10)) - 10
    G(a) = G(a + 10) - t + 1 / a + sum of 1 / (a + k),

R that of log-gamma and G = log a - digamma(a). The k are taken in pairs, (a + k) (a + 10 - k) =
u + k (10 - k) with u = a (a + 10).

Oracle: tests/distributions/continuous/test_stirling.py: mpmath.
"""

import math

from fastgrad.kernels.compiler.jit import block, chunk_bounds, inline, kernel, wide_vectors
from fastgrad.kernels.random.rejection import ROWS, gather
from fastgrad.kernels.simd.intrinsics import polynomial, where
from fastgrad.kernels.simd.special import expm1, log_normal
from fastgrad.kernels.tiles.memory import empty

LARGE = 10.0  # from here on the series are exact to the last digit
SMALL, SCALE = 2.0**-900, 2.0**60  # below the one, a is multiplied by the other before a division
LOG_SCALE = 60 * math.log(2)
# B_2k / (2k (2k - 1)) and B_2k / (2k), with B the Bernoulli numbers, for k = 1, 2, ...
LOG_GAMMA = (
    *(1 / 12, -1 / 360, 1 / 1260, -1 / 1680),
    *(1 / 1188, -691 / 360360, 1 / 156, -3617 / 122400, 43867 / 244188),
)
log_gamma_series = polynomial(*LOG_GAMMA)
digamma_series = polynomial(*((2 * k - 1) * c for k, c in enumerate(LOG_GAMMA, 1)))
exp_series = polynomial(*(1 / math.factorial(k) for k in range(2, 20)))
# The product of u + k (10 - k) for k from 1 to 4, and its derivative.
pairs = polynomial(72576.0, 19080.0, 1773.0, 70.0, 1.0)
slopes = polynomial(19080.0, 3546.0, 210.0, 4.0)


@inline
def rise(a):
    """Return log((a + 10) / a) for 0 < a <= 10."""
    small = a < SMALL
    ratio = (a + LARGE) / where(small, a * SCALE, a)
    return log_normal(ratio) + where(small, LOG_SCALE, 0.0)


@inline
def log_gamma_remainder(a):
    """log Gamma(a) - (a - 1/2) log a + a - log(2 pi) / 2."""
    small = a < LARGE
    low = where(small, a, LARGE)
    s = 1.0 / where(small, a + LARGE, a)
    square = s * s
    series = s * log_gamma_series(square)
    per = 1.0 / (low + LARGE)
    per_2 = per * per
    per_4 = per_2 * per_2
    share = (low + 5.0) * per * (pairs(low * (low + LARGE)) * per_4 * per_4)
    steps = (low + 0.5) * rise(low) - log_normal(share) - LARGE
    return series + where(small, steps, 0.0)


@inline
def digamma_gap_but(a, halves):
    """log a - digamma(a) - halves / (2 a)."""
    small = a < LARGE
    low = where(small, a, LARGE)
    s = 1.0 / where(small, a + LARGE, a)
    square = s * s
    second = square * digamma_series(square)
    u = low * (low + LARGE)
    product = pairs(u)
    sums = (low + 5.0) * (product + 2.0 * slopes(u) * (u + 25.0)) / (product * (u + 25.0))
    steps = (0.5 * s + second) + (sums - rise(low)) + (1.0 - 0.5 * halves) / low
    return where(small, steps, 0.5 * s * (1.0 - halves) + second)


@inline
def exp_remainder(t):
    """t - (exp(t) - 1), -inf at both infinities."""
    near = abs(t) < 1.0
    small = where(near, t, 0.0)
    far = where(t < 800.0, t - expm1(t), -math.inf)
    return where(near, -small * small * exp_series(small), far)


@inline
def repeated(x):
    """Return mutable flat x, as often after itself as makes ROWS numbers at least."""
    if x.size >= ROWS or not x.size:
        return x
    out = empty((ROWS + x.size - 1) // x.size * x.size)
    gather(out, x, 0)
    return out


# -- as kernels --------------------------------------------------------------------------------

WORK = 4  # numbers whose making would take as long as one of these


@block
def fill_log_gamma_remainders(a, out):
    """out = log_gamma_remainder(a)."""
    wide_vectors()
    for i in range(out.size):
        out[i] = log_gamma_remainder(a[i])


@kernel(cost=lambda out: WORK * out.size)
def log_gamma_remainders(chunk, chunks, a, out):
    """out = log_gamma_remainder(a), both flat."""
    begin, end = chunk_bounds(out.size, chunk, chunks)
    fill_log_gamma_remainders(a[begin:end], out[begin:end])


@block
def fill_digamma_gaps(a, halves, out):
    """out = digamma_gap_but(a, halves)."""
    wide_vectors()
    for i in range(out.size):
        out[i] = digamma_gap_but(a[i], halves)


@kernel(cost=lambda out: WORK * out.size)
def digamma_gaps(chunk, chunks, a, halves, out):
    """out = digamma_gap_but(a, halves), a and out flat."""
    begin, end = chunk_bounds(out.size, chunk, chunks)
    fill_digamma_gaps(a[begin:end], halves, out[begin:end])


@block
def fill_exp_remainders(t, out):
    """out = exp_remainder(t)."""
    wide_vectors()
    for i in range(out.size):
        out[i] = exp_remainder(t[i])


@kernel(cost=lambda out: out.size)
def exp_remainders(chunk, chunks, t, out):
    """out = exp_remainder(t), both flat."""
    begin, end = chunk_bounds(out.size, chunk, chunks)
    fill_exp_remainders(t[begin:end], out[begin:end])
