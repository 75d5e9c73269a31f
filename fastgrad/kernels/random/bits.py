"""Random bits of tiles: where a row's variates stand in the stream, and the words found there.

Oracle: tests/support/reference.py, `address` and `random_bits`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import inline, shared, wide_vectors
from fastgrad.kernels.random.philox import philox_lanes
from fastgrad.kernels.simd.vectors import LANES
from fastgrad.kernels.tiles import tile
from fastgrad.kernels.tiles.memory import reshaped


@inline
def empty_bits(layout, x):
    """Return room for the bits of a tile of x: one plane of words, or two if x is float64."""
    return tile.empty((x.itemsize // 4, layout.depth, layout.columns), np.uint32)


@inline
def addresses(layout, row):
    """Return (start, along, down): group g at depth i has address start + g along + i down."""
    row += layout.offset
    if layout.fold:
        groups = layout.columns // 4
        return row * groups * layout.depth, 1, groups
    return row // 4 * layout.k, layout.k, 1


@shared
def fill_bits(bits, start, along, down, sample, purpose, key):
    """Fill bits, shape (1 or 2, depth, columns): a second plane extends each word to 64 bits."""
    wide_vectors()
    planes, depth, columns = bits.shape
    for plane in range(planes):
        word3 = np.uint32(purpose + plane)
        lanes = reshaped(bits[plane], (depth, 4, columns // 4))
        for i in range(depth):
            base = start + i * down
            for g in range(0, columns // 4, LANES):
                philox_lanes(lanes[i], g, base + g * along, along, sample, word3, key[0], key[1])
