"""Elementary functions that LLVM vectorises (Numba's own are scalar calls into libm).

Branch-free polynomials for float32 and float64, chosen by the type of the argument. Coefficients
are minimax fits (Remez, relative error) made for this package. Each public function is within
2 ulp of the correctly rounded result, subnormals included, and follows IEEE 754 at zero, the
infinities and NaN; `log_normal`, for positive normal numbers only, saves the checks.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from fastgrad.kernels.jit import OPTIONS, inline

# -- building blocks ---------------------------------------------------------------------------


@intrinsic
def fma(typingctx, a, b, c):
    """Return a * b + c, rounded once."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return a(a, a, a), codegen


@intrinsic
def where(typingctx, condition, a, b):
    """Return a if condition else b as a select instruction: both are evaluated, no branch."""

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return a(types.boolean, a, a), codegen


@intrinsic
def like(typingctx, value, x):
    """Return the number `value` in the type of x (of its elements, for an array)."""
    target = getattr(x, "dtype", x)

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[0], value, target)

    return target(value, x), codegen


_SAME_WIDTH = {
    types.float32: types.int32,
    types.float64: types.int64,
    types.int32: types.float32,
    types.int64: types.float64,
    types.uint32: types.float32,
    types.uint64: types.float64,
}


@intrinsic
def bits(typingctx, x):
    """Reinterpret a float as the signed integer of its width, and an integer as a float."""
    target = _SAME_WIDTH[x]

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(target))

    return target(x), codegen


@intrinsic
def sqrt(typingctx, x):
    """Return the square root, correctly rounded."""

    def codegen(context, builder, signature, args):
        root = builder.module.declare_intrinsic("llvm.sqrt", [args[0].type])
        return builder.call(root, args)

    return x(x), codegen


def polynomial(*coefficients):
    """Build a compiled function of x: sum of coefficients[i] * x**i, by Horner's rule."""

    @intrinsic
    def evaluate(typingctx, x):
        def codegen(context, builder, signature, args):
            result = ir.Constant(args[0].type, coefficients[-1])
            for coefficient in coefficients[-2::-1]:
                result = builder.fma(result, args[0], ir.Constant(args[0].type, coefficient))
            return result

        return x(x), codegen

    return evaluate


def elementary(function):
    """Turn ``function(x)``, which returns the implementation for a Numba type, into an inlined overload."""

    def stub(x):
        raise NotImplementedError("for compiled code only")

    stub.__name__ = function.__name__
    stub.__doc__ = function.__doc__
    overload(stub, jit_options=INLINE)(function)
    return stub


# -- the two formats ---------------------------------------------------------------------------


class Format(NamedTuple):
    """What differs between float32 and float64: layout, splits of log 2, and fitted polynomials."""

    float: Any
    int: Any
    mantissa: Any  # bits of the fraction
    bias: Any
    sqrt_half: Any  # the bits of sqrt(1/2)
    tiny: Any  # smallest normal
    ln2_hi: Any  # few enough bits that any exponent times it is exact
    ln2_lo: Any
    magic: Any  # adding it rounds to an integer
    exp_low: Any  # exp is 0 below, inf above
    exp_high: Any
    expm1_low: Any  # expm1 is -1 below
    log_tail: Any  # (log(1+f) - f + f^2/2) / f^3 on [sqrt(1/2)-1, sqrt(2)-1]
    exp_tail: Any  # (exp(r) - 1 - r) / r^2 on |r| <= log(2)/2
    cos_tail: Any  # (cos(pi z) - 1) / z^2 as a function of z^2, |z| <= 1/4
    sin_over: Any  # sin(pi z) / z, likewise


def _format(float_type, int_type, mantissa, exponent_bits, **numbers):
    bias = (1 << (exponent_bits - 1)) - 1
    typed = {
        name: float_type(value) if isinstance(value, float) else value
        for name, value in numbers.items()
    }
    return Format(
        float=float_type,
        int=int_type,
        mantissa=int_type(mantissa),
        bias=int_type(bias),
        sqrt_half=float_type(np.sqrt(0.5)).view(int_type),
        tiny=np.finfo(float_type).tiny,
        magic=float_type(1.5 * 2.0**mantissa),
        **typed,
    )


