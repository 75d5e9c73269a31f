"""Evaluators: machine code that calls a user's compiled function for a block of samples.

An evaluator is all that is compiled for one function. Kernels know it by its address, so they are
compiled once for all functions. It takes a table of 64-bit words, the number of the first example,
how many examples and samples there are, and for each array (samples, examples x numbers) that it
reads or fills its address and the number of bytes from one sample to the next. The table holds the
shape of an event, then of each array of data the address and the shape.
"""

import functools
import re

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.core.registry import CPUDispatcher, cpu_target
from numba.extending import intrinsic

from fastgrad.kernels.compiler import interrupts

OPTIONS = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
PLACE = re.compile(r'File ".*", line \d+')
KEPT = "_fastgrad_evaluators"  # where a function carries what was compiled for it
WORD, INT32 = types.int64, 4  # and the bytes of an outcome


class Refused(Exception):
    """Says in a sentence why a function cannot be an objective for the types given."""


# -- what is at an address ---------------------------------------------------------------------


def _array(context, builder, kind, address, shape):
    """Emit a contiguous array, whose users nobody counts, of what is at an address."""
    from numba.np.arrayobj import populate_array  # an import that only who compiles waits for

    number = context.get_data_type(kind.dtype)
    size = context.get_constant(types.intp, context.get_abi_sizeof(number))
    strides, step = [], size
    for n in reversed(shape):
        strides.insert(0, step)
        step = builder.mul(step, n)
    array = context.make_array(kind)(context, builder)
    populate_array(
        array,
        data=builder.inttoptr(address, number.as_pointer()),
        shape=cgutils.pack_array(builder, shape, ty=cgutils.intp_t),
        strides=cgutils.pack_array(builder, strides, ty=cgutils.intp_t),
        itemsize=size,
        meminfo=None,
    )
    return array._getvalue()


@functools.cache  # one for all functions, as Numba remembers each
def viewer(kind):
    """Return an intrinsic that makes an array of this kind of an address and a shape."""

    @intrinsic
    def view(typingctx, address, shape):
        def codegen(context, builder, signature, args):
            numbers = cgutils.unpack_tuple(builder, args[1])
            return _array(context, builder, kind, args[0], numbers)

        return kind(WORD, shape), codegen

    return view


@functools.cache
def reader(event, kinds):
    """Return an intrinsic that makes of the address of a table the event's shape and the data."""
    result = types.Tuple((types.UniTuple(types.intp, event), types.Tuple(kinds)))

    @intrinsic
    def read(typingctx, table):
        def codegen(context, builder, signature, args):
            words = builder.inttoptr(args[0], cgutils.intp_t.as_pointer())
            places = iter(range(10**6))

            def take(count):
                pointers = (
                    cgutils.gep_inbounds(builder, words, next(places)) for _ in range(count)
                )
                return [builder.load(pointer) for pointer in pointers]

            shape, parts = take(event), []
            for kind in kinds:
                (address,) = take(1)
                if isinstance(kind, types.Array):
                    parts.append(_array(context, builder, kind, address, take(kind.ndim)))
                else:
                    pointer = context.get_data_type(kind).as_pointer()
                    pointer = builder.inttoptr(address, pointer)
                    parts.append(context.unpack_value(builder, kind, pointer))
            first, second = result.types
            pair = (
                context.make_tuple(builder, first, shape),
                context.make_tuple(builder, second, parts),
            )
            return context.make_tuple(builder, result, pair)

        return result(WORD), codegen

    return read


def kind_of(x):
    """Return the type by which evaluators know an array of data: of no dimensions, its number."""
    number = numba.from_dtype(x.dtype)
    return types.Array(number, x.ndim, "C", readonly=True) if x.ndim else number


def table(event, data):
    """Return the table of an event's shape and of contiguous arrays, which must outlive it."""
    words = list(event)
    for x in data:
        words += [x.ctypes.data, *x.shape]
    return np.array([*words, 0], np.int64)


def is_compiled(function):
    """Return whether a function is one that Numba compiles for the processor."""
    return isinstance(function, CPUDispatcher)


def is_parallel(function):
    """Return whether a compiled function has loops that run in parallel."""
    return bool(function.targetoptions.get("parallel"))


# -- evaluators --------------------------------------------------------------------------------


