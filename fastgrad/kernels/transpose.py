"""Moves between rows in memory and tiles: 4 x 4 transposes in registers.

Scalar loops, or the gathers that LLVM would make of them, take five times as long.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic


def _transposed(builder, vectors):
    """Emit the 4 x 4 transpose of four <4 x float> vectors."""

    def shuffle(a, b, *mask):
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), 4), mask))

    a, b, c, d = vectors
    ab, cd = shuffle(a, b, 0, 4, 1, 5), shuffle(c, d, 0, 4, 1, 5)
    ab2, cd2 = shuffle(a, b, 2, 6, 3, 7), shuffle(c, d, 2, 6, 3, 7)
    low, high = (0, 1, 4, 5), (2, 3, 6, 7)
    return [
        shuffle(ab, cd, *low),
        shuffle(ab, cd, *high),
        shuffle(ab2, cd2, *low),
        shuffle(ab2, cd2, *high),
    ]


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
            size = x.dtype.bitwidth // 8
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
                column = builder.mul(
                    builder.add(builder.mul(i, four), ir.Constant(index, lane)), quarter
                )
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


rows_to_tile = _transfer(into_tile=True)
tile_to_rows = _transfer(into_tile=False)
