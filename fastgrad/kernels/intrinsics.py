"""Single instructions that Numba does not spell: what keeps loops free of branches and exact."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic


@intrinsic
def fma(typingctx, a, b, c):
    """Return a * b + c, rounded once."""

    def codegen(context, builder, signature, args):
        return builder.fma(*args)

    return a(a, a, a), codegen


@intrinsic
def where(typingctx, condition, a, b):
    """Return a if condition else b as a select instruction: both are evaluated, no branch."""

    def codegen(context, builder, signature, args):
        return builder.select(*args)

    return a(types.boolean, a, a), codegen


@intrinsic
def like(typingctx, value, x):
    """Return the number `value` in the type of x (of its elements, for an array)."""
    target = getattr(x, "dtype", x)

    def codegen(context, builder, signature, args):
        return context.cast(builder, args[0], value, target)

    return target(value, x), codegen


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
    target = _SAME_WIDTH[x]

    def codegen(context, builder, signature, args):
        return builder.bitcast(args[0], context.get_value_type(target))

    return target(x), codegen


@intrinsic
def sqrt(typingctx, x):
    """Return the square root, correctly rounded."""

    def codegen(context, builder, signature, args):
        root = builder.module.declare_intrinsic("llvm.sqrt", [args[0].type])
        return builder.call(root, args)

    return x(x), codegen


def polynomial(*coefficients):
    """Build a compiled function of x: sum of coefficients[i] * x**i, by Horner's rule."""

    @intrinsic
    def evaluate(typingctx, x):
        def codegen(context, builder, signature, args):
            result = ir.Constant(args[0].type, coefficients[-1])
            for coefficient in coefficients[-2::-1]:
                result = builder.fma(result, args[0], ir.Constant(args[0].type, coefficient))
            return result

        return x(x), codegen

    return evaluate