def at_outcomes(function, event, kinds):
    """Return the evaluator that fills values of function(example, z, *data), z of `event` axes.

    Its arrays are values (S, M) in float64 and outcomes (S, M numbers) in int32.
    """
    read = reader(event, kinds)
    numbers = viewer(types.Array(types.float64, 1, "C"))
    own = types.Array(types.int32, max(event, 1), "C", readonly=True)
    outcomes = viewer(own)

    def of_one(table, first, count, samples, value, step, z, z_step):
        _, data = read(table)
        for s in range(samples):
            out, mine = numbers(value + s * step, (count,)), outcomes(z + s * z_step, (count,))
            # From 0 up: nothing is read at a negative index, and so vectors can be used.
            for example in range(max(first, 0), first + count):
                i = np.uint64(example - first)
                out[i] = function(example, np.int64(mine[i]), *data)

    def of_many(table, first, count, samples, value, step, z, z_step):
        shape, data = read(table)
        size = INT32
        for n in shape:
            size *= n
        for s in range(samples):
            out = numbers(value + s * step, (count,))
            for i in range(count):
                out[i] = function(first + i, outcomes(z + s * z_step + i * size, shape), *data)

    body = of_many if event else of_one
    return _evaluator(function, body, (WORD, own if event else WORD, *kinds), 2)


def at_features(function, event, kinds, real):
    """Return the evaluator of function(example, x, grad, *data), which fills grad, too.

    Its arrays are values (S, M) in float64, features and gradients (S, M numbers) of dtype real.
    """
    read, bytes_each = reader(max(event, 1), kinds), np.dtype(real).itemsize
    numbers = viewer(types.Array(types.float64, 1, "C"))
    own = types.Array(numba.from_dtype(real), max(event, 1), "C")
    gradients, features = viewer(own), viewer(own.copy(readonly=True))

    def evaluate(table, first, count, samples, value, step, x, x_step, grad, grad_step):
        shape, data = read(table)
        size = bytes_each
        for n in shape:
            size *= n
        for s in range(samples):
            out = numbers(value + s * step, (count,))
            for i in range(count):
                given = features(x + s * x_step + i * size, shape)
                to_fill = gradients(grad + s * grad_step + i * size, shape)
                out[i] = function(first + i, given, to_fill, *data)

    return _evaluator(function, evaluate, (WORD, own.copy(readonly=True), own, *kinds), 3)


class Evaluator:
    """Machine code, by its address, which lives as long as this object.

    What Numba has for the day on which a dispatcher ends holds its body, which holds the user's
    function, which holds this object. So the dispatcher goes, and its machine code stays.
    """

    def __init__(self, body, arrays):
        signature = types.none(*[WORD] * (4 + 2 * arrays))
        (overload,) = numba.njit(signature, **OPTIONS)(body).overloads.values()
        self._kept = overload.library, overload.environment
        name = overload.fndesc.llvm_func_name
        self.address = overload.library.get_pointer_to_function(name)


def _evaluator(function, body, kinds, arrays):
    """Return the evaluator of a function for these types: made once, and kept with the function.

    It is made again where `function.recompile()` has replaced the machine code that it holds.
    """
    kept, key = function.__dict__.setdefault(KEPT, {}), (kinds, arrays)
    with global_compiler_lock:
        args, code, made = kept.get(key, (None, None, None))
        if made is None or function.overloads.get(args) is not code:
            with interrupts.held():
                args = _checked(function, kinds).args
                made = Evaluator(body, arrays)
                kept[key] = args, function.overloads.get(args), made
        return made


def _checked(function, kinds):
    """Return a function's signature; raise `Refused` unless it compiles, and returns a number."""
    target, kind = cpu_target.typing_context, types.Dispatcher(function)
    try:
        signature = kind.get_call_type(target, kinds, {})
    except Exception as error:  # Numba's are of many kinds
        raise Refused(_sentence(str(error))) from error
    if signature is None:
        own = ", or ".join(_listed(each.args) for each in function.nopython_signatures)
        raise Refused(f"it is for {own}, not for {_listed(kinds)}")
    found = signature.return_type
    if not isinstance(found, (types.Float, types.Integer, types.Boolean)):
        raise Refused(f"it returns {found}, not a number")
    return signature


def _listed(kinds):
    return f"({', '.join(map(str, kinds))})"


def _sentence(text):
    """Return what Numba says is wrong, and where, without its headings."""
    lines = [line.strip() for line in COLOURS.sub("", text).splitlines()]
    lines = [line for line in lines if line and not line.startswith("Failed in ")] or [text]
    shown = lines[:1] + [line for line in lines[1:2] if line.startswith(">>> ")]
    shown += [line for line in lines if line.startswith(("NumbaTypeError", "NumbaValueError"))][:1]
    places = [line.rstrip(":") for line in lines if PLACE.match(line)]
    return " ".join([*shown, *(f"({place})" for place in places[:1])])
