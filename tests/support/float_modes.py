"""The register of the processor's float mode, read and set: for the tests of kernels' float mode.

It imports no more than that needs, since new processes import it.
"""

import numba
from llvmlite import binding, ir
from numba.core import types
from numba.extending import intrinsic

from fastgrad.kernels.compiler import modes

PROCESSOR = modes._processor(binding.get_process_triple())
WORDS = {}  # by name, what to set in the register
if isinstance(PROCESSOR, modes._X86):
    WORDS = {"flush": 0x9FC0, "toward zero": 0x7F80, "both, and flags": 0xFFE5}
elif isinstance(PROCESSOR, modes._Arm):
    WORDS = {"flush": 1 << 24, "toward zero": 0b11 << 22, "both": 0b111 << 22}


@intrinsic
def read(typingctx):
    def codegen(context, builder, signature, values):
        word = PROCESSOR.read(builder)
        return word if word.type.width == 64 else builder.zext(word, ir.IntType(64))

    return types.uint64(), codegen


@intrinsic
def write(typingctx, word):
    def codegen(context, builder, signature, values):
        word = values[0]
        if PROCESSOR.word.width < 64:
            word = builder.trunc(word, PROCESSOR.word)
        PROCESSOR.write(builder, word)
        return context.get_dummy_value()

    return types.none(types.uint64), codegen


@numba.njit
def register():
    return read()


@numba.njit
def set_mode(word):
    write(word)
