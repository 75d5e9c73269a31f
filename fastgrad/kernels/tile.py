"""Tiles: blocks of categoricals laid out so that one loop serves every K at full vector width.

A tile is an array of shape (depth, columns). Reductions over categories
run down the columns, all of them at once, so neither a small K nor an odd one slows them.

- narrow (K <= 256): a column is a row of the logits, depth = K. Row 4g + l of the block stands in
  column l * columns/4 + g, which makes the four words of a Philox call four contiguous stores.
- wide: the tile is one row, folded: category 64 i + c stands in column c. Places beyond K hold -inf,
  and statistics of the 64 columns are folded into one and spread again.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgrad.kernels.jit import inline
from fastgrad.kernels.philox import words
from fastgrad.kernels.special import like, where

NARROW = 256  # largest K for which a column is a row
FOLD = 64  # columns of a wide tile: four words of 16 lanes
TILE = 2048  # elements that keep the handful of tiles a kernel needs inside L1


@inline
def shape(n, k):
    """Return (columns, depth) of the tiles for n rows of k categories."""
    if k > NARROW:
        return FOLD, (k + FOLD - 1) // FOLD
    columns = max(TILE // k // FOLD, 1) * FOLD
    return min(columns, (n + 3 + FOLD - 1) // FOLD * FOLD), k


@inline
def count(n, k, columns, offset):
    """Return the number of tiles that cover n rows, the first of which is row `offset` of the whole."""
    return n if k > NARROW else (n + offset % 4 + columns - 1) // columns


@inline
def first_row(block, k, columns, offset):
    """Return the row at which a tile starts; up to 3 rows before the first, so groups of 4 align."""
    return block if k > NARROW else block * columns - offset % 4


def _transposed(builder, vectors):
    """Emit the 4 x 4 transpose of four <4 x float> vectors."""

    def shuffle(a, b, *mask):
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), 4), mask))

    a, b, c, d = vectors
    ab, cd = shuffle(a, b, 0, 4, 1, 5), shuffle(c, d, 0, 4, 1, 5)
    ab2, cd2 = shuffle(a, b, 2, 6, 3, 7), shuffle(c, d, 2, 6, 3, 7)
    low, high = (0, 1, 4, 5), (2, 3, 6, 7)
    return [shuffle(ab, cd, *low), shuffle(ab, cd, *high), shuffle(ab2, cd2, *low), shuffle(ab2, cd2, *high)]


def _transfer(into_tile):
    """Build the move of 16 rows x 4 categories between rows x[r0 : r0+16, i0 : i0+4] and a tile.

    Shuffles in registers: scalar code, or the gathers LLVM would choose, take five times as long.
    """

    @intrinsic
    def transfer(typingctx, x, r0, i0, lanes, g0):
        def codegen(context, builder, signature, args):
            x_array = context.make_array(x)(context, builder, args[0])
            lane_array = context.make_array(lanes)(context, builder, args[3])
            _, r0, i0, _, g0 = args
            vector = ir.VectorType(context.get_data_type(x.dtype), 4)
            size = vector.element.width // 8 if hasattr(vector.element, "width") else (4 if x.dtype.bitwidth == 32 else 8)
            index = r0.type
            _, k = cgutils.unpack_tuple(builder, x_array.shape)
            depth, four, quarter = cgutils.unpack_tuple(builder, lane_array.shape)
            last = builder.sub(depth, ir.Constant(index, 1))

            def add(a, n):
                return builder.add(a, ir.Constant(index, n))

            def pointer(array, offset):
                return builder.bitcast(builder.gep(array.data, [offset]), vector.as_pointer())

            def in_rows(j):
                return pointer(x_array, builder.add(builder.mul(add(r0, j), k), i0))

            def in_tile(i, lane):
                i = add(i0, i)
                i = builder.select(builder.icmp_signed("<", i, last), i, last)  # K < 4
                column = builder.mul(builder.add(builder.mul(i, four), ir.Constant(index, lane)), quarter)
                return pointer(lane_array, builder.add(column, g0))

            if into_tile:
                for lane in range(4):
                    rows = [builder.load(in_rows(4 * j + lane), align=size) for j in range(4)]
                    for i, v in reversed(list(enumerate(_transposed(builder, rows)))):
                        builder.store(v, in_tile(i, lane), align=size)
            else:
                rows = {}
                for lane in range(4):
                    columns = [builder.load(in_tile(i, lane), align=size) for i in range(4)]
                    for j, v in enumerate(_transposed(builder, columns)):
                        rows[4 * j + lane] = v
                for j in range(16):  # in order: for K < 4 each row is repaired by the next
                    builder.store(rows[j], in_rows(j), align=size)
            return context.get_dummy_value()

        return types.none(x, r0, i0, lanes, g0), codegen

    return transfer


_rows_to_tile = _transfer(into_tile=True)
_tile_to_rows = _transfer(into_tile=False)


@inline
def load(tile, x, row, padding):
    """Fill a tile from rows of x, shape (N, K); places without an entry get `padding`."""
    n, k = x.shape
    depth, columns = tile.shape
    if k > NARROW:
        flat, source = tile.reshape(depth * columns), x[row]
        for i in range(k):
            flat[i] = source[i]
        for i in range(k, depth * columns):
            flat[i] = padding
        return
    lanes = tile.reshape((depth, 4, columns // 4))
    for g in range(0, columns // 4, 4):
        first = row + 4 * g
        if first >= 0 and first + 16 < n:  # a row must follow: K < 4 reads into it
            for i in range(0, k, 4):
                _rows_to_tile(x, first, max(min(i, k - 4), 0), lanes, g)
        else:
            for j in range(16):
                r = first + j
                for i in range(k):
                    lanes[i, j % 4, g + j // 4] = x[r, i] if 0 <= r < n else like(0, tile)


@inline
def store(out, tile, row):
    """Write a tile to its rows of out, shape (N, K)."""
    n, k = out.shape
    depth, columns = tile.shape
    if k > NARROW:
        flat, target = tile.reshape(depth * columns), out[row]
        for i in range(k):
            target[i] = flat[i]
        return
    lanes = tile.reshape((depth, 4, columns // 4))
    for g in range(0, columns // 4, 4):
        first = row + 4 * g
        # K < 4 writes into the next row, which must be this tile's
        if first >= 0 and first + 16 < min(n, row + columns):
            for i in range(0, k, 4):
                _tile_to_rows(out, first, max(min(i, k - 4), 0), lanes, g)
        else:
            for j in range(16):
                r = first + j
                if 0 <= r < n:
                    for i in range(k):
                        out[r, i] = lanes[i, j % 4, g + j // 4]


@inline
def fill_bits(bits, k, row, offset, sample, purpose, key):
    """Fill a tile with random bits; those of (sample, row, category) are the same in every tile."""
    depth, columns = bits.shape
    quarter = columns // 4
    lanes = bits.reshape((depth, 4, quarter))
    if k > NARROW:
        start, along, down = (row + offset) * quarter * depth, 1, quarter
    else:
        start, along, down = (row + offset) // 4 * k, k, 1
    for i in range(depth):
        for g in range(quarter):
            address = np.uint64(start + i * down + g * along)
            a, b, c, d = words(address, sample, purpose, key, bits)
            lanes[i, 0, g] = a
            lanes[i, 1, g] = b
            lanes[i, 2, g] = c
            lanes[i, 3, g] = d
