"""Room for tiles and other shapes of arrays, in a few instructions of their own.

What NumPy's spelling brings along, checks of sizes and their errors, is more code than most loops,
and took a seventh of the time in which `fg.relax` was compiled, and of that of a dithered picture.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

from fastgrad.kernels.compiler.addresses import instruction, viewing
from fastgrad.kernels.simd.vectors import LINE

WORD = ir.IntType(64)
DEFAULT = types.Omitted(None)  # float64, as in NumPy


def _words(context, builder, kind, shape):
    """Return the numbers of a tuple, or a single one, as words."""
    if not isinstance(kind, types.BaseTuple):
        return [context.cast(builder, shape, kind, types.int64)]
    values = cgutils.unpack_tuple(builder, shape)
    return [context.cast(builder, *pair, types.int64) for pair in zip(values, kind.types)]


def _product(builder, sizes):
    n = WORD(1)
    for size in sizes:
        n = builder.mul(n, size)
    return n


def _itemsize(kind):
    return getattr(kind, "bitwidth", 8) // 8  # a truth takes a byte


def _allocated(context, builder, kind, number):
    """Return new memory for numbers of a kind, from the start of a line, and its first number."""
    whole = builder.mul(number, WORD(_itemsize(kind)))
    memory = context.nrt.meminfo_alloc_aligned(builder, whole, LINE)
    data = context.nrt.meminfo_data(builder, memory)
    return memory, builder.bitcast(data, context.get_data_type(kind).as_pointer())


def _array(context, builder, kind, data, sizes, memory=None, parent=None):
    """Return a contiguous array at an address."""
    from numba.np.arrayobj import populate_array  # an import that only who compiles waits for

    itemsize = _itemsize(kind.dtype)
    strides = [WORD(itemsize)]
    for size in reversed(sizes[1:]):
        strides.insert(0, builder.mul(strides[0], size))
    array = context.make_array(kind)(context, builder)
    populate_array(array, data, sizes, strides, itemsize, memory, parent)
    return array._getvalue()


def _kind(shape, dtype):
    """Return the type of a contiguous array whose shape, a tuple or a number, is of this type."""
    rank = len(shape) if isinstance(shape, types.BaseTuple) else 1
    return types.Array(types.float64 if dtype == DEFAULT else dtype.dtype, rank, "C")


def _new(shape, dtype, clear):
    """Return the type, and the code, of a new array."""
    kind = _kind(shape, dtype)

    def codegen(context, builder, signature, args):
        sizes = _words(context, builder, shape, args[0])
        size = _product(builder, sizes)
        memory, data = _allocated(context, builder, kind.dtype, size)
        with cgutils.if_unlikely(builder, cgutils.is_null(builder, memory)):
            context.call_conv.return_user_exc(builder, MemoryError, ("no memory for an array",))
        if clear:
            count = builder.mul(size, WORD(_itemsize(kind.dtype)))
            cgutils.memset(builder, data, count, 0)
        return _array(context, builder, kind, data, sizes, memory)

    return kind, codegen


@instruction
def empty(typingctx, shape, dtype=DEFAULT):
    """Return an uninitialised array whose vectors do not straddle lines of the cache."""
    kind, codegen = _new(shape, dtype, clear=False)
    return kind(shape, dtype), codegen


@instruction
def zeros(typingctx, shape, dtype=DEFAULT):
    """Return such an array of zeros."""
    kind, codegen = _new(shape, dtype, clear=True)
    return kind(shape, dtype), codegen


@instruction
def array_at(typingctx, address, shape, dtype):
    """Return the array at an address, a word, to be written to."""
    kind = _kind(shape, dtype)

    def codegen(context, builder, signature, args):
        data = builder.inttoptr(args[0], context.get_data_type(kind.dtype).as_pointer())
        return _array(context, builder, kind, data, _words(context, builder, shape, args[1]))

    return kind(types.int64, shape, dtype), codegen


@viewing
def reshaped(typingctx, array, shape):
    """Return a contiguous array in another shape, which must be of as many entries."""
    if array.layout != "C":
        raise TypeError(f"only contiguous arrays have another shape, got {array}")
    kind = array.copy(ndim=len(shape))

    def codegen(context, builder, signature, args):
        old = context.make_array(array)(context, builder, args[0])
        sizes = _words(context, builder, shape, args[1])
        new = _array(context, builder, kind, old.data, sizes, old.meminfo, old.parent)
        return impl_ret_borrowed(context, builder, kind, new)

    return kind(array, shape), codegen


@viewing
def flattened(typingctx, array):
    """Return a contiguous array in one dimension: tiles of one shape then share an index."""
    if array.layout != "C":
        raise TypeError(f"only contiguous arrays are flattened, got {array}")
    kind = array.copy(ndim=1)

    def codegen(context, builder, signature, args):
        old = context.make_array(array)(context, builder, args[0])
        size = _product(builder, cgutils.unpack_tuple(builder, old.shape))
        new = _array(context, builder, kind, old.data, [size], old.meminfo, old.parent)
        return impl_ret_borrowed(context, builder, kind, new)

    return kind(array), codegen


def _pieces(layout, count, dtype, names):
    """Return the type, and the code, of `count` arrays whose sizes are fields of a layout.

    All are in one piece of memory. A line more than they need lies between them, lest all meet in
    one set of the cache.
    """
    kind, number = types.Array(dtype.dtype, len(names), "C"), count.literal_value

    def codegen(context, builder, signature, args):
        places = [layout.fields.index(name) for name in names]
        sizes = [builder.extract_value(args[0], place) for place in places]
        line = WORD(8 * LINE // kind.dtype.bitwidth)
        distance = builder.add(_product(builder, sizes), line)
        whole = builder.mul(distance, WORD(number))
        memory, data = _allocated(context, builder, kind.dtype, whole)
        pieces = []
        for i in range(number):
            start = builder.gep(data, [builder.mul(distance, WORD(i))])
            piece = _array(context, builder, kind, start, sizes, memory)
            if i:
                context.nrt.incref(builder, kind, piece)
            pieces.append(piece)
        return context.make_tuple(builder, signature.return_type, pieces)

    return types.UniTuple(kind, number)(layout, count, dtype), codegen


@intrinsic(prefer_literal=True)
def scratch(typingctx, layout, count, dtype):
    """Return a tuple of `count` tiles, not initialised, in one piece of memory."""
    return _pieces(layout, count, dtype, ("depth", "columns"))


@intrinsic(prefer_literal=True)
def statistics(typingctx, layout, count, dtype):
    """Return a tuple of `count` statistics, one entry a column, as `scratch` does tiles."""
    return _pieces(layout, count, dtype, ("columns",))
