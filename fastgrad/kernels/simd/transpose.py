"""Moves between rows in memory and tiles: 4 x 4 transposes in registers, one or four at a time.

Scalar loops, or the gathers that LLVM would make of them, take five times as long. Writing, two
transposes side by side make 8 categories of a row, half as many stores.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.extending import intrinsic

INT = ir.IntType(32)


def _shuffle(builder, a, b, mask):
    mask = list(mask)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(INT, len(mask)), mask))


def transposed(builder, vectors):
    """Emit the transposes of the 4 x 4 blocks that stand side by side in four vectors."""
    width = vectors[0].type.count

    def shuffle(a, b, *mask):
        each = [4 * block + i + (width - 4) * (i >= 4) for block in range(width // 4) for i in mask]
        return _shuffle(builder, a, b, each)

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


def _joined(builder, vectors):
    """Emit the concatenation of vectors, a power of two of them."""
    while len(vectors) > 1:
        mask = range(2 * vectors[0].type.count)
        pairs = zip(vectors[::2], vectors[1::2], strict=True)
        vectors = [_shuffle(builder, a, b, mask) for a, b in pairs]
    return vectors[0]


def _kept(builder, vector):
    """Emit a vector that LLVM must have whole, not by the parts that are used."""
    name = f"llvm.arithmetic.fence.v{vector.type.count}{vector.type.element.intrinsic_name}"
    signature = ir.FunctionType(vector.type, [vector.type])
    fence = cgutils.get_or_insert_function(builder.module, signature, name)
    return builder.call(fence, [vector])


def _changes(context, builder, kind, factor):
    """Return what is done to columns: (type of an array, the array, method of the builder)."""
    if isinstance(kind, types.Array):
        return [(kind, factor, builder.fmul)]
    if isinstance(kind, types.BaseTuple):
        arrays = cgutils.unpack_tuple(builder, factor)
        return [(*pair, builder.fsub) for pair in zip(kind.types, arrays, strict=True)]
    return []


def _transfer(blocks, into_tile, quads=1):
    """Build the move of 16 blocks rows x 4 quads categories between x[r0 :, i0 :] and a tile.

    On the way to x, columns are multiplied by their entry of `factor`, a flat array, if it is one;
    if it is a tuple of such arrays, their entries are subtracted, one after the other.
    Of several blocks rows are not stored in order, so these must have all of these categories.
    """

    @intrinsic
    def transfer(typingctx, x, r0, i0, lanes, g0, factor):
        together = min(blocks, 128 // (quads * x.dtype.bitwidth))  # what the registers hold of them

        def codegen(context, builder, signature, args):
            x_array = context.make_array(x)(context, builder, args[0])
            lane_array = context.make_array(lanes)(context, builder, args[3])
            _, r0, i0, _, g0, _ = args
            real = context.get_data_type(x.dtype)
            four_rows, part = ir.VectorType(real, 4 * together), ir.VectorType(real, 4 * quads)
            size = x.dtype.bitwidth // 8
            index = r0.type
            _, k = cgutils.unpack_tuple(builder, x_array.shape)
            depth, four, quarter = cgutils.unpack_tuple(builder, lane_array.shape)
            last = builder.sub(depth, ir.Constant(index, 1))

            def add(a, n):
                return builder.add(a, ir.Constant(index, n))

            def pointer(array, offset, vector):
                return builder.bitcast(builder.gep(array.data, [offset]), vector.as_pointer())

            def in_rows(j):
                return pointer(x_array, builder.add(builder.mul(add(r0, j), k), i0), part)

            def in_tile(i, lane, block):
                i = add(i0, i)
                if quads == 1:  # K may be less than 4
                    i = builder.select(builder.icmp_signed("<", i, last), i, last)
                column = builder.mul(
                    builder.add(builder.mul(i, four), ir.Constant(index, lane)), quarter
                )
                return pointer(lane_array, builder.add(column, add(g0, 4 * block)), four_rows)

            def of_rows(j, lane, block):
                return [16 * b + 4 * j + lane for b in range(block, block + together)]

            def load(lane, block):
                rows = [
                    _joined(builder, [builder.load(in_rows(r), align=size) for r in group])
                    for group in (of_rows(j, lane, block) for j in range(4))
                ]
                for i, v in reversed(list(enumerate(transposed(builder, rows)))):
                    builder.store(v, in_tile(i, lane, block), align=size)

            def rows_of(lane, block):
                starts = [in_tile(i, lane, block) for i in range(4 * quads)]
                columns = [builder.load(start, align=size) for start in starts]
                place = builder.mul(ir.Constant(index, lane), quarter)
                place = builder.add(place, add(g0, 4 * block))
                for array, value, change in _changes(context, builder, factor, args[5]):
                    data = context.make_array(array)(context, builder, value)
                    own = builder.load(pointer(data, place, four_rows), align=size)
                    columns = [change(column, own) for column in columns]
                turned = [transposed(builder, columns[q : q + 4]) for q in range(0, 4 * quads, 4)]
                for j, group in enumerate(zip(*turned, strict=True)):
                    group = [_kept(builder, v) for v in group]
                    for b, r in enumerate(of_rows(j, lane, block)):
                        mask = [4 * (together * q + b) + i for q in range(quads) for i in range(4)]
                        yield r, _shuffle(builder, group[0], group[-1], mask)

            def store(rows):
                for r in sorted(rows):  # in order: for K < 4 each row is repaired by the next
                    builder.store(rows[r], in_rows(r), align=size)

            places = [(lane, block) for block in range(0, blocks, together) for lane in range(4)]
            if into_tile:
                for place in places:
                    load(*place)
            elif blocks == NEAR:
                store({r: row for place in places for r, row in rows_of(*place)})
            else:  # at once: no registers hold all of them
                for place in places:
                    store(dict(rows_of(*place)))
            return context.get_dummy_value()

        return types.none(x, r0, i0, lanes, g0, factor), codegen

    return transfer


NEAR, FAR = 1, 4  # blocks in a move: of 16 rows, and of 64
rows_to_tile, many_rows_to_tile = _transfer(NEAR, True), _transfer(FAR, True)
tile_to_rows, tile_to_many_rows = _transfer(NEAR, False), _transfer(FAR, False)
tile_to_many_long_rows = _transfer(FAR, False, 2)  # of 8 categories and more


@intrinsic
def interleave(typingctx, out, start, lanes, g0):
    """Set out[start + 4 j + l] = lanes[l, g0 + j] for l < 4, j < 16."""

    def codegen(context, builder, signature, args):
        out_array = context.make_array(out)(context, builder, args[0])
        lane_array = context.make_array(lanes)(context, builder, args[2])
        _, start, _, g0 = args
        data, index = context.get_data_type(out.dtype), start.type
        vector, size = ir.VectorType(data, 16), out.dtype.bitwidth // 8
        _, quarter = cgutils.unpack_tuple(builder, lane_array.shape)

        def pointer(array, offset):
            return builder.bitcast(builder.gep(array.data, [offset]), vector.as_pointer())

        parts = []
        for lane in range(4):
            offset = builder.add(builder.mul(quarter, ir.Constant(index, lane)), g0)
            parts.append(builder.load(pointer(lane_array, offset), align=size))
        pairs = [
            _shuffle(builder, parts[a], parts[b], [j // 2 + 16 * (j % 2) for j in range(32)])
            for a, b in ((0, 1), (2, 3))
        ]
        whole = [j // 4 * 2 + j % 2 + 32 * (j % 4 // 2) for j in range(64)]
        for i in range(4):
            part = _shuffle(builder, *pairs, whole[16 * i : 16 * i + 16])
            offset = builder.add(start, ir.Constant(index, 16 * i))
            builder.store(part, pointer(out_array, offset), align=size)
        return context.get_dummy_value()

    return types.none(out, start, lanes, g0), codegen


@intrinsic
def deinterleave(typingctx, out, place, lane, x, start):
    """Set out[place + l lane + j] = x[start + 4 j + l] for l < 4, j < 16, both arrays flat."""
    if x.dtype != out.dtype or x.layout != "C":
        raise TypingError(f"out, {out}, and x, {x}, must have one dtype, and x no strides")

    def codegen(context, builder, signature, args):
        out_data = context.make_array(out)(context, builder, args[0]).data
        x_data = context.make_array(x)(context, builder, args[3]).data
        _, place, lane, _, start = args
        data, index = context.get_data_type(x.dtype), start.type
        vector, size = ir.VectorType(data, 16), x.dtype.bitwidth // 8

        def pointer(array, offset):
            return builder.bitcast(builder.gep(array, [offset]), vector.as_pointer())

        parts = []
        for i in range(4):
            offset = builder.add(start, ir.Constant(index, 16 * i))
            parts.append(builder.load(pointer(x_data, offset), align=size))
        whole = _joined(builder, parts)
        for i in range(4):
            part = _shuffle(builder, whole, whole, [4 * j + i for j in range(16)])
            offset = builder.add(place, builder.mul(lane, ir.Constant(index, i)))
            builder.store(part, pointer(out_data, offset), align=size)
        return context.get_dummy_value()

    return types.none(out, types.intp, types.intp, x, types.intp), codegen