FLOAT32 = _format(
    np.float32,
    np.int32,
    23,
    8,
    ln2_hi=float.fromhex("0x1.62e4p-1"),
    ln2_lo=1.4286068203094172321e-6,
    exp_low=-104.0,
    exp_high=89.0,
    expm1_low=-20.0,
    log_tail=polynomial(
        *(0.333339107306, -0.250013370904, 0.199630642246, -0.165775832118),
        *(0.149147625572, -0.142674961235, 0.0870045953815),
    ),
    exp_tail=polynomial(
        0.499999981431, 0.166665431768, 0.0416672020673, 0.00836658049906, 0.00138824931085
    ),
    cos_tail=polynomial(-4.93480217341, 4.05870790449, -1.3350584643, 0.23142954287),
    sin_over=polynomial(
        3.14159265358, -5.16771276882, 2.55016261897, -0.599201360307, 0.0809958781066
    ),
)
FLOAT64 = _format(
    np.float64,
    np.int64,
    52,
    11,
    ln2_hi=float.fromhex("0x1.62e42fefa3800p-1"),
    ln2_lo=5.4979230187083711747e-14,
    exp_low=-746.0,
    exp_high=710.0,
    expm1_low=-40.0,
    log_tail=polynomial(
        *(0.33333333333333143669, -0.24999999999987976095, 0.20000000000066616099),
        *(-0.16666666669825837829, 0.14285714280092863006, -0.12499999691446975743),
        *(0.11111111147477912633, -0.10000015206100845988, 0.090909239315302414024),
        *(-0.083329135436898439333, 0.07691529825397202159, -0.071494394858271587577),
        *(0.066845890521321872004, -0.061966784776530876589, 0.05668377935646497334),
        *(-0.056777846008778941907, 0.065034910582841219292, -0.059817016341523904419),
        0.02615092219011714669,
    ),
    exp_tail=polynomial(
        *(0.50000000000000052264, 0.16666666666666588602, 0.041666666666576103667),
        *(0.0083333333333899402105, 0.0013888888931796252274, 0.00019841269718390714931),
        *(0.000024801504977606894575, 2.7557407815400937482e-6, 2.7626161871626652009e-7),
        2.5053793697196757468e-8,
    ),
    cos_tail=polynomial(
        *(-4.9348022005446793094, 4.0587121264167682042, -1.3352627688545870177),
        *(0.23533063035868072189, -0.025806891379934598328, 0.0019295740307521133637),
        *(-0.00010463363532724253018, 4.2644991972991929555e-6),
    ),
    sin_over=polynomial(
        *(3.1415926535897932385, -5.1677127800499700173, 2.5501640398773414661),
        *(-0.59926452932028663992, 0.0821458865795442729, -0.0073704298727222033091),
        *(0.00046628259021133904657, -0.000021716765464639911832),
    ),
)
FORMATS = {types.float32: FLOAT32, types.float64: FLOAT64}


INLINE = {"forceinline": True, **OPTIONS}


def elementary(build):
    """Make a compiled, always inlined function of x from `build(format)`, which writes it for one format."""

    def stub(x):
        raise NotImplementedError("for compiled code only")

    def choose(x):
        return build(FORMATS[x]) if x in FORMATS else None

    stub.__name__, stub.__doc__ = build.__name__, build.__doc__
    overload(stub, jit_options=INLINE)(choose)
    return stub


# -- logarithms --------------------------------------------------------------------------------


