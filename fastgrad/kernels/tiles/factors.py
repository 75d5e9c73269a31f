"""Factors of rows: one number for all rows, or an array (N,), a number for each.

Numba compiles a kernel apart for either: the number costs what a number costs, and code for the
array is made when it is first used. A kernel makes `room`, does `fill` it for each tile, and takes
an `entry` where it holds 16 columns in `vectors`. Kernels of sites, which are not laid out in
tiles, take a `part` and of it each `item`.
"""

from numba import types
from numba.extending import overload

from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.simd.special import INLINE
from fastgrad.kernels.simd.vectors import load
from fastgrad.kernels.tiles import tile


def room(factor, layout):
    """Return a statistic for the factors of a tile; the factor itself if it is a number."""
    raise NotImplementedError("for compiled code only")


def fill(own, factor, row, fold):
    """Read the factors of the tile that starts at `row` into what `room` gave."""
    raise NotImplementedError("for compiled code only")


def entry(own, c):
    """Return the factors of 16 columns from c on, or the number."""
    raise NotImplementedError("for compiled code only")


def power(factor):
    """Return 1 or 2 if that is the factor of all rows, else 0."""
    raise NotImplementedError("for compiled code only")


def powers(own):
    """Return whether some factors of a tile, but not all rows' factor, are 1 or 2."""
    raise NotImplementedError("for compiled code only")


def part(factor, head, tail):
    """Return the factors of the sites from head to tail, or the number."""
    raise NotImplementedError("for compiled code only")


def item(own, c):
    """Return the factor of a site, or the number."""
    raise NotImplementedError("for compiled code only")


@overload(room, jit_options=INLINE)
def _room(factor, layout):
    def array(factor, layout):
        (own,) = tile.statistics(layout, 1, factor.dtype)
        return own

    return array if isinstance(factor, types.Array) else lambda factor, layout: factor


@overload(fill, jit_options=INLINE)
def _fill(own, factor, row, fold):
    def array(own, factor, row, fold):
        tile.load_statistics(own, factor, row, like(1, own), fold)

    return array if isinstance(own, types.Array) else lambda own, factor, row, fold: None


@overload(entry, jit_options=INLINE)
def _entry(own, c):
    return (lambda own, c: load(own, c)) if isinstance(own, types.Array) else lambda own, c: own


@overload(power, jit_options=INLINE)
def _power(factor):
    def number(factor):
        return 1 if factor == like(1, factor) else 2 if factor == like(2, factor) else 0

    return (lambda factor: 0) if isinstance(factor, types.Array) else number


@overload(powers, jit_options=INLINE)
def _powers(own):
    def array(own):
        found = False
        for c in range(own.size):
            found |= own[c] == like(1, own) or own[c] == like(2, own)
        return found

    return array if isinstance(own, types.Array) else lambda own: False


@overload(part, jit_options=INLINE)
def _part(factor, head, tail):
    def array(factor, head, tail):
        return factor[head:tail]

    return array if isinstance(factor, types.Array) else lambda factor, head, tail: factor


@overload(item, jit_options=INLINE)
def _item(own, c):
    return (lambda own, c: own[c]) if isinstance(own, types.Array) else lambda own, c: own
