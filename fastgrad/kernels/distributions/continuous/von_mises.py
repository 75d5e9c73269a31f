"""Von Mises variates of location 0, and their derivative by the concentration k, all in float64.

An angle t in (-pi, pi) is held as y = tan(t / 4): then sin(t / 2) = 2 y / (1 + y^2), and no
trigonometric function is needed. Draws are those of Best and Fisher (1979): a wrapped Cauchy
proposal, tan(t / 2) = ratio tan(pi u / 2), accepted with the usual test.

With A = E[cos t] and B = 1 - A, implicit reparameterisation (Figurnov et al., 2018) says for t > 0

    dt / dk = -integral from 0 to t of (B - 2 sin^2(s / 2)) e^(k (cos s - cos t)) ds
            = integral from t to pi of the same:

of the two, one has an integrand of one sign, so nothing cancels.

Oracle: tests/distributions/continuous/test_von_mises.py: mpmath.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.random.rejection import (
    ATTEMPT,
    ATTEMPTS,
    ROWS,
    fill_words,
    gather,
    unit,
    words,
)
from fastgrad.kernels.simd.intrinsics import sqrt, where
from fastgrad.kernels.simd.quadrature import NODES, SIZE, WEIGHTS, total
from fastgrad.kernels.simd.special import cos_2pi, exp, log_normal
from fastgrad.kernels.tiles.memory import empty

WORK = 16  # numbers whose making would take as long as one of these
DEPTH = 36.0  # integrands are cut where they have fallen by e^-DEPTH
TOP, BOTTOM, SIGN = np.uint64(20), np.uint32(12), np.uint32(1)
HALF, UNIT = 2.0**-53, 2.0**-52


@inline
def quarter_turn(high, low):
    """u / 4 for u in (0, 1) of 52 bits, exact."""
    k = np.uint64(np.uint64(high) << TOP) | np.uint64(low >> BOTTOM)
    return 0.25 * (np.float64(k) * UNIT + HALF)


@inline
def propose(turn, ratio):
    """Return (y, cos^2(pi u / 2)) of a proposal, where turn = u / 4."""
    cosine, sine = cos_2pi(turn), ratio * cos_2pi(0.25 - turn)
    square = cosine * cosine
    return sine / (cosine + sqrt(square + sine * sine)), square


@inline
def one_draw(ratio, scale, inverse, element, key):
    """y of an element, attempt by attempt."""
    y = 0.0
    for attempt in range(ATTEMPTS):
        first, second, last, _ = words(element, attempt, key)
        y, square = propose(quarter_turn(first, second), ratio)
        c = scale / (1.0 + 2.0 * square * inverse)
        u = unit(last)
        if u < c * (2.0 - c) or log_normal(u / c) <= 1.0 - c:
            return where(np.uint32(second & SIGN) == SIGN, y, -y)
    return y


@block
def first_attempts(y, bits, ratio, scale, inverse):
    """y of proposals of which most are accepted at once; NaN for the others."""
    wide_vectors()
    for i in range(y.size):
        y[i], square = propose(quarter_turn(bits[0, i], bits[1, i]), ratio[i])
        c = scale[i] / (1.0 + 2.0 * square * inverse[i])
        sign = where(np.uint32(bits[1, i] & SIGN) == SIGN, 1.0, -1.0)
        y[i] = where(unit(bits[2, i]) < c * (2.0 - c), sign * y[i], np.nan)


@kernel(cost=lambda out: WORK * out.size)
def draw(chunk, chunks, ratio, scale, inverse, key, offset, out):
    """Fill flat out with y from element `offset` of the key's stream on.

    Element e of out has parameters number e % N, each of shape (N,): with r the proposal's
    concentration, ratio = sqrt((r - 1) / (r + 1)), scale = k (r + 1) and inverse = 1 / (r - 1).
    """
    blocks = (out.size + ROWS - 1) // ROWS
    own, bits = empty((3, ROWS)), empty((4, ROWS), np.uint32)
    for b in chunk_range(blocks, chunk, chunks):
        begin = b * ROWS
        target = out[begin : begin + ROWS]
        gather(own[0], ratio, begin)
        gather(own[1], scale, begin)
        gather(own[2], inverse, begin)
        fill_words(bits, offset + begin, ATTEMPT, key)
        first_attempts(target, bits, own[0], own[1], own[2])
        for i in range(target.size):
            if target[i] != target[i]:
                element = np.uint64(offset + begin + i)
                target[i] = one_draw(own[0, i], own[1, i], own[2, i], element, key)


@inline
def half_sine(y):
    """sin(t / 2)."""
    return 2.0 * y / (1.0 + y * y)


@inline
def one_slope(y, k, b, values):
    """dt / dk for y > 0; b is B."""
    s = half_sine(y)
    start, end, sign = 0.0, y, -1.0
    if 2.0 * s * s > b:
        top = s * s + DEPTH / (2.0 * k)
        start, end, sign = y, 1.0, 1.0
        if top < 1.0:
            end = sqrt(top) / (1.0 + sqrt(1.0 - top))
    width = end - start
    for i in range(SIZE):
        z = start + width * NODES[i]
        h = half_sine(z)
        fall = exp(2.0 * k * ((s - h) * (s + h)))
        values[i] = WEIGHTS[i] * ((b - 2.0 * h * h) * fall) * (4.0 / (1.0 + z * z))
    return sign * width * total(values)


@block
def slope_block(out, y, k, b, values):
    """Fill flat out with dt / dk."""
    wide_vectors()
    for i in range(out.size):
        d = one_slope(abs(y[i]), k[i], b[i], values)
        out[i] = where(y[i] < 0.0, -d, d)


@kernel(cost=lambda out: WORK * out.size)
def slope(chunk, chunks, y, k, b, out):
    """out = dt / dk at flat draws y; number e has concentration k[e % N] and B b[e % N]."""
    blocks = (out.size + ROWS - 1) // ROWS
    values, own = empty(SIZE), empty((2, ROWS))
    for j in chunk_range(blocks, chunk, chunks):
        begin = j * ROWS
        rows = slice(begin, min(begin + ROWS, out.size))
        gather(own[0], k, begin)
        gather(own[1], b, begin)
        slope_block(out[rows], y[rows], own[0], own[1], values)
