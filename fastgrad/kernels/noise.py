"""Variates from random bits: 32 of them make a float32, 64 a float64.

The bits k stand for u = (k + 1/2) 2^-w. Both u and 1 - u are taken from the bits, never from each
other, so that a variate keeps its full relative precision in both tails: an exponential lies in
[2^-33, 22.9] (float32) or [2^-65, 45.1] (float64), and nothing is ever 0 or infinite.
"""

import numpy as np
from numba.extending import overload

from fastgrad.kernels.formats import FORMATS
from fastgrad.kernels.intrinsics import fma, where
from fastgrad.kernels.jit import block, inline, wide_vectors
from fastgrad.kernels.special import INLINE, log_reduced, split


def _from_bits(build):
    """Make an inlined function of (bits, i, like_real) from `build`: variate i in that real type.

    bits has shape (planes, n): the high words, and for float64 the low words too.
    """

    def stub(bits, i, like_real):
        raise NotImplementedError("for compiled code only")

    def choose(bits, i, like_real):
        form = FORMATS[getattr(like_real, "dtype", like_real)]
        width = 8 * np.dtype(form.float).itemsize
        return build(form, _word(width), form.float(2.0 ** -(width + 1)), form.float(2.0**-width))

    stub.__name__, stub.__doc__ = build.__name__, build.__doc__
    overload(stub, jit_options=INLINE)(choose)
    return stub


def _word(width):
    """Build (bits, i) -> (k, its complement 2^width - 1 - k), the i-th random integer."""
    u32, u64, shift = np.uint32, np.uint64, np.uint64(32)

    @inline
    def word32(bits, i):
        return bits[0, i], u32(~bits[0, i])

    @inline
    def word64(bits, i):
        k = u64(u64(bits[0, i]) << shift) | u64(bits[1, i])
        return k, ~k

    return word32 if width == 32 else word64


@_from_bits
def uniform(form, word, half, unit):
    """u in (0, 1); the largest k, which would round to 1, gives the number below it."""
    real, below_one = form.float, np.nextafter(form.float(1), form.float(0))

    def implementation(bits, i, like_real):
        u = fma(real(word(bits, i)[0]), unit, half)
        return where(u > below_one, below_one, u)

    return implementation


@_from_bits
def exponential(form, word, half, unit):
    """-log(1 - u), from whichever of u and 1 - u is exact."""
    real, zero = form.float, form.float(0)
    parts, assemble = split(form), log_reduced(form)

    def implementation(bits, i, like_real):
        k, complement = word(bits, i)
        u = fma(real(k), unit, half)
        e, f = parts(fma(real(complement), unit, half))
        return -assemble(e, where(e == zero, -u, f))

    return implementation


@_from_bits
def odds(form, word, half, unit):
    """u / (1 - u), whose logarithm is logistic noise: within [2^-33, 2^33] (float32)."""
    real = form.float

    def implementation(bits, i, like_real):
        k, complement = word(bits, i)
        return fma(real(k), unit, half) / fma(real(complement), unit, half)

    return implementation


@block
def fill_exponential(out, bits):
    """Fill a tile with exponentials, from bits of shape (planes, *out.shape)."""
    wide_vectors()
    flat, bits = out.reshape(out.size), bits.reshape((bits.shape[0], out.size))
    for i in range(flat.size):
        flat[i] = exponential(bits, i, flat)
