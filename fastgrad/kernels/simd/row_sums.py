"""Sums along rows in memory, 16 rows at a time: transposed in registers, terms are added in order.

So the bits are those of sums down the columns of a tile, and no tile has to be filled.
"""

from llvmlite import ir
from numba.extending import intrinsic

from fastgrad.kernels.simd.transpose import transposed
from fastgrad.kernels.simd.vectors import LANES

INT = ir.IntType(32)
# Of two vectors' blocks, 0 to 3 and 4 to 7: what one instruction moves.
LOW, HIGH, EVEN, ODD = (0, 1, 4, 5), (2, 3, 6, 7), (0, 2, 4, 6), (1, 3, 5, 7)


def _turned(builder, four):
    """Emit four vectors in which block i of vector j, of 4 entries, is block j of vector i."""

    def shuffle(a, b, blocks):
        mask = [4 * block + entry for block in blocks for entry in range(4)]
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT, LANES), mask))

    a, b, c, d = four
    halves = [[shuffle(*pair, way) for pair in ((a, b), (c, d))] for way in (LOW, HIGH)]
    return [shuffle(*half, way) for half in halves for way in (EVEN, ODD)]


def _of_rows(builder, rows):
    """Emit the transpose of 16 vectors."""
    parts = [transposed(builder, rows[i : i + 4]) for i in range(0, LANES, 4)]
    columns = [_turned(builder, [part[j] for part in parts]) for j in range(4)]
    return [columns[i % 4][i // 4] for i in range(LANES)]


@intrinsic
def add_products(typingctx, total, x, y, start, stride):
    """Return total + the sums of x y over 16 columns of 16 rows, added in order; row j is entry j.

    The columns of row j begin at start + j stride of the flat arrays.
    """

    def codegen(context, builder, signature, args):
        total, *arrays, start, stride = args
        vector, size = total.type.as_pointer(), x.dtype.bitwidth // 8
        rows = []
        for j in range(LANES):
            place = builder.add(start, builder.mul(stride, ir.Constant(stride.type, j)))
            pair = []
            for kind, array in zip((x, y), arrays, strict=True):
                data = context.make_array(kind)(context, builder, array).data
                pointer = builder.bitcast(builder.gep(data, [place]), vector)
                pair.append(builder.load(pointer, align=size))
            rows.append(builder.fmul(*pair))
        for column in _of_rows(builder, rows):
            total = builder.fadd(total, column)
        return total

    return total(total, x, y, start, stride), codegen
