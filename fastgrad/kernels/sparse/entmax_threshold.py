"""The threshold of alpha-entmax: p_i = [a t_i - tau]_+^(1/a), a = alpha - 1, whose sum q is 1.

q falls as tau rises, and q^a is convex in tau for a <= 1: Newton's method on it, from a tau below
the root, never passes it. The sparsemax (a = 1) is linear between the places where its support
changes, so that Newton's method ends at the exact root; no sort is needed for that. For a below 1/4
the unknown is tau + 1, and log(p) is log1p(a t - (tau + 1)) / a: exact also where a is next to 0,
and p next to the softmax.

Statistics have one entry per column. The last step is kept beside tau, in `rest`: gaps far smaller
than tau keep their digits.

Oracle: tests/support/reference_order.py, `entmax`.
"""

import numpy as np
from numba.extending import overload

from fastgrad.kernels.compiler.jit import block, inline, shared, wide_vectors
from fastgrad.kernels.simd.formats import FORMATS
from fastgrad.kernels.simd.intrinsics import like, sqrt, to_float64, where
from fastgrad.kernels.simd.lanes import first_of
from fastgrad.kernels.simd.special import INLINE, exp, expm1, log, log1p
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles import columns as col

SPARSEMAX, ENTMAX15, NEAR, POWER = 0, 1, 2, 3  # alpha = 2, 3/2, below 5/4, any other
PART = 128  # terms that are added one by one; sums of more are sums of such parts
MOST = 100  # steps of Newton's method; about 6 are taken


def narrowed(x, like_real):
    """Return float64 x in the type of the elements of like_real."""
    raise NotImplementedError("for compiled code only")


@overload(narrowed, jit_options=INLINE)
def _narrowed(x, like_real):
    convert = FORMATS[like_real.dtype].to_float

    def implementation(x, like_real):
        return convert(x)

    return implementation


# -- alpha = 2 and 3/2 -------------------------------------------------------------------------


@inline
def above(x):
    """Return x where it is positive, else 0."""
    return where(x > like(0, x), x, like(0, x))


@inline
def linear_terms(gap):
    """Return p = [gap]_+ and its slope."""
    return above(gap), where(gap > like(0, gap), like(1, gap), like(0, gap))


@inline
def linear_step(q, s, past, tolerance):
    """Return the step to q = 1 for this support, and whether the support has shrunk."""
    return (q - like(1, q)) / s, s < past


@inline
def square_terms(gap):
    """Return p = [gap]_+^2 and half its slope."""
    d = above(gap)
    return d * d, d


@inline
def square_step(q, s, past, tolerance):
    """Return the step of Newton's method for sqrt(q) = 1, and whether the root is yet to reach."""
    return (q - sqrt(q)) / s, (q > like(1, q) + tolerance) & (s < past)


def solver(terms, step):
    """Build the search for thresholds from the terms of q and s, and the step that they give."""

    @inline
    def add_terms(t, tau, q, s, c):
        """q, s = sums over 16 columns of the terms of a t - tau."""
        here, zero, depth = load(tau, c), filled(like(0, t)), t.shape[0]
        whole_q, whole_s = zero, zero
        for start in range(0, depth, PART):
            part_q, part_s = zero, zero
            for i in range(start, min(start + PART, depth)):
                p, slope = terms(load(t, (i, c)) - here)
                part_q = part_q + p
                part_s = part_s + slope
            whole_q = whole_q + part_q
            whole_s = whole_s + part_s
        store(q, c, whole_q)
        store(s, c, whole_s)

    @shared
    def solve(t, tau, rest, q, s, past, fold):
        """tau + rest = thresholds of columns a t, whose maxima are 0."""
        wide_vectors()
        columns = t.shape[1]
        width = columns if fold else LANES
        tolerance = like(3e-4 if t.itemsize == 4 else 1e-8, t)  # the next step's is its square
        for first in range(0, columns, width):
            for c in range(first, first + width, LANES):
                store(tau, c, filled(like(-1, t)))
                store(past, c, filled(like(np.inf, t)))
            going = True
            while going:
                going = False
                for c in range(first, first + width, LANES):
                    add_terms(t, tau, q, s, c)
                if fold:
                    col.fold_sum(q)
                    col.fold_sum(s)
                for c in range(first, first + width, LANES):
                    slope = load(s, c)
                    move, further = step(load(q, c), slope, load(past, c), tolerance)
                    store(rest, c, move)
                    store(past, c, slope)
                    here = load(tau, c)
                    store(tau, c, where(further, here + move, here))
                    going |= first_of(further) < LANES

    return solve


