"""Elementary functions that LLVM vectorises (Numba's own are scalar calls into libm).

Branch-free polynomials for float32 and float64, numbers or `vectors`. Each is within 2 ulp of the
correctly rounded result, subnormals included, and follows IEEE 754 at zero, the infinities and NaN;
`log_normal`, `exp_normal` and `exp_bounded` save what positive normal numbers do not need.
"""

import functools

import numpy as np
from numba.extending import overload

from fastgrad.kernels.compiler.jit import OPTIONS, PART, inline
from fastgrad.kernels.simd.formats import FORMATS
from fastgrad.kernels.simd.intrinsics import bits, fma, like, where
from fastgrad.kernels.simd.vectors import kind

INLINE = {"forceinline": True, **PART, **OPTIONS}


def elementary(build):
    """Make an always inlined function of x from `build(format)`, which writes it for one format."""

    def stub(x):
        raise NotImplementedError("for compiled code only")

    def choose(x):
        return build(FORMATS[kind(x)]) if kind(x) in FORMATS else None

    stub.__name__, stub.__doc__ = build.__name__, build.__doc__
    overload(stub, jit_options=INLINE)(choose)
    return stub


# -- logarithms --------------------------------------------------------------------------------


@functools.cache
def split(form):
    """Build x -> (e, f): x = 2^e (1 + f), 1 + f in [sqrt(1/2), sqrt(2)), for positive normal x."""
    mantissa, sqrt_half, one = form.mantissa, form.sqrt_half, form.float(1)
    integer, real = form.to_int, form.to_float

    @inline
    def implementation(x):
        i = bits(x)
        e = integer(integer(i - sqrt_half) >> mantissa)
        m = bits(integer(i - integer(e << mantissa)))
        return real(e), m - one

    return implementation


@functools.cache
def log_reduced(form):
    """Build (e, f) -> log(2^e (1 + f))."""
    tail, ln2_hi, ln2_lo, minus_half = form.log_tail, form.ln2_hi, form.ln2_lo, form.float(-0.5)

    @inline
    def implementation(e, f):
        square = f * f
        low = fma(square * f, tail(f), fma(square, minus_half, e * ln2_lo))
        return fma(e, ln2_hi, low + f)

    return implementation


@elementary
def log_normal(form):
    """Logarithm of a positive, finite, normal number."""
    parts, assemble = split(form), log_reduced(form)

    def implementation(x):
        e, f = parts(x)
        return assemble(e, f)

    return implementation


@elementary
def log(form):
    """Natural logarithm."""
    parts, assemble = split(form), log_reduced(form)
    tiny, zero, inf, nan = form.tiny, form.float(0), form.float(np.inf), form.float(np.nan)
    shift, scale = form.float(form.mantissa), form.float(2.0**form.mantissa)

    def implementation(x):
        small = x < tiny
        e, f = parts(where(small, x * scale, x))
        result = assemble(e - where(small, shift, zero), f)
        result = where(x > zero, result, where(x == zero, -inf, nan))
        return where(x < inf, result, x)

    return implementation


@elementary
def log1p(form):
    """log(1 + x), exact for small x."""
    parts, assemble = split(form), log_reduced(form)
    integer, mantissa, twice = form.to_int, form.mantissa, form.int(form.bias + 1)
    one, zero, inf, nan = form.float(1), form.float(0), form.float(np.inf), form.float(np.nan)
    half, negligible = form.float(0.5), form.float(2.0**-60)

    def implementation(x):
        y = one + x
        back = y - one
        lost = (one - (y - back)) + (x - back)  # y + lost = 1 + x exactly (Knuth's two-sum)
        e, f = parts(y)
        # lost 2^-e as two factors: 2^-e itself has no bits for the largest e.
        f = fma(half * lost, bits(integer(integer(twice - integer(e)) << mantissa)), f)
        result = where(abs(x) < negligible, x, assemble(e, f))
        result = where(y > zero, result, where(y == zero, -inf, nan))
        return where(x < inf, result, x)

    return implementation


# -- exponentials ------------------------------------------------------------------------------


@functools.cache
def _exp_reduce(form):
    """Build x -> (n, r) with x = n log 2 + r and |r| <= log(2) / 2, n an integer."""
    integer, magic = form.to_int, form.magic
    magic_bits = magic.view(form.int)
    per_ln2, ln2_hi, ln2_lo = form.float(1 / np.log(2)), -form.ln2_hi, -form.ln2_lo

    @inline
    def exp_reduce(x):
        shifted = fma(x, per_ln2, magic)
        n = shifted - magic
        r = fma(n, ln2_lo, fma(n, ln2_hi, x))
        return integer(bits(shifted) - magic_bits), r

    return exp_reduce


@elementary
def exp(form):
    """Natural exponential."""
    exp_reduce, tail = _exp_reduce(form), form.exp_tail
    integer, mantissa, bias = form.to_int, form.mantissa, form.bias
    low, high, one, shift_one = form.exp_low, form.exp_high, form.float(1), form.int(1)

    def implementation(x):
        x = where(x < low, low, x)
        x = where(x > high, high, x)
        n, r = exp_reduce(x)
        p = fma(fma(tail(r), r, one), r, one)
        half = integer(n >> shift_one)  # two factors: 2^n itself may be subnormal or overflow
        first = bits(integer(integer(half + bias) << mantissa))
        second = bits(integer(integer(integer(n - half) + bias) << mantissa))
        return p * first * second

    return implementation


