"""The two floating-point formats: their layout, their splits of log 2 and their fitted polynomials.

Coefficients are minimax fits (Remez, relative error) made for this package.
"""

from typing import Any, NamedTuple

import numpy as np
from numba import types

from fastgrad.kernels.simd.intrinsics import polynomial, to_float32, to_float64, to_int32, to_int64


class Format(NamedTuple):
    """What differs between float32 and float64: layout, splits of log 2, and fitted polynomials."""

    float: Any
    int: Any
    to_float: Any  # conversions in compiled code, of numbers and vectors
    to_int: Any
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
    raised: Any  # exp_raised is exp times 2 to this power
    lowered: Any  # by this before it is squared, lest that overflow
    log_tail: Any  # (log(1+f) - f + f^2/2) / f^3 on [sqrt(1/2)-1, sqrt(2)-1]
    exp_tail: Any  # (exp(r) - 1 - r) / r^2 on |r| <= log(2)/2
    cos_tail: Any  # (cos(pi z) - 1) / z^2 as a function of z^2, |z| <= 1/4
    sin_over: Any  # sin(pi z) / z, likewise


def _format(float_type, int_type, to_float, to_int, mantissa, exponent_bits, **numbers):
    bias = (1 << (exponent_bits - 1)) - 1
    typed = {
        name: float_type(value) if isinstance(value, float) else value
        for name, value in numbers.items()
    }
    return Format(
        float=float_type,
        int=int_type,
        to_float=to_float,
        to_int=to_int,
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
    to_float32,
    to_int32,
    23,
    8,
    ln2_hi=float.fromhex("0x1.62e4p-1"),
    ln2_lo=1.4286068203094172321e-6,
    exp_low=-104.0,
    exp_high=89.0,
    expm1_low=-20.0,
    raised=40,
    lowered=2.0**-34,
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
    to_float64,
    to_int64,
    52,
    11,
    ln2_hi=float.fromhex("0x1.62e42fefa3800p-1"),
    ln2_lo=5.4979230187083711747e-14,
    exp_low=-746.0,
    exp_high=710.0,
    expm1_low=-40.0,
    raised=80,
    lowered=2.0**-70,
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