solve_linear, solve_square = solver(linear_terms, linear_step), solver(square_terms, square_step)


@block
def finish_linear(t, tau, rest):
    """t = p, alpha = 2."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        high, low = load(tau, c), load(rest, c)
        for i in range(t.shape[0]):
            store(t, (i, c), above((load(t, (i, c)) - high) - low))


@block
def finish_square(t, tau, rest):
    """t = p, alpha = 3/2."""
    wide_vectors()
    for c in range(0, t.shape[1], LANES):
        high, low = load(tau, c), load(rest, c)
        for i in range(t.shape[0]):
            d = above((load(t, (i, c)) - high) - low)
            store(t, (i, c), d * d)


# -- any alpha, in float64 ---------------------------------------------------------------------


@inline
def log_base(z, x, near):
    """Return log(z - x), log1p(z - x) if `near`; with z - x, and where that is above 0."""
    d = to_float64(z) - x
    one, tiny = like(1, x), like(1e-300, x)
    if near:
        inside = d > -one
        return log1p(where(inside, d, one)), d + one, inside
    inside = d > tiny
    return log(where(inside, d, one)), d, inside


@shared
def solve_power(t, x, q, s, near, a, fold):
    """x = thresholds of columns a t, whose maxima are 0, or thresholds + 1 if `near`; q = sums."""
    wide_vectors()
    columns, zero, power = t.shape[1], filled(0.0), 1.0 / a
    width = columns if fold else LANES
    tolerance = 1e-9 if t.itemsize == 4 else 1e-13
    for first in range(0, columns, width):
        for c in range(first, first + width, LANES):
            store(x, c, filled(0.0 if near else -1.0))
        for _ in range(MOST):
            for c in range(first, first + width, LANES):
                here, total, slope = load(x, c), zero, zero
                for i in range(t.shape[0]):
                    logs, base, inside = log_base(load(t, (i, c)), here, near)
                    p = where(inside, exp(logs * power), zero)
                    total = total + p
                    slope = slope + where(inside, p / base, zero)
                store(q, c, total)
                store(s, c, slope)
            if fold:
                col.fold_sum(q)
                col.fold_sum(s)
            going = False
            for c in range(first, first + width, LANES):
                here, total = load(x, c), load(q, c)
                after = here - total * expm1(log(total) * -a) / load(s, c)
                further = (total > 1.0 + tolerance) & (after > here)
                store(x, c, where(further, after, here))
                going |= first_of(further) < LANES
            if not going:
                break


@block
def finish_power(t, x, q, near, a):
    """t = p, divided by their sum, which is 1 but for rounding."""
    wide_vectors()
    zero, power = filled(0.0), 1.0 / a
    for c in range(0, t.shape[1], LANES):
        here, inverse = load(x, c), 1.0 / load(q, c)
        for i in range(t.shape[0]):
            logs, _, inside = log_base(load(t, (i, c)), here, near)
            p = where(inside, exp(logs * power) * inverse, zero)
            store(t, (i, c), narrowed(p, t))


@block
def project(t, mode, a, tau, rest, q, s, past, x, sums, slopes, fold):
    """t = alpha-entmax of columns a t, whose maxima are 0: the others are statistics."""
    if mode == SPARSEMAX:
        solve_linear(t, tau, rest, q, s, past, fold)
        finish_linear(t, tau, rest)
    elif mode == ENTMAX15:
        solve_square(t, tau, rest, q, s, past, fold)
        finish_square(t, tau, rest)
    else:
        solve_power(t, x, sums, slopes, mode == NEAR, a, fold)
        finish_power(t, x, sums, mode == NEAR, a)
