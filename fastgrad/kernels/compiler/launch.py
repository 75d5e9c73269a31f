"""All chunks of a kernel in parallel: calls of the machine code that runs them serially too.

Numba's parallel code takes twice as long to compile as serial code. So there is only one parallel
loop, `run_chunks`, over calls of a C function, and for each kind of arguments a small function that
knows how to pass them on, `launch`.
"""

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

WORD = ir.IntType(64)
TASK = ir.FunctionType(WORD, [WORD] * 3)  # (where the data is, chunk, chunks) -> whether it failed


def run_chunks(task, data, chunks):
    """Call a task for every chunk, on Numba's threads."""
    failures = 0
    for chunk in numba.prange(chunks):
        failures += call_task(task, data, np.int64(chunk), chunks)
    if failures:
        raise MemoryError("a kernel could not allocate its scratch memory")


def launch(runner, address, chunks, args):
    """Run the kernel at an address on these arguments, by `run_chunks` at another."""
    task, data = pack(address, args)
    call(runner, (task, data, chunks))


def _call(context, builder, address, argtypes, args):
    """Emit the call of a compiled function that returns nothing; return its status."""
    conventions = context.call_conv
    pointer = conventions.get_function_type(types.none, argtypes).as_pointer()
    function = builder.inttoptr(address, pointer)
    return conventions.call_function(builder, function, types.none, argtypes, args)[0]


@intrinsic
def call(typingctx, address, args):
    """Call the compiled function at an address, and raise what it raises."""

    def codegen(context, builder, signature, values):
        address, args_ = values[0], cgutils.unpack_tuple(builder, values[1])
        status = _call(context, builder, address, args.types, args_)
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(types.int64, args), codegen


@intrinsic
def call_task(typingctx, task, data, chunk, chunks):
    """Call a C function of type TASK."""

    def codegen(context, builder, signature, values):
        task, *args = values
        return builder.call(builder.inttoptr(task, TASK.as_pointer()), args)

    return types.int64(types.int64, types.int64, types.int64, types.int64), codegen


def _borrowed(context, builder, kind, value):
    """Return an argument whose arrays, in tuples too, nobody counts.

    Threads that count the users of one array wait for each other.
    """
    if isinstance(kind, types.Array):
        array = context.make_array(kind)(context, builder, value)
        array.meminfo = cgutils.get_null_value(array.meminfo.type)
        return array._getvalue()
    if isinstance(kind, types.BaseTuple):
        for i, part in enumerate(kind.types):
            lent = _borrowed(context, builder, part, builder.extract_value(value, i))
            value = builder.insert_value(value, lent, i)
    return value


@intrinsic
def pack(typingctx, address, args):
    """Return a task that calls the kernel at an address, and where its data is: on the stack."""
    argtypes = (types.int64, types.int64, *args.types)

    def codegen(context, builder, signature, values):
        given = zip(signature.args[1].types, cgutils.unpack_tuple(builder, values[1]))
        lent = [_borrowed(context, builder, *pair) for pair in given]
        values = values[0], context.make_tuple(builder, signature.args[1], lent)
        struct = ir.LiteralStructType([value.type for value in values])
        data = cgutils.alloca_once(builder, struct)
        for i, value in enumerate(values):
            builder.store(value, cgutils.gep_inbounds(builder, data, 0, i))
        task = ir.Function(builder.module, TASK, builder.module.get_unique_name("task"))
        task.linkage = "internal"
        inside = ir.IRBuilder(task.append_basic_block())
        where, chunk, chunks = task.args
        where = inside.inttoptr(where, struct.as_pointer())
        address, packed = (inside.load(cgutils.gep_inbounds(inside, where, 0, i)) for i in range(2))
        args = [chunk, chunks, *cgutils.unpack_tuple(inside, packed)]
        status = _call(context, inside, address, argtypes, args)
        inside.ret(inside.zext(status.is_error, WORD))
        words = [builder.ptrtoint(x, WORD) for x in (task, data)]
        return context.make_tuple(builder, signature.return_type, words)

    return types.UniTuple(types.int64, 2)(types.int64, args), codegen
