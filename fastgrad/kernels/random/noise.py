"""Variates from random bits: 32 of them make a float32, 64 a float64.

The bits k stand for u = (k + 1/2) 2^-w. Both u and 1 - u are taken from the bits, never from each
other, so that a variate keeps its full relative precision in both tails: an exponential lies in
[2^-33, 22.9] (float32) or [2^-65, 45.1] (float64), and nothing is ever 0 or infinite.

Oracle: tests/support/reference.py, `variates`.
"""

import numpy as np
from numba import types
from numba.extending import overload

from fastgrad.kernels.compiler.jit import inline, shared, wide_vectors
from fastgrad.kernels.simd.formats import FORMATS
from fastgrad.kernels.simd.intrinsics import fma, to_uint32, to_uint64, where
from fastgrad.kernels.simd.special import INLINE, log_reduced, split
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles.memory import flattened


def _from_bits(build):
    """Make an inlined function of (high, low, like_real): a variate of that real type.

    high and low are words of 32 bits, numbers or vectors; float32 needs the high one alone.
    """

    def stub(high, low, like_real):
        raise NotImplementedError("for compiled code only")

    def choose(high, low, like_real):
        form = FORMATS[getattr(like_real, "dtype", like_real)]
        width = 8 * np.dtype(form.float).itemsize
        return build(form, _word(width), form.float(2.0 ** -(width + 1)), form.float(2.0**-width))

    stub.__name__, stub.__doc__ = build.__name__, build.__doc__
    overload(stub, jit_options=INLINE)(choose)
    return stub


def _word(width):
    """Build (high, low) -> (k, its complement 2^width - 1 - k), a random integer."""
    shift = np.uint64(32)

    @inline
    def word32(high, low):
        return high, to_uint32(~high)

    @inline
    def word64(high, low):
        k = (to_uint64(high) << shift) | to_uint64(low)
        return k, ~k

    return word32 if width == 32 else word64


@_from_bits
def uniform(form, word, half, unit):
    """u in (0, 1); the largest k, which would round to 1, gives the number below it."""
    real, below_one = form.to_float, np.nextafter(form.float(1), form.float(0))

    def implementation(high, low, like_real):
        u = fma(real(word(high, low)[0]), unit, half)
        return where(u > below_one, below_one, u)

    return implementation


def _least_split(form):
    """Return the least k whose 1 - u is below sqrt(1/2), where `split` begins to lower it."""
    width = 8 * np.dtype(form.float).itemsize
    low, high, least = 0, 2**width - 1, form.sqrt_half.view(form.float)
    while low < high:
        k = (low + high) // 2
        rest = form.float(float(form.float(2**width - 1 - k)) * 2.0**-width + 2.0 ** -(width + 1))
        low, high = (low, k) if rest < least else (k + 1, high)
    return np.dtype(f"u{width // 8}").type(low)


@_from_bits
def exponential(form, word, half, unit):
    """-log(1 - u), from whichever of u and 1 - u is exact."""
    real, zero, bound = form.to_float, form.float(0), _least_split(form)
    parts, assemble = split(form), log_reduced(form)

    def implementation(high, low, like_real):
        k, complement = word(high, low)
        small = k < bound
        x = fma(real(where(small, k, complement)), unit, half)  # one conversion: they are dear
        e, f = parts(x)
        return -assemble(where(small, zero, e), where(small, -x, f))

    return implementation


@_from_bits
def odds(form, word, half, unit):
    """u / (1 - u), whose logarithm is logistic noise: within [2^-33, 2^33] (float32)."""
    real = form.to_float

    def implementation(high, low, like_real):
        k, complement = word(high, low)
        return fma(real(k), unit, half) / fma(real(complement), unit, half)

    return implementation


def strip_ahead(out, high, low, start, stop, step):
    """Fill a vector of exponentials at each step of flat arrays, for `exponential_at`: float32.

    A loop of its own: beside other work, constants and halves of vectors would not fit in 16
    registers, and to put them on the stack takes longer than to read exponentials again. Those of
    float64 do not fit alone either: they are made where they are used.
    """
    raise NotImplementedError("for compiled code only")


def exponential_at(out, high, low, i):
    """Return the vector of exponentials at i of flat arrays, which `strip_ahead` may have made."""
    raise NotImplementedError("for compiled code only")


@overload(strip_ahead, jit_options=INLINE)
def _strip_ahead(out, high, low, start, stop, step):
    def made(out, high, low, start, stop, step):
        for i in range(start, stop, step):
            store(out, i, exponential(load(high, i), load(low, i), out))

    def left(out, high, low, start, stop, step):
        pass

    return made if out.dtype == types.float32 else left


@overload(exponential_at, jit_options=INLINE)
def _exponential_at(out, high, low, i):
    def made(out, high, low, i):
        return load(out, i)

    def left(out, high, low, i):
        return exponential(load(high, i), load(low, i), out)

    return made if out.dtype == types.float32 else left


@shared
def fill_exponential(out, bits):
    """Fill a tile with exponentials, from bits of shape (planes, *out.shape)."""
    wide_vectors()
    flat = flattened(out)
    high, low = flattened(bits[0]), flattened(bits[-1])
    for i in range(0, out.size, LANES):
        store(flat, i, exponential(load(high, i), load(low, i), out))