def split(form):
    """Build x -> (e, f) with x = 2^e (1 + f) and 1 + f in [sqrt(1/2), sqrt(2)), for positive normal x."""
    integer, mantissa, sqrt_half, one = form.int, form.mantissa, form.sqrt_half, form.float(1)
    real = form.float

    @inline
    def implementation(x):
        i = bits(x)
        e = integer(integer(i - sqrt_half) >> mantissa)
        m = bits(integer(i - integer(e << mantissa)))
        return real(e), m - one

    return implementation


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
    integer, real, mantissa, bias = form.int, form.float, form.mantissa, form.bias
    one, zero, inf, nan = form.float(1), form.float(0), form.float(np.inf), form.float(np.nan)
    negligible = form.float(2.0**-60)

    def implementation(x):
        y = one + x
        back = y - one
        lost = (one - (y - back)) + (x - back)  # y + lost = 1 + x exactly (Knuth's two-sum)
        e, f = parts(y)
        f = fma(lost, bits(integer(integer(bias - integer(e)) << mantissa)), f)
        result = where(abs(x) < negligible, x, assemble(e, f))
        result = where(y > zero, result, where(y == zero, -inf, nan))
        return where(x < inf, result, x)

    return implementation


# -- exponentials ------------------------------------------------------------------------------


def _exp_reduce(form):
    """Build x -> (n, r) with x = n log 2 + r and |r| <= log(2) / 2, n an integer."""
    integer, magic = form.int, form.magic
    magic_bits = magic.view(integer)
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
    integer, real, mantissa, bias = form.int, form.float, form.mantissa, form.bias
    low, high, one = form.exp_low, form.exp_high, form.float(1)

    def implementation(x):
        x = where(x < low, low, x)
        x = where(x > high, high, x)
        n, r = exp_reduce(x)
        p = fma(r * r, tail(r), r) + one
        half = integer(n >> 1)  # two factors: 2^n itself may be subnormal or overflow
        first = bits(integer(integer(half + bias) << mantissa))
        second = bits(integer(integer(integer(n - half) + bias) << mantissa))
        return p * first * second

    return implementation


@elementary
def exp_normal(form):
    """exp for x up to 88 (float32) or 709 (float64), whose subnormal results are flushed to 0: faster."""
    exp_reduce, tail = _exp_reduce(form), form.exp_tail
    integer, mantissa, bias = form.int, form.mantissa, form.bias
    low, one, zero = np.log(form.tiny), form.float(1), form.float(0)

    def implementation(x):
        n, r = exp_reduce(where(x < low, low, x))
        p = fma(r * r, tail(r), r) + one
        power = bits(integer(integer(n + bias) << mantissa))
        return where(x < low, zero, p * power)

    return implementation


@elementary
def expm1(form):
    """exp(x) - 1, exact for small x."""
    exp_reduce, tail = _exp_reduce(form), form.exp_tail
    integer, real, mantissa, bias = form.int, form.float, form.mantissa, form.bias
    low, high, half = form.expm1_low, form.exp_high, form.float(0.5)
    negligible = form.float(2.0**-60)
    one = integer(1)

    def implementation(x):
        z = where(x < low, low, x)
        z = where(z > high, high, z)
        n, r = exp_reduce(z)
        q = fma(r * r, tail(r), r)
        power = bits(integer(integer(n + integer(bias - one)) << mantissa))  # 2^(n-1)
        y = fma(power, q, power - half)
        return where(abs(x) < negligible, x, y + y)

    return implementation


# -- from the above ----------------------------------------------------------------------------


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
    gap = where(a > b, b - a, a - b)
    return high + where(high == like(-np.inf, a), like(0, a), log1p(exp(gap)))


@elementary
def previous(form):
    """The largest number below a finite x."""
    zero, one, least = form.float(0), form.int(1), np.nextafter(form.float(0), form.float(-1))
    integer = form.int

    def implementation(x):
        i = bits(x)
        nonzero = bits(where(x > zero, integer(i - one), integer(i + one)))
        return where(x == zero, least, nonzero)

    return implementation


@elementary
def cos_2pi(form):
    """cos(2 pi x) for 0 <= x <= 1, exact at the multiples of 1/8 up to rounding."""
    cos_tail, sin_over, integer, magic = form.cos_tail, form.sin_over, form.int, form.magic
    magic_bits = magic.view(integer)
    one, two, half = form.float(1), form.float(2), form.float(0.5)
    bit0, bit1, none = integer(1), integer(2), integer(0)

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
