"""A map of colours, given as a table of them.

Oracle: tests/dithering/optimiser/test_tones.py, `interpolated`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import chunk_range, inline, kernel
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles.memory import flattened


@inline
def between(value, last):
    """Return the node below a value in [0, 1], and the share of the next one."""
    place = value * like(last, value)
    low = min(np.int64(place), last - 1)
    return low, place - like(low, value)


@kernel(cost=lambda values: 8 * values.size)
def look_up(chunk, chunks, out, values, table):
    """out = the table at values in [0, 1], (N, 3), linearly between its nodes in each channel.

    table is (nodes, nodes, nodes, 3).
    """
    nodes = table.shape[0]
    flat, last = flattened(table), nodes - 1
    for i in chunk_range(len(values), chunk, chunks):
        red, green, blue = values[i, 0], values[i, 1], values[i, 2]
        r, red_high = between(red, last)
        g, green_high = between(green, last)
        b, blue_high = between(blue, last)
        one, x, y, z = like(1, values), like(0, values), like(0, values), like(0, values)
        for across in (0, 1):
            red_part = red_high if across else one - red_high
            for up in (0, 1):
                share = red_part * (green_high if up else one - green_high)
                node = np.uint64(3 * (((r + across) * nodes + g + up) * nodes + b))
                part = share * (one - blue_high)
                x = x + part * flat[node]
                y = y + part * flat[node + np.uint64(1)]
                z = z + part * flat[node + np.uint64(2)]
                part = share * blue_high
                x = x + part * flat[node + np.uint64(3)]
                y = y + part * flat[node + np.uint64(4)]
                z = z + part * flat[node + np.uint64(5)]
        out[i, 0], out[i, 1], out[i, 2] = x, y, z
