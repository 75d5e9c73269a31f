"""What is asked of a vector as a whole: its least entry, one of them, where a mask holds."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgrad.kernels.simd.vectors import LANES, MASK


def _halved(builder, vector, combine):
    """Emit what is left of a vector whose halves are combined until one entry remains."""
    word = ir.IntType(32)
    for half in (LANES // 2, LANES // 4, LANES // 8, LANES // 16):
        kind = ir.VectorType(word, half)
        masks = (ir.Constant(kind, list(range(i, i + half))) for i in (0, half))
        vector = combine(*(builder.shuffle_vector(vector, vector, mask) for mask in masks))
    return builder.extract_element(vector, ir.Constant(word, 0))


@intrinsic
def least_of(typingctx, vector):
    """Return the least entry of a vector of floats without NaN."""

    def codegen(context, builder, signature, values):
        # LLVM's own reduction goes from entry to entry, since it minds NaN.
        def lesser(low, high):
            return builder.select(builder.fcmp_ordered("<", low, high), low, high)

        return _halved(builder, values[0], lesser)

    return vector.dtype(vector), codegen


@intrinsic
def sum_of(typingctx, vector):
    """Return the sum of a vector of floats, added pairwise."""

    def codegen(context, builder, signature, values):
        return _halved(builder, values[0], builder.fadd)

    return vector.dtype(vector), codegen


@intrinsic
def first_of(typingctx, mask):
    """Return the first place where a mask holds; 16 where it holds nowhere."""

    def codegen(context, builder, signature, values):
        word, index = ir.IntType(LANES), ir.IntType(64)
        bits = builder.bitcast(values[0], word)
        kind = ir.FunctionType(word, [word, ir.IntType(1)])
        count = cgutils.get_or_insert_function(builder.module, kind, f"llvm.cttz.i{LANES}")
        return builder.zext(builder.call(count, [bits, ir.Constant(ir.IntType(1), 0)]), index)

    return types.int64(MASK), codegen


@intrinsic
def bits_of(typingctx, mask):
    """Return where a mask holds, as the bits of an integer."""

    def codegen(context, builder, signature, values):
        return builder.zext(builder.bitcast(values[0], ir.IntType(LANES)), ir.IntType(64))

    return types.int64(MASK), codegen


@intrinsic
def first_bit(typingctx, word):
    """Return the place of the lowest bit of an integer; 64 if there is none."""

    def codegen(context, builder, signature, values):
        kind = ir.FunctionType(values[0].type, [values[0].type, ir.IntType(1)])
        count = cgutils.get_or_insert_function(builder.module, kind, "llvm.cttz.i64")
        return builder.call(count, [values[0], ir.Constant(ir.IntType(1), 0)])

    return types.int64(types.int64), codegen


@intrinsic
def entry(typingctx, vector, place):
    """Return one entry of a vector."""

    def codegen(context, builder, signature, values):
        return builder.extract_element(*values)

    return vector.dtype(vector, types.int64), codegen
