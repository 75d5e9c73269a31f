"""Separable convolution of planes that are zero outside the picture."""

import numpy as np

from fastgrad.kernels.jit import block, kernel, prange, wide_vectors
from fastgrad.kernels.special import fma


@block
def blur_row(out, plane, y, taps, padded):
    """Set out to row y of a plane under symmetric taps x taps; padded stays zero at both ends."""
    wide_vectors()
    height, width = plane.shape
    radius = taps.size // 2
    middle, row = padded[radius : radius + width], plane[y]
    for c in range(width):
        middle[c] = taps[radius] * row[c]
    for t in range(1, radius + 1):
        tap = taps[radius + t]
        if y >= t:
            row = plane[y - t]
            for c in range(width):
                middle[c] = fma(tap, row[c], middle[c])
        if y + t < height:
            row = plane[y + t]
            for c in range(width):
                middle[c] = fma(tap, row[c], middle[c])
    for c in range(width):
        out[c] = taps[radius] * middle[c]
    for t in range(1, radius + 1):
        tap = taps[radius + t]
        left, right = padded[radius - t :], padded[radius + t :]
        for c in range(width):
            out[c] = fma(tap, left[c] + right[c], out[c])


@kernel
def blur(chunks, out, planes, taps):
    """Convolve each plane, shape (n, height, width), with taps x taps."""
    n, height, width = planes.shape
    for chunk in prange(chunks):
        padded = np.zeros(width + taps.size, planes.dtype)
        for r in range(chunk * n * height // chunks, (chunk + 1) * n * height // chunks):
            plane, y = r // height, r % height
            blur_row(out[plane, y], planes[plane], y, taps, padded)
