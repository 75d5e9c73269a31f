"""Numbers in pairs, side by side in a flat array: one move takes both."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgrad.kernels.simd.vectors import LANES, Vector

INT = ir.IntType(32)


def _pointer(context, builder, kind, array, index, count):
    """Emit the address of a vector of so many entries, from pair `index` on."""
    data = context.make_array(kind)(context, builder, array).data
    two = ir.VectorType(context.get_data_type(kind.dtype), 2).as_pointer()
    place = builder.gep(builder.bitcast(data, two), [index])
    return builder.bitcast(place, ir.VectorType(two.pointee.element, count).as_pointer())


@intrinsic
def add_pair(typingctx, array, index, a, b):
    """Add (a, b) to the pair of that index."""

    def codegen(context, builder, signature, values):
        pointer, size = _pointer(context, builder, array, *values[:2], 2), array.dtype.bitwidth // 8
        both = ir.Constant(pointer.type.pointee, ir.Undefined)
        for i in (0, 1):
            both = builder.insert_element(both, values[2 + i], ir.Constant(INT, i))
        builder.store(builder.fadd(builder.load(pointer, align=size), both), pointer, align=size)
        return context.get_dummy_value()

    return types.none(array, types.intp, array.dtype, array.dtype), codegen


@intrinsic
def load_pairs(typingctx, array, index):
    """Return the firsts and the seconds of 16 pairs from that index on, as vectors."""

    def codegen(context, builder, signature, values):
        pointer = _pointer(context, builder, array, *values, 2 * LANES)
        both = builder.load(pointer, align=array.dtype.bitwidth // 8)
        places = (range(i, 2 * LANES, 2) for i in (0, 1))
        masks = [ir.Constant(ir.VectorType(INT, LANES), list(each)) for each in places]
        parts = [builder.shuffle_vector(both, both, mask) for mask in masks]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(Vector(array.dtype), 2)(array, types.intp), codegen