def _exp_flushed(form, raised):
    """Build x -> 2^raised exp(x), subnormal results flushed to 0."""
    mantissa, tail, integer = form.mantissa, form.exp_tail, form.to_int
    low, one, zero = (
        np.log(form.tiny) - form.float(raised * np.log(2)),
        form.float(1),
        form.float(0),
    )
    per_ln2, ln2_hi, ln2_lo = form.float(1 / np.log(2)), -form.ln2_hi, -form.ln2_lo
    biased = form.magic + form.float(
        form.bias + raised
    )  # shifted up, its low bits are 2^n's exponent

    def implementation(x):
        shifted = fma(x, per_ln2, biased)
        n = shifted - biased
        r = fma(n, ln2_lo, fma(n, ln2_hi, x))
        p = fma(fma(tail(r), r, one), r, one)
        return where(x < low, zero, p * bits(integer(bits(shifted) << mantissa)))

    return implementation


@elementary
def exp_normal(form):
    """exp for x up to 88 (float32) or 709 (float64), subnormal results flushed to 0: faster."""
    return _exp_flushed(form, 0)


@elementary
def exp_raised(form):
    """exp(x) 2^40 (float32) or 2^80 (float64) for x up to 0, subnormal results flushed to 0."""
    return _exp_flushed(form, form.raised)


@elementary
def clamped(form):
    """x, or the number whose exponential is 0 for `exp_bounded` where x is below it; NaN stays."""
    low = form.float(-form.bias * np.log(2))  # 2^n has no bits there

    def implementation(x):
        return where(x < low, low, x)

    return implementation


@elementary
def exp_bounded(form):
    """exp for `clamped` x up to 88 (float32) or 709 (float64), subnormal results not exact."""
    mantissa, tail, integer = form.mantissa, form.exp_tail, form.to_int
    per_ln2, ln2_hi, ln2_lo = form.float(1 / np.log(2)), -form.ln2_hi, -form.ln2_lo
    one, biased = form.float(1), form.magic + form.float(form.bias)

    def implementation(x):
        shifted = fma(x, per_ln2, biased)
        n = shifted - biased
        r = fma(n, ln2_lo, fma(n, ln2_hi, x))
        p = fma(fma(tail(r), r, one), r, one)
        return p * bits(integer(bits(shifted) << mantissa))

    return implementation


@elementary
def expm1(form):
    """exp(x) - 1, exact for small x."""
    exp_reduce, tail = _exp_reduce(form), form.exp_tail
    integer, mantissa, bias = form.to_int, form.mantissa, form.bias
    low, high = form.expm1_low, form.exp_high
    half, negligible = form.float(0.5), form.float(2.0**-60)
    one = form.int(1)

    def implementation(x):
        z = where(x < low, low, x)
        z = where(z > high, high, z)
        n, r = exp_reduce(z)
        q = fma(r * r, tail(r), r)
        power = bits(integer(integer(n + integer(bias - one)) << mantissa))  # 2^(n-1)
        y = fma(power, q, power - half)
        return where(abs(x) < negligible, x, y + y)

    return implementation


@inline
def sigmoid(x):
    """1 / (1 + exp(-x))."""
    e = exp(-abs(x))
    one = like(1, x)
    return where(x >= like(0, x), one, e) / (one + e)


@inline
def softplus(x):
    """log(1 + exp(x))."""
    return where(x > like(0, x), x, like(0, x)) + log1p(exp(-abs(x)))


@inline
def logaddexp(a, b):
    """log(exp(a) + exp(b)); -inf is exp's zero."""
    high = where(a > b, a, b)
    gap = where(a == b, like(0, a), -abs(a - b))  # the difference of equal infinities is NaN
    return high + log1p(exp(gap))


@elementary
def previous(form):
    """The largest number below a finite x."""
    zero, integer, one = form.float(0), form.to_int, form.int(1)
    least = np.nextafter(zero, form.float(-1))

    def implementation(x):
        i = bits(x)
        nonzero = bits(where(x > zero, integer(i - one), integer(i + one)))
        return where(x == zero, least, nonzero)

    return implementation


@elementary
def cos_2pi(form):
    """cos(2 pi x) for 0 <= x <= 1, exact at the multiples of 1/8 up to rounding."""
    cos_tail, sin_over, integer, magic = form.cos_tail, form.sin_over, form.to_int, form.magic
    magic_bits = magic.view(form.int)
    one, two, half, none = form.float(1), form.float(2), form.float(0.5), form.int(0)
    bit0, bit1 = form.int(1), form.int(2)

    def implementation(x):
        w = two * x
        shifted = w * two + magic
        z = fma(shifted - magic, -half, w)  # |z| <= 1/4
        quadrant = integer(bits(shifted) - magic_bits)
        square = z * z
        even = fma(square, cos_tail(square), one)
        odd = -(z * sin_over(square))
        value = where(integer(quadrant & bit0) == none, even, odd)
        return where(integer(quadrant & bit1) == none, value, -value)

    return implementation
