"""Factors of rows: an array (N,), a number for each row, or (1,), one number for all.

Both are of one type, so that a kernel is compiled once. It takes `room`, does `fill` it for each
tile, and takes an `entry` where it holds 16 columns in `vectors`. Kernels of sites, which are not
laid out in tiles, take a `part` instead, and of it each `item`.
"""

from numba import types
from numba.extending import overload

from fastgrad.kernels.compiler.jit import block, inline, wide_vectors
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import INLINE
from fastgrad.kernels.simd.vectors import load
from fastgrad.kernels.tiles import tile


@inline
def room(factor, layout):
    """Return a statistic for the factors of a tile."""
    (own,) = tile.statistics(layout, 1, factor.dtype)
    return own


@inline
def fill(own, factor, row, fold):
    """Read the factors of the tile that starts at `row` into what `room` gave."""
    if factor.size == 1:
        own[:] = factor[0]
    else:
        tile.load_statistics(own, factor, row, like(1, own), fold)


def entry(own, c):
    """Return the factors of 16 columns from c on; own may be a number, too."""
    raise NotImplementedError("for compiled code only")


@overload(entry, jit_options=INLINE)
def _entry(own, c):
    return (lambda own, c: load(own, c)) if isinstance(own, types.Array) else lambda own, c: own


def item(own, c):
    """Return the factor of a site; own may be a number, too."""
    raise NotImplementedError("for compiled code only")


@overload(item, jit_options=INLINE)
def _item(own, c):
    return (lambda own, c: own[c]) if isinstance(own, types.Array) else lambda own, c: own


@inline
def power(number):
    """Return 1 or 2 if a factor is that, else 0."""
    return 1 if number == like(1, number) else 2 if number == like(2, number) else 0


@block
def part(own, factor, head):
    """Read the factors of as many sites as own has, from head on."""
    wide_vectors()
    if factor.size == 1:
        for c in range(own.size):
            own[c] = factor[0]
    else:
        for c in range(own.size):
            own[c] = factor[head + c]
