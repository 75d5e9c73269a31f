"""Numbers in pairs, or four by four, side by side in a flat array: one move takes all of them."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgrad.kernels.simd.vectors import LANES, Vector

INT = ir.IntType(32)


def _pointer(context, builder, kind, array, index, group, count):
    """Emit the address of a vector of so many entries, from the group of that index on."""
    data = context.make_array(kind)(context, builder, array).data
    one = ir.VectorType(context.get_data_type(kind.dtype), group).as_pointer()
    place = builder.gep(builder.bitcast(data, one), [index])
    return builder.bitcast(place, ir.VectorType(one.pointee.element, count).as_pointer())


def _add(array, group):
    """Return the code that adds numbers to the group of an index."""

    def codegen(context, builder, signature, values):
        pointer = _pointer(context, builder, array, *values[:2], group, group)
        size = array.dtype.bitwidth // 8
        own = ir.Constant(pointer.type.pointee, ir.Undefined)
        for i, value in enumerate(values[2:]):
            own = builder.insert_element(own, value, ir.Constant(INT, i))
        builder.store(builder.fadd(builder.load(pointer, align=size), own), pointer, align=size)
        return context.get_dummy_value()

    return codegen


def _load(array, group):
    """Return the type, and the code, of the vectors of the first, second, ... of 16 groups."""
    kind = types.UniTuple(Vector(array.dtype), group)

    def codegen(context, builder, signature, values):
        pointer = _pointer(context, builder, array, *values, group, group * LANES)
        whole = builder.load(pointer, align=array.dtype.bitwidth // 8)
        places = (range(i, group * LANES, group) for i in range(group))
        masks = [ir.Constant(ir.VectorType(INT, LANES), list(each)) for each in places]
        parts = [builder.shuffle_vector(whole, whole, mask) for mask in masks]
        return context.make_tuple(builder, kind, parts)

    return kind, codegen


@intrinsic
def add_pair(typingctx, array, index, a, b):
    """Add (a, b) to the pair of that index."""
    real = array.dtype
    return types.none(array, types.intp, real, real), _add(array, 2)


@intrinsic
def add_four(typingctx, array, index, a, b, c, d):
    """Add (a, b, c, d) to the four of that index."""
    real = array.dtype
    return types.none(array, types.intp, real, real, real, real), _add(array, 4)


@intrinsic
def load_pairs(typingctx, array, index):
    """Return the firsts and the seconds of 16 pairs from that index on, as vectors."""
    kind, codegen = _load(array, 2)
    return kind(array, types.intp), codegen


@intrinsic
def load_fours(typingctx, array, index):
    """Return the firsts, seconds, thirds and fourths of 16 fours from that index on, as vectors."""
    kind, codegen = _load(array, 4)
    return kind(array, types.intp), codegen
