"""The processor's float mode: round to nearest, and subnormals kept."""

import contextlib

from llvmlite import binding, ir
from numba.core import cgutils

INT32, INT64 = ir.IntType(32), ir.IntType(64)
POINTER, VOID = ir.IntType(8).as_pointer(), ir.VoidType()


class _X86:
    """MXCSR: what an exception would do and rounding in bits 7 to 14, flushing in 6 and 15."""

    word, mask, wanted = INT32, 0xFFC0, 0x1F80  # below them are the flags of past exceptions

    def read(self, builder):
        place = cgutils.alloca_once(builder, INT32)
        self._call(builder, "llvm.x86.sse.stmxcsr", place)
        return builder.load(place)

    def write(self, builder, word):
        place = cgutils.alloca_once_value(builder, word)
        self._call(builder, "llvm.x86.sse.ldmxcsr", place)

    def _call(self, builder, name, place):
        kind = ir.FunctionType(VOID, [POINTER])
        function = cgutils.get_or_insert_function(builder.module, kind, name)
        builder.call(function, [builder.bitcast(place, POINTER)])


class _Arm:
    """FPCR: flushing in bits 0, 1, 19 and 24, rounding in 22 and 23, what a NaN becomes in 25."""

    word, mask, wanted = INT64, 0b11 | 1 << 19 | 0b1111 << 22, 0

    def read(self, builder):
        kind = ir.FunctionType(INT64, [])
        name = "llvm.aarch64.get.fpcr"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [])

    def write(self, builder, word):
        kind = ir.FunctionType(VOID, [INT64])
        name = "llvm.aarch64.set.fpcr"
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [word])


def _processor(triple):
    machine = triple.partition("-")[0]
    if machine in ("x86_64", "i686", "i386", "amd64"):
        return _X86()
    return _Arm() if machine in ("aarch64", "arm64") else None


@contextlib.contextmanager
def float_mode(builder, triple=None):
    """Emit what sets the mode before the code of the block, and sets it back after it.

    The code must be a call that LLVM sees no further into: the order of calls is kept, that of
    bare operations of floats is not. Where the mode is as it should be, only reading it costs.
    """
    processor = _processor(triple or binding.get_process_triple())
    if processor is None:
        yield
        return
    found = processor.read(builder)
    held = builder.and_(found, processor.word(processor.mask))
    wrong = builder.icmp_unsigned("!=", held, processor.word(processor.wanted))
    with builder.if_then(wrong, likely=False):
        others = builder.and_(found, processor.word(~processor.mask))
        processor.write(builder, builder.or_(others, processor.word(processor.wanted)))
    yield
    with builder.if_then(wrong, likely=False):
        processor.write(builder, found)
