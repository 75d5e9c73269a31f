"""Logarithms of gamma variates of rate 1, and their derivative by that of the shape a, in float64.

Draws are those of Marsaglia and Tsang (2000). Below a = 1 it is a draw of shape a + 1 less an
exponential over a: the logarithm never underflows.

With F the distribution function, implicit reparameterisation (Figurnov et al., 2018) says
D = d log x / d log a = -a (dF / da) / (x F'(x)). With t = x e^w in the incomplete gamma functions,

    D = a integral of (digamma(a) - log x - w) e^(a w - x (e^w - 1)) over w < 0
      = a integral of (log x + w - digamma(a)) e^(a w - x (e^w - 1)) over w > 0.

One of the two has a positive integrand and decays from w = 0 on, so nothing cancels. Where x is
small, or below a small a, the first is summed as the series
D = sum over k of x^k / ((a + 1) ... (a + k)) (digamma(a + k + 1) - log x).

Oracle: tests/distributions/continuous/test_gamma.py: mpmath.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.random.rejection import (
    ATTEMPT,
    ATTEMPTS,
    BOOST,
    ROWS,
    exponential,
    fill_words,
    gather,
    unit,
    words,
)
from fastgrad.kernels.simd.intrinsics import sqrt, where
from fastgrad.kernels.simd.quadrature import NODES, SIZE, WEIGHTS, total
from fastgrad.kernels.simd.special import cos_2pi, exp, expm1, log_normal
from fastgrad.kernels.tiles.memory import empty

WORK = 16  # numbers whose making would take as long as one of these
SERIES_X, SERIES_SHAPE = 1.0, 8.0  # the series serves x up to the one, lower tails up to the other
DEPTH = 36.0  # integrands are cut where they have fallen by e^-DEPTH
TERMS = 200  # more than the series ever needs there
NEGLIGIBLE = 2.0**-55
HUGE = 1e16  # from here on x is as good as proportional to a


@inline
def quick(u, square):
    """Whether the proposal is accepted without a logarithm."""
    return u < 1.0 - 0.0331 * square * square


@block
def one_draw(d, c, element, key):
    """log v of an element, attempt by attempt."""
    log_v = 0.0
    for attempt in range(ATTEMPTS):
        first, second, angle, last = words(element, attempt, key)
        n = sqrt(2.0 * exponential(first, second)) * cos_2pi(unit(angle))
        root = 1.0 + c * n
        if root > 0.0:
            log_v = 3.0 * log_normal(root)
            u, square = unit(last), n * n
            if quick(u, square):
                break
            if log_normal(u) < 0.5 * square + d * (1.0 - root * root * root + log_v):
                break
    return log_v


@block
def first_attempts(log_v, radius, bits, c):
    """log v of proposals of which most are accepted at once; NaN for the others."""
    wide_vectors()
    for i in range(log_v.size):
        radius[i] = exponential(bits[0, i], bits[1, i])
    for i in range(log_v.size):
        radius[i] = sqrt(2.0 * radius[i]) * cos_2pi(unit(bits[2, i]))
    for i in range(log_v.size):
        root = 1.0 + c[i] * radius[i]
        square = radius[i] * radius[i]
        fine = (root > 0.0) & quick(unit(bits[3, i]), square)
        log_v[i] = where(fine, root, np.nan)
    for i in range(log_v.size):
        log_v[i] = where(log_v[i] > 0.0, 3.0 * log_normal(log_v[i]), np.nan)


@block
def subtract_boost(log_v, bits, boost):
    """log v -= an exponential times boost."""
    wide_vectors()
    for i in range(log_v.size):
        log_v[i] -= exponential(bits[0, i], bits[1, i]) * boost[i]


@kernel(cost=lambda out: WORK * out.size)
def draw(chunk, chunks, d, log_d, boost, key, offset, out):
    """Fill flat out from element `offset` of the key's stream on.

    Element e of out has parameters number e % N: d = a - 1/3 (or a + 2/3), log d, and boost, which
    is 1 / a (or 0), each of shape (N,).
    """
    blocks = (out.size + ROWS - 1) // ROWS
    scratch, bits = empty((4, ROWS)), empty((4, ROWS), np.uint32)
    c, own_d, own_boost, radius = scratch[0], scratch[1], scratch[2], scratch[3]
    for b in chunk_range(blocks, chunk, chunks):
        begin = b * ROWS
        target = out[begin : begin + ROWS]
        gather(own_d, d, begin)
        gather(own_boost, boost, begin)
        for i in range(ROWS):
            c[i] = 1.0 / sqrt(9.0 * own_d[i])
        fill_words(bits, offset + begin, ATTEMPT, key)
        first_attempts(target, radius, bits, c)
        for i in range(target.size):
            if target[i] != target[i]:
                target[i] = one_draw(own_d[i], c[i], np.uint64(offset + begin + i), key)
        if own_boost.max() > 0.0:
            fill_words(bits, offset + begin, BOOST, key)
            subtract_boost(target, bits, own_boost)
        gather(own_d, log_d, begin)
        for i in range(target.size):
            target[i] += own_d[i]


@inline
def series(log_x, x, a, digamma_next):
    """D by its series; digamma_next = digamma(a + 1)."""
    gap = digamma_next - log_x
    term, result = 1.0, gap
    for i in range(TERMS):
        k = 1.0 + i
        inverse = 1.0 / (a + k)
        term *= x * inverse
        gap += inverse
        result += term * gap
        if x < a + k and term * abs(gap) <= NEGLIGIBLE * abs(result):
            break
    return result


@inline
def reach_below(x, a):
    """A w > 0 so large that a w - x (1 - e^-w) >= DEPTH, by 1 - e^-w <= w - w^2 / (2 + w)."""
    b = 2.0 * (a - x) - DEPTH
    root = sqrt(b * b + 8.0 * DEPTH * a)
    # The positive root of a w^2 + b w - 2 DEPTH, without cancellation.
    return 4.0 * DEPTH / (b + root) if b > 0.0 else (root - b) / (2.0 * a)


@inline
def reach_above(x, a):
    """A w > 0 so large that x (e^w - 1) - a w >= DEPTH."""
    gap = x - a
    root = sqrt(gap * gap + 2.0 * x * DEPTH)
    w = 2.0 * DEPTH / (root + gap) if gap > 0.0 else (root - gap) / x
    return min(w, log_normal(1.0 + (DEPTH + a * w) / x))


@inline
def integral(log_x, x, a, digamma, powers, values):
    """D by quadrature on the side of x where the integrand is positive."""
    gap = digamma - log_x
    below = gap > 0.0
    end = -reach_below(x, a) if below else reach_above(x, a)
    for i in range(SIZE):
        powers[i] = expm1(end * NODES[i])
    for i in range(SIZE):
        w = end * NODES[i]
        values[i] = WEIGHTS[i] * abs(gap - w) * exp(a * w - x * powers[i])
    return a * abs(end) * total(values)


@block
def slope_block(out, log_x, a, digamma_next, scratch):
    """Fill flat out with D."""
    wide_vectors()
    powers, values = scratch[0], scratch[1]
    for i in range(out.size):
        x = exp(log_x[i])
        digamma = digamma_next[i] - 1.0 / a[i]
        if a[i] > HUGE:
            out[i] = 1.0
        elif x <= SERIES_X or (a[i] < SERIES_SHAPE and log_x[i] < digamma):
            out[i] = series(log_x[i], x, a[i], digamma_next[i])
        else:
            out[i] = integral(log_x[i], x, a[i], digamma, powers, values)


@kernel(cost=lambda out: WORK * out.size)
def slope(chunk, chunks, log_x, a, digamma_next, out):
    """out = D at flat draws log_x, of which number e has shape a[e % N].

    a and digamma_next = digamma(a + 1) are (N,).
    """
    blocks = (out.size + ROWS - 1) // ROWS
    scratch, own = empty((2, SIZE)), empty((2, ROWS))
    for b in chunk_range(blocks, chunk, chunks):
        begin = b * ROWS
        rows = slice(begin, min(begin + ROWS, out.size))
        gather(own[0], a, begin)
        gather(own[1], digamma_next, begin)
        slope_block(out[rows], log_x[rows], own[0], own[1], scratch)
