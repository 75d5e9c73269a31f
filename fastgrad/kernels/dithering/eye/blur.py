"""Separable convolution of planes that are zero outside the picture.

Oracle: tests/support/reference_dithering.py, `blur_matrix`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like


@block
def blur_row(out, plane, y, down, across, nu, padded):
    """Add row y of a plane under symmetric down x across, and nu times itself, to out.

    padded is scratch that stays zero at both ends.
    """
    wide_vectors()
    height, width = plane.shape
    radius = down.size // 2
    middle, row = padded[radius : radius + width], plane[y]
    for c in range(width):
        middle[c] = down[radius] * row[c]
    for t in range(1, radius + 1):
        tap = down[radius + t]
        if y >= t:
            row = plane[y - t]
            for c in range(width):
                middle[c] = fma(tap, row[c], middle[c])
        if y + t < height:
            row = plane[y + t]
            for c in range(width):
                middle[c] = fma(tap, row[c], middle[c])
    tap, row = across[radius], plane[y]
    for c in range(width):
        out[c] += fma(tap, middle[c], nu * row[c])
    for t in range(1, radius + 1):
        tap = across[radius + t]
        left, right = padded[radius - t :], padded[radius + t :]
        for c in range(width):
            out[c] = fma(tap, left[c] + right[c], out[c])


@kernel(cost=lambda planes, taps: planes.size * taps.size)
def blur(chunk, chunks, out, planes, taps, nu, margin):
    """out, inside its margin, = the planes under a sum of down x across, plus nu planes.

    taps has the shape (terms, 2, 2 radius + 1), planes (n, height, width).
    """
    n, height, width = planes.shape
    none = like(0, nu)
    padded = np.zeros(width + taps.shape[2], planes.dtype)
    for r in chunk_range(n * height, chunk, chunks):
        plane, y = r // height, r % height
        row = out[plane, margin + y, margin : margin + width]
        row[:] = none
        for i in range(taps.shape[0]):
            weight = nu if i == 0 else none
            blur_row(row, planes[plane], y, taps[i, 0], taps[i, 1], weight, padded)
