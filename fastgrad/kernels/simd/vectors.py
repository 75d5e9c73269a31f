"""Vectors of 16 numbers as values: what a kernel holds in them stays in registers.

A loop over the columns of a tile loads vectors, computes with operators and the functions of
`intrinsics` and `special`, which take vectors and numbers alike, and stores vectors. A number of
the same type counts as a vector of equal entries; comparisons give masks for `where`.
"""

import operator
from typing import ClassVar

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, lower_cast, models, register_model

LANES = 16
LINE = 64  # bytes that memory moves at once


class Vector(types.Type):
    """The Numba type of 16 numbers, or of 16 truth values: a mask."""

    def __init__(self, dtype):
        self.dtype = dtype
        super().__init__(f"Vector({dtype})")

    def can_convert_from(self, typingctx, other):
        return Conversion.safe if other == self.dtype else None


MASK = Vector(types.boolean)


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager, vector):
        one = ir.IntType(1) if vector == MASK else manager[vector.dtype].get_value_type()
        super().__init__(manager, vector, ir.VectorType(one, LANES))


def spread(builder, value, lanes=LANES):
    """Emit a vector with the same entry everywhere."""
    vector = ir.VectorType(value.type, lanes)
    if isinstance(value, ir.Constant):
        return ir.Constant(vector, [value.constant] * lanes)
    blank, word = ir.Constant(vector, ir.Undefined), ir.IntType(32)
    one = builder.insert_element(blank, value, ir.Constant(word, 0))
    zeros = ir.Constant(ir.VectorType(word, lanes), [0] * lanes)
    return builder.shuffle_vector(one, blank, zeros)


@lower_cast(types.Number, Vector)
def _spread_number(context, builder, number, vector, value):
    return spread(builder, value)


def common(*args):
    """Return the type of vector that numbers and vectors have in common, or None."""
    vectors = {x for x in args if isinstance(x, Vector)}
    if len(vectors) != 1:
        return None
    (vector,) = vectors
    return vector if all(x in (vector, vector.dtype) for x in args) else None


def kind(x):
    """Return the type of the entries of a vector type, or the type itself."""
    return x.dtype if isinstance(x, Vector) else x


def same_shape(x, dtype):
    """Return the type of vectors of a dtype if x is one of vectors, else the dtype itself."""
    return Vector(dtype) if isinstance(x, Vector) else dtype


def instruction(builder, name, *args):
    """Emit one of LLVM's intrinsic functions, on numbers or vectors of one type."""
    whole = args[0].type
    vector = isinstance(whole, ir.VectorType)
    one = (whole.element if vector else whole).intrinsic_name
    suffix = f"v{whole.count}{one}" if vector else one
    function = ir.FunctionType(whole, [whole] * len(args))
    function = cgutils.get_or_insert_function(builder.module, function, f"llvm.{name}.{suffix}")
    return builder.call(function, args)


# -- operators ---------------------------------------------------------------------------------


def _operation(function, returns, emit):
    """Let an operator take vectors; `emit(builder, dtype of the entries, *values)` says how."""

    @infer_global(function)
    class Operation(AbstractTemplate):
        # Looked at before all that Numba has for any target.
        metadata: ClassVar[dict[str, str]] = {"target": "cpu"}

        def generic(self, args, kws):
            vector = common(*args)
            return vector and signature(returns or vector, *(vector for _ in args))

    def lower(context, builder, signature, values):
        return emit(builder, signature.args[0].dtype, *values)

    for count in (1, 2):
        lower_builtin(function, *(Vector,) * count)(lower)


def _instruction(of_floats, of_integers, of_unsigned=None):
    """Return what emits the one of these methods of the builder that suits the entries."""

    def emit(builder, dtype, *values):
        name = of_floats if isinstance(dtype, types.Float) else of_integers
        if of_unsigned and not dtype.signed:
            name = of_unsigned
        return getattr(builder, name)(*values)

    return emit


