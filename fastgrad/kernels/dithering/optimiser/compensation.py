"""What is missed of slow changes of colour, added up from sweep to sweep.

Oracle: tests/dithering/optimiser/test_compensation.py, `added_up`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, kernel
from fastgrad.kernels.simd.intrinsics import fma


@kernel(cost=lambda sums: sums.size)
def add_up(chunk, chunks, sums, missed, most, kept):
    """sums = kept sums + missed, no further from 0 than most; missed = what came to the sums.

    sums and missed are (channels, height, width), most (height, width).
    """
    for y in chunk_range(len(most), chunk, chunks):
        for channel in range(len(sums)):
            row, change, limit = sums[channel, y], missed[channel, y], most[y]
            for c in range(limit.size):
                before = row[c]
                now = min(max(fma(kept, before, change[c]), -limit[c]), limit[c])
                row[c], change[c] = now, now - before


@kernel(cost=lambda field: field.size)
def steer(chunk, chunks, field, awake, weights, off, least, margin, around):
    """field += weights off, and pixels wake where that is more than their least in any channel.

    field has a margin, and awake another one, `around`; off is (channels, height, width).
    """
    height, width = weights.shape
    for y in chunk_range(height, chunk, chunks):
        waking = awake[around + y, around : around + width]
        for channel in range(len(off)):
            row = field[channel, margin + y, margin : margin + width]
            for c in range(width):
                change = off[channel, y, c]
                row[c] = fma(weights[y, c], change, row[c])
                waking[c] |= np.uint8(abs(change) > least[y, c])
