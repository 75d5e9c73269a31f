"""Kernels by their addresses, in compiled code that is called without any array.

So do the handlers that XLA calls, and the small calls of `fastgrad.torch`, to which making arrays
of memory that is known costs more than what is computed.
"""

import functools
import importlib
from collections.abc import Callable
from typing import Any

from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic

WORD = ir.IntType(64)


def instruction(function: Callable[..., Any]) -> Any:
    """Make what emits machine code callable from compiled functions."""
    return intrinsic(function)


VIEWING: set[Any] = {"array.reshape"}


def viewing(function: Callable[..., Any]) -> Any:
    """Do as `instruction`, and remember that what it returns is a view of what it is given."""
    made = instruction(function)
    VIEWING.add(made)
    return made


@viewing
def read_only(typingctx, array):
    """Return an array as kernels take what they only read."""

    def codegen(context, builder, signature, args):
        return impl_ret_borrowed(context, builder, signature.return_type, args[0])

    return array.copy(readonly=True)(array), codegen


def _link(module, name, kinds):
    """Tell LLVM where an array is, or the machine code of a kernel for types; return the symbol."""
    found = getattr(importlib.import_module(module), name)
    address = found.ctypes.data if kinds is None else found.address_for(kinds)
    symbol = f"{module}.{name} {kinds}"
    binding.add_symbol(symbol, address)
    return symbol


def linked(context, builder, module, name, kinds=None):
    """Emit the address of what a module has by a name: an array, or a kernel for some types.

    It is looked for anew in every process that loads the code from the cache.
    """
    symbol = _link(module, name, kinds)
    library = context.active_code_library
    library._reload_init.add(functools.partial(_link, module, name, kinds))
    place = builder.module.globals.get(symbol)
    if place is None:
        place = ir.GlobalVariable(builder.module, ir.IntType(8), symbol)
    return builder.ptrtoint(place, WORD)


def call_kernel(context, builder, code, kinds, values):
    """Emit a call of a kernel's machine code with a tuple, as one chunk or as the values say.

    `kinds` are the types of its arguments, and `values` are chunk, chunks and the tuple of the
    rest. The result is a word: whether it failed, which it only does for want of memory.
    """
    kind = context.call_conv.get_function_type(types.none, kinds)
    parts = [builder.extract_value(values[2], i) for i in range(len(kinds) - 2)]
    flat = context.get_arg_packer(kinds).as_arguments(builder, [values[0], values[1], *parts])
    places = [cgutils.alloca_once(builder, pointer.pointee) for pointer in kind.args[:2]]
    for place in places:
        builder.store(cgutils.get_null_value(place.type.pointee), place)
    status = builder.call(builder.inttoptr(code, kind.as_pointer()), [*places, *flat])
    fine = builder.or_(
        builder.icmp_signed("==", status, status.type(0)),
        builder.icmp_signed("==", status, status.type(-2)),  # None was returned
    )
    return builder.zext(builder.not_(fine), WORD)


@instruction
def run(typingctx, code, args):
    """Run a kernel, all of it as one chunk, by the address of its machine code for such args."""
    kinds = types.int64, types.int64, *args.types

    def codegen(context, builder, signature, values):
        chunk = [WORD(0), WORD(1), values[1]]
        return call_kernel(context, builder, values[0], kinds, chunk)

    return types.int64(types.int64, args), codegen
