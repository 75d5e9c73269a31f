"""Separable convolution of planes that are zero outside the picture.

Rows are held, as many as the blur reaches, in an array in which they take turns, filled up with
zeros to whole vectors: so sums stay in registers, and rows may as well be made on the way.

Oracle: tests/support/reference_dithering.py, `blur_matrix`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like
from fastgrad.kernels.simd.vectors import LANES, load, store
from fastgrad.kernels.tiles.elementwise import assign
from fastgrad.kernels.tiles.memory import empty, zeros

PAIR = 2 * LANES  # columns at a time: two sums, which do not wait for each other


@inline
def room(width, taps):
    """Return the rows to hold for a blur, all zero, and scratch for `blur_row`."""
    rows, whole = taps.shape[2], -(-width // PAIR) * PAIR
    held, line = zeros((rows, whole), taps.dtype), empty(whole, taps.dtype)
    return held, empty(rows, np.int64), zeros(whole + rows + LANES, taps.dtype), line


@inline
def newest(y, start, radius):
    """Return the first row that is not held yet where those around row y are wanted."""
    return y - radius if y == start else y + radius


@block
def blur_row(line, held, row, places, middle, taps, nu):
    """line = a row of a plane under a sum of down x across, plus nu times itself.

    Row r of the plane is row r modulo their number of `held`. places and middle are scratch; the
    second stays zero at both ends.
    """
    wide_vectors()
    rows = taps.shape[2]
    radius = rows // 2
    for t in range(rows):
        places[t] = (row + t - radius) % rows
    here = places[radius]
    for i in range(taps.shape[0]):
        down, across = taps[i, 0], taps[i, 1]
        for c in range(0, line.size, PAIR):
            d = c + LANES
            x, y = down[radius] * load(held, (here, c)), down[radius] * load(held, (here, d))
            for t in range(1, radius + 1):
                tap, above, below = down[radius + t], places[radius - t], places[radius + t]
                x = fma(tap, load(held, (above, c)), x)
                y = fma(tap, load(held, (above, d)), y)
                x = fma(tap, load(held, (below, c)), x)
                y = fma(tap, load(held, (below, d)), y)
            store(middle, radius + c, x)
            store(middle, radius + d, y)
        for c in range(0, line.size, PAIR):
            at = radius + c
            d, beside = c + LANES, at + LANES
            if i == 0:
                x, y = nu * load(held, (here, c)), nu * load(held, (here, d))
                x = fma(across[radius], load(middle, at), x)
                y = fma(across[radius], load(middle, beside), y)
            else:
                x = load(line, c) + across[radius] * load(middle, at)
                y = load(line, d) + across[radius] * load(middle, beside)
            for t in range(1, radius + 1):
                tap = across[radius + t]
                x = fma(tap, load(middle, at - t) + load(middle, at + t), x)
                y = fma(tap, load(middle, beside - t) + load(middle, beside + t), y)
            store(line, c, x)
            store(line, d, y)


@kernel(cost=lambda planes, taps: planes.size * taps.size)
def blur(chunk, chunks, out, planes, taps, nu, margin):
    """out, inside its margin, = the planes under a sum of down x across, plus nu planes.

    taps has the shape (terms, 2, 2 radius + 1), planes (n, height, width).
    """
    n, height, width = planes.shape
    radius = taps.shape[2] // 2
    held, places, middle, line = room(width, taps)
    rows = chunk_range(n * height, chunk, chunks)
    for r in rows:
        plane, y = r // height, r % height
        start = y if r == rows.start else 0
        for new in range(newest(y, start, radius), y + radius + 1):
            row = held[new % len(held), :width]
            if 0 <= new < height:
                assign(row, planes[plane, new])
            else:
                row[:] = like(0, nu)
        blur_row(line, held, y, places, middle, taps, nu)
        assign(out[plane, margin + y, margin : margin + width], line[:width])
