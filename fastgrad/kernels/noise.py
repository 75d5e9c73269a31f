"""Variates from random bits: 32 of them make a float32, 64 a float64.

The bits k stand for u = (k + 1/2) 2^-w. Both u and 1 - u are taken from the bits, never from each
other, so that a variate keeps its full relative precision in both tails: an exponential lies in
[2^-33, 22.9] (float32) or [2^-65, 45.1] (float64), and nothing is ever 0 or infinite.
"""

import numpy as np
from numba import types
from numba.extending import overload

from fastgrad.kernels.jit import OPTIONS
from fastgrad.kernels.special import FLOAT32, FLOAT64, _log_reduced, _split, cos_2pi, fma, where

OPTIONS = {"forceinline": True, **OPTIONS}
FORMATS = {types.uint32: FLOAT32, types.uint64: FLOAT64}


def _from_bits(build):
    """Make a compiled function of random bits from `build(format, complement)`."""

    def stub(bits):
        raise NotImplementedError("for compiled code only")

    def choose(bits):
        return build(FORMATS[bits]) if bits in FORMATS else None

    stub.__name__, stub.__doc__ = build.__name__, build.__doc__
    overload(stub, jit_options=OPTIONS)(choose)
    return stub


def _scale(form):
    """Return what turns bits into u: the unsigned type, half a unit, and the unit."""
    width = 8 * np.dtype(form.float).itemsize
    unsigned = np.uint32 if width == 32 else np.uint64
    return unsigned, form.float, form.float(2.0 ** -(width + 1)), form.float(2.0**-width)


@_from_bits
def uniform(form):
    """u in (0, 1): never 0, and never 1 either, which the largest k would round to."""
    _, real, half, unit = _scale(form)
    below_one = np.nextafter(form.float(1), form.float(0))

    def implementation(bits):
        u = fma(real(bits), unit, half)
        return where(u > below_one, below_one, u)

    return implementation


@_from_bits
def exponential(form):
    """-log(1 - u), from whichever of u and 1 - u is exact."""
    unsigned, real, half, unit = _scale(form)
    split, log_reduced, zero = _split(form), _log_reduced(form), form.float(0)

    def implementation(bits):
        u = fma(real(bits), unit, half)
        complement = fma(real(unsigned(~bits)), unit, half)
        e, f = split(complement)
        return -log_reduced(e, where(e == zero, -u, f))

    return implementation