def _comparison(symbol):
    def emit(builder, dtype, a, b):
        if not isinstance(dtype, types.Float):
            compare = builder.icmp_signed if dtype.signed else builder.icmp_unsigned
        else:
            compare = builder.fcmp_unordered if symbol == "!=" else builder.fcmp_ordered
        return compare(symbol, a, b)

    return emit


for _function, *_names in (
    (operator.add, "fadd", "add"),
    (operator.sub, "fsub", "sub"),
    (operator.mul, "fmul", "mul"),
    (operator.truediv, "fdiv", None),
    (operator.neg, "fneg", "neg"),
    (operator.lshift, None, "shl"),
    (operator.rshift, None, "ashr", "lshr"),
    (operator.and_, None, "and_"),
    (operator.or_, None, "or_"),
    (operator.invert, None, "not_"),
):
    _operation(_function, None, _instruction(*_names))
for _function, _symbol in (
    (operator.lt, "<"),
    (operator.le, "<="),
    (operator.eq, "=="),
    (operator.ne, "!="),
    (operator.gt, ">"),
    (operator.ge, ">="),
):
    _operation(_function, MASK, _comparison(_symbol))
_operation(abs, None, lambda builder, dtype, x: instruction(builder, "fabs", x))


# -- memory ------------------------------------------------------------------------------------


def _pointer(context, builder, array_type, array, index_type, index):
    """Emit the address of 16 entries of a C-contiguous array, from those indices on."""
    data = context.make_array(array_type)(context, builder, array)
    vector = context.get_value_type(Vector(array_type.dtype))
    offset = index
    if isinstance(index_type, types.BaseTuple):
        row, column = builder.extract_value(index, 0), builder.extract_value(index, 1)
        width = builder.extract_value(data.shape, 1)
        offset = builder.add(builder.mul(row, width), column)
    return builder.bitcast(builder.gep(data.data, [offset]), vector.as_pointer())


def _places(array, index):
    """Return the type of indices into an array of one or two dimensions."""
    return types.UniTuple(types.intp, 2) if array.ndim == 2 else types.intp


@intrinsic
def load(typingctx, array, index):
    """Return entries index to index + 16 of a flat array, or of a row: index = (row, column)."""
    places = _places(array, index)

    def codegen(context, builder, signature, values):
        pointer = _pointer(context, builder, array, values[0], places, values[1])
        return builder.load(pointer, align=array.dtype.bitwidth // 8)

    return Vector(array.dtype)(array, places), codegen


@intrinsic
def store(typingctx, array, index, vector):
    """Set what `load` returns."""
    places = _places(array, index)

    def codegen(context, builder, signature, values):
        pointer = _pointer(context, builder, array, values[0], places, values[1])
        builder.store(values[2], pointer, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.none(array, places, Vector(array.dtype)), codegen


@intrinsic
def prefetch(typingctx, array, index):
    """Bring entries index to index + 16 of a flat array near; they need not exist."""
    byte, word = ir.IntType(8).as_pointer(), ir.IntType(32)
    lines = max(1, LANES * array.dtype.bitwidth // 8 // LINE)

    def codegen(context, builder, signature, values):
        data = context.make_array(array)(context, builder, values[0]).data
        kind = ir.FunctionType(ir.VoidType(), [byte, word, word, word])
        fetch = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        for i in range(lines):
            first = builder.add(values[1], ir.Constant(values[1].type, i * LANES // lines))
            place = builder.bitcast(builder.gep(data, [first]), byte)
            builder.call(fetch, [place, word(0), word(3), word(1)])  # to read, into all caches
        return context.get_dummy_value()

    return types.none(array, types.intp), codegen


@intrinsic
def filled(typingctx, number):
    """Return a vector of equal entries."""
    return Vector(number)(number), lambda context, builder, signature, values: spread(
        builder, values[0]
    )
