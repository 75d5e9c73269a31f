"""Compiled objectives at samples that are in memory: see `compiled_evaluators`.

Oracle: tests/objectives/test_compiled.py, `at_outcomes`, `at_features`.
"""

from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgrad.kernels.compiler.jit import chunk_bounds, kernel


@intrinsic
def evaluate(typingctx, where, first, arrays):
    """Call an evaluator, where = (its address, that of its table), from an example on.

    Arrays are (S, n), whose rows are contiguous, the first of them the values: one an example. An
    exception that the function raises is raised here.
    """
    kinds = (types.int64,) * (4 + 2 * len(arrays))

    def codegen(context, builder, signature, args):
        word = cgutils.intp_t
        address, table = cgutils.unpack_tuple(builder, args[0])
        parts = [
            context.make_array(kind)(context, builder, value)
            for kind, value in zip(arrays.types, cgutils.unpack_tuple(builder, args[2]))
        ]
        samples, count = cgutils.unpack_tuple(builder, parts[0].shape)
        words = [table, args[1], count, samples]
        for part in parts:
            step = cgutils.unpack_tuple(builder, part.strides)[0]
            words += [builder.ptrtoint(part.data, word), step]
        code = context.call_conv.get_function_type(types.none, kinds).as_pointer()
        status, _ = context.call_conv.call_function(
            builder, builder.inttoptr(address, code), types.none, kinds, words
        )
        with cgutils.if_unlikely(builder, status.is_error):
            context.call_conv.return_status_propagate(builder, status)
        return context.get_dummy_value()

    return types.none(where, types.int64, arrays), codegen


@kernel(cost=lambda z, value: 4 * (z.size + value.size))
def outcomes(chunk, chunks, where, first, z, value):
    """Fill value, (S, M), with f at outcomes z, (S, N); the first of the M examples is `first`."""
    samples, cells = value.shape
    per = z.shape[1] // max(cells, 1)
    if cells > 1:
        head, tail = chunk_bounds(cells, chunk, chunks)
        evaluate(where, first + head, (value[:, head:tail], z[:, head * per : tail * per]))
    else:
        head, tail = chunk_bounds(samples, chunk, chunks)
        evaluate(where, first, (value[head:tail], z[head:tail]))


@kernel(cost=lambda x: 4 * x.size)
def features(chunk, chunks, where, first, x, value, grad):
    """Fill value, (S, M), and grad, the shape of x, with f and its gradient at features x."""
    samples, cells = value.shape
    per = x.shape[1] // max(cells, 1)
    if cells > 1:
        head, tail = chunk_bounds(cells, chunk, chunks)
        mine = slice(head * per, tail * per)
        evaluate(where, first + head, (value[:, head:tail], x[:, mine], grad[:, mine]))
    else:
        head, tail = chunk_bounds(samples, chunk, chunks)
        evaluate(where, first, (value[head:tail], x[head:tail], grad[head:tail]))
