"""Single instructions that Numba does not spell: what keeps loops free of branches and exact.

They take numbers and `vectors` alike.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fastgrad.kernels.simd.vectors import LANES, Vector, common, instruction, kind, same_shape


@intrinsic
def fma(typingctx, a, b, c):
    """Return a * b + c, rounded once."""
    t = common(a, b, c) or a

    def codegen(context, builder, signature, args):
        return instruction(builder, "fma", *args)

    return t(t, t, t), codegen


@intrinsic
def where(typingctx, condition, a, b):
    """Return a if condition else b as a select instruction: both are evaluated, no branch."""
    t = common(a, b) or (same_shape(condition, a) if a == b else a)

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return t(same_shape(condition, types.boolean), t, t), codegen


_SAME_WIDTH = {
    types.float32: types.int32,
    types.float64: types.int64,
    types.int32: types.float32,
    types.int64: types.float64,
    types.uint32: types.float32,
    types.uint64: types.float64,
}


@intrinsic
def bits(typingctx, x):
    """Reinterpret a float as the signed integer of its width, and an integer as a float."""
    target = same_shape(x, _SAME_WIDTH[kind(x)])

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(target))

    return target(x), codegen


def _cast(source, target):
    """Return the name of the instruction that converts between types of numbers."""
    if isinstance(target, types.Float):
        if isinstance(source, types.Float):
            return "fpext" if source.bitwidth < target.bitwidth else "fptrunc"
        return "sitofp" if source.signed else "uitofp"
    if isinstance(source, types.Float):
        return "fptosi"
    if source.bitwidth >= target.bitwidth:
        return "trunc" if source.bitwidth > target.bitwidth else "bitcast"
    return "sext" if source.signed else "zext"


def _converted(context, builder, source, target, vector):
    """Emit the conversion between two types of vectors."""
    if source == target:
        return vector
    cast = getattr(builder, _cast(source.dtype, target.dtype))
    return cast(vector, context.get_value_type(target))


@intrinsic
def like(typingctx, value, x):
    """Return a number or vector in the type of x (of its elements, for an array or a vector)."""
    dtype = getattr(x, "dtype", x)
    target = same_shape(value, dtype)

    def codegen(context, builder, signature, args):
        if not isinstance(value, Vector):
            return context.cast(builder, args[0], value, dtype)
        return _converted(context, builder, value, target, args[0])

    return target(value, x), codegen


def converter(dtype):
    """Build a compiled conversion to a dtype, of numbers and vectors."""

    @intrinsic
    def convert(typingctx, x):
        target = same_shape(x, dtype)

        def codegen(context, builder, signature, args):
            if not isinstance(x, Vector):
                return context.cast(builder, args[0], x, target)
            return _converted(context, builder, x, target, args[0])

        return target(x), codegen

    return convert


to_float32, to_float64 = converter(types.float32), converter(types.float64)
to_int32, to_int64 = converter(types.int32), converter(types.int64)
to_uint32, to_uint64 = converter(types.uint32), converter(types.uint64)


@intrinsic
def sqrt(typingctx, x):
    """Return the square root, correctly rounded."""

    def codegen(context, builder, signature, args):
        return instruction(builder, "sqrt", *args)

    return x(x), codegen


def polynomial(*coefficients):
    """Build a compiled function of x: sum of coefficients[i] * x**i, by Horner's rule."""

    @intrinsic
    def evaluate(typingctx, x):
        def codegen(context, builder, signature, args):
            vector = isinstance(x, Vector)

            def constant(value):
                return ir.Constant(args[0].type, [value] * LANES if vector else value)

            result = constant(coefficients[-1])
            for coefficient in coefficients[-2::-1]:
                result = instruction(builder, "fma", result, args[0], constant(coefficient))
            return result

        return x(x), codegen

    return evaluate
