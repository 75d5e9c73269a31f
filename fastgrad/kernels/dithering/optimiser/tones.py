"""A map of colours, given as a table of them.

Oracle: tests/dithering/optimiser/test_tones.py, `interpolated`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, kernel
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles.memory import empty


@kernel(cost=lambda values: 8 * values.size)
def look_up(chunk, chunks, out, values, table):
    """out = the table at values in [0, 1], (N, 3), linearly between its nodes in each channel.

    table is (nodes, nodes, nodes, 3).
    """
    last = table.shape[0] - 1
    low, share = empty(3, np.int64), empty((2, 3), values.dtype)
    for i in chunk_range(len(values), chunk, chunks):
        for channel in range(3):
            place = values[i, channel] * like(last, values)
            low[channel] = min(np.int64(place), last - 1)
            share[1, channel] = place - like(low[channel], values)
            share[0, channel] = like(1, values) - share[1, channel]
            out[i, channel] = like(0, values)
        for corner in range(8):
            r, g, b = corner >> 2, corner >> 1 & 1, corner & 1
            part = share[r, 0] * share[g, 1] * share[b, 2]
            node = table[low[0] + r, low[1] + g, low[2] + b]
            for channel in range(3):
                out[i, channel] += part * node[channel]
