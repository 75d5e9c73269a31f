"""Random bits of tiles: where a row's variates stand in the stream, and the words found there."""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, wide_vectors
from fastgrad.kernels.random.philox import philox_lanes
from fastgrad.kernels.simd.vectors import LANES
from fastgrad.kernels.tiles.tile import NARROW


@inline
def addresses(k, row, offset, columns, depth):
    """Return (start, along, down): group g at depth i has address start + g along + i down."""
    if k > NARROW:
        return (row + offset) * (columns // 4) * depth, 1, columns // 4
    return (row + offset) // 4 * k, k, 1


@block
def fill_bits(bits, start, along, down, sample, purpose, key):
    """Fill bits, shape (1 or 2, depth, columns): a second plane extends each word to 64 bits."""
    wide_vectors()
    planes, depth, columns = bits.shape
    for plane in range(planes):
        word3 = np.uint32(purpose + plane)
        lanes = bits[plane].reshape((depth, 4, columns // 4))
        for i in range(depth):
            base = start + i * down
            for g in range(0, columns // 4, LANES):
                philox_lanes(lanes[i], g, base + g * along, along, sample, word3, key[0], key[1])
