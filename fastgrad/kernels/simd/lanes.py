"""What is asked of a vector as a whole: its least entry, one of them, where a mask holds."""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgrad.kernels.simd.vectors import LANES, MASK


@intrinsic
def least_of(typingctx, vector):
    """Return the least entry of a vector of floats without NaN."""

    def codegen(context, builder, signature, values):
        (rest,), word = values, ir.IntType(32)
        # LLVM's own reduction goes from entry to entry, since it minds NaN.
        for half in (LANES // 2, LANES // 4, LANES // 8, LANES // 16):
            low, high = (
                builder.shuffle_vector(
                    rest, rest, ir.Constant(ir.VectorType(word, half), list(range(i, i + half)))
                )
                for i in (0, half)
            )
            rest = builder.select(builder.fcmp_ordered("<", low, high), low, high)
        return builder.extract_element(rest, ir.Constant(word, 0))

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
