"""Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw (SC 2011).

A 128-bit counter and a 64-bit key give 128 random bits, with no state. The counter is
(address low, address high, sample, purpose): a variate depends on where it stands and on nothing
else, neither on threads nor on chunks.

Oracle: tests/support/reference.py, `philox`.
"""

from functools import partial

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from fastgrad.kernels.simd import vectors
from fastgrad.kernels.simd.vectors import LANES

MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
ROUNDS = 10

# Purposes: the last counter word, so that streams never meet. Odd words are the low halves of
# 64-bit variates, whose high halves are the 32-bit variates at the same address.
NOISE = np.uint32(0)  # perturbs logits; all of fastgrad.random
CONDITIONAL = np.uint32(2)  # the noise of z~ given z
UNIFORM = np.uint32(4)  # inverse CDF, one per row
KEYS = np.uint32(6)  # fold_in and split
ANGLE = np.uint32(8)  # the second variate of Box and Muller


def _rounds(builder, counter, key, spread, high_half):
    """Emit the ten rounds on the four words of a counter, each in 64-bit lanes.

    `spread` makes a scalar fill the lanes; `high_half` brings the high half of each lane to the
    low one. What their high halves then hold is left open: a vector multiply reads the low ones.
    """
    word = ir.IntType(32)
    key = list(key)

    def constant(value):
        return spread(ir.Constant(ir.IntType(64), value))

    def multiply(multiplier, x):
        product = builder.mul(builder.and_(x, constant(0xFFFFFFFF)), constant(multiplier))
        return high_half(product), product

    a, b, c, d = counter
    for i in range(ROUNDS):
        if i:
            key = [builder.add(k, ir.Constant(word, w)) for k, w in zip(key, WEYL, strict=True)]
        k0, k1 = (spread(builder.zext(k, ir.IntType(64))) for k in key)
        high0, low0 = multiply(MULTIPLIERS[0], a)
        high1, low1 = multiply(MULTIPLIERS[1], c)
        a, b = builder.xor(high1, builder.xor(b, k0)), low1
        c, d = builder.xor(high0, builder.xor(d, k1)), low0
    return a, b, c, d


@intrinsic
def philox(typingctx, c0, c1, c2, c3, k0, k1):
    """Return the four 32-bit words at counter (c0, c1, c2, c3) under key (k0, k1)."""
    u32 = types.uint32

    def codegen(context, builder, signature, args):
        word, lane = ir.IntType(32), ir.IntType(64)
        *counter, key0, key1 = args
        counter = [builder.zext(x, lane) for x in counter]
        high_half = partial(builder.lshr, rhs=ir.Constant(lane, 32))
        words = _rounds(builder, counter, (key0, key1), lambda x: x, high_half)
        words = [builder.trunc(x, word) for x in words]
        return context.make_tuple(builder, signature.return_type, words)

    return types.UniTuple(u32, 4)(u32, u32, u32, u32, u32, u32), codegen


@intrinsic
def philox_lanes(typingctx, out, column, address, along, sample, purpose, k0, k1):
    """Fill out[l, column + j], l < 4 and j < 16, with word l at address + j along.

    Vectors written out: LLVM's own choice costs an eighth more. All 16 counters at once need 32
    registers of 512 bits; of smaller ones 8 counters take all 16, as the multiplications need some.
    """
    i64, u32 = types.int64, types.uint32

    def codegen(context, builder, signature, args):
        features = context.codegen().magic_tuple()[-1]
        lanes = LANES if "+avx512f" in features.split(",") else LANES // 2
        lane = ir.IntType(64)
        out, column, address, along, sample, purpose, *key = args
        array = context.make_array(signature.args[0])(context, builder, out)
        _, columns = cgutils.unpack_tuple(builder, array.shape)
        rest = [builder.zext(x, lane) for x in (sample, purpose)]
        bounds = (ir.Constant(lane, n) for n in (0, LANES, lanes))
        with cgutils.for_range_slice(builder, *bounds) as (first, _):
            start = builder.add(address, builder.mul(first, along))
            words = _words(builder, lanes, start, along, rest, key)
            for i, x in enumerate(words):
                offset = builder.add(builder.mul(columns, ir.Constant(lane, i)), column)
                pointer = builder.gep(array.data, [builder.add(offset, first)])
                builder.store(x, builder.bitcast(pointer, x.type.as_pointer()), align=4)
        return context.get_dummy_value()

    return types.none(out, i64, i64, i64, u32, u32, u32, u32), codegen


def _words(builder, lanes, address, along, rest, key):
    """Emit a vector of each of the four words at address + j along, j < lanes."""
    word, lane = ir.IntType(32), ir.IntType(64)
    vector, half = ir.VectorType(lane, lanes), ir.VectorType(lane, lanes // 2)
    spread = partial(vectors.spread, builder, lanes=lanes)

    def shuffle(x, places):
        blank, places = ir.Constant(x.type, ir.Undefined), list(places)
        mask = ir.Constant(ir.VectorType(word, len(places)), places)
        return builder.shuffle_vector(x, blank, mask)

    def high_half(x):
        # A shuffle, since vector shifts queue for the port of the multiplications.
        halves = builder.bitcast(x, ir.VectorType(word, 2 * lanes))
        return builder.bitcast(shuffle(halves, [i | 1 for i in range(2 * lanes)]), vector)

    def pack(x):
        # Of even and odd addresses at once: a truncation would take four moves.
        even, odd = shuffle(x, range(lanes // 2)), shuffle(x, range(lanes // 2, lanes))
        even = builder.and_(even, ir.Constant(half, [0xFFFFFFFF] * (lanes // 2)))
        odd = builder.shl(odd, ir.Constant(half, [32] * (lanes // 2)))
        return builder.bitcast(builder.or_(even, odd), ir.VectorType(word, lanes))

    order = [*range(0, lanes, 2), *range(1, lanes, 2)]
    steps = builder.mul(spread(along), ir.Constant(vector, order))
    low = builder.add(spread(address), steps)
    high = builder.lshr(low, spread(ir.Constant(lane, 32)))
    words = _rounds(builder, (low, high, *map(spread, rest)), key, spread, high_half)
    return [pack(x) for x in words]
