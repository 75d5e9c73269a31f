"""Philox4x32-10, the counter-based generator of Salmon, Moraes, Dror and Shaw (SC 2011).

A 128-bit counter and a 64-bit key give 128 random bits, with no state. The counter is
(address low, address high, sample, purpose): a variate depends on where it stands and on nothing
else, neither on threads nor on chunks.
"""

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

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


@intrinsic
def philox(typingctx, c0, c1, c2, c3, k0, k1):
    """Return the four 32-bit words at counter (c0, c1, c2, c3) under key (k0, k1)."""
    u32 = types.uint32

    def codegen(context, builder, signature, args):
        # Words live in 64-bit lanes, high halves unspecified: a vector multiply reads the low ones.
        word, lane = ir.IntType(32), ir.IntType(64)
        low_half = ir.Constant(lane, 0xFFFFFFFF)

        def multiply(constant, x):
            product = builder.mul(builder.and_(x, low_half), ir.Constant(lane, constant))
            return builder.lshr(product, ir.Constant(lane, 32)), product

        *counter, key0, key1 = args
        a, b, c, d = (builder.zext(x, lane) for x in counter)
        for i in range(ROUNDS):
            if i:
                key0 = builder.add(key0, ir.Constant(word, WEYL[0]))
                key1 = builder.add(key1, ir.Constant(word, WEYL[1]))
            high0, low0 = multiply(MULTIPLIERS[0], a)
            high1, low1 = multiply(MULTIPLIERS[1], c)
            a, b = builder.xor(builder.xor(high1, b), builder.zext(key0, lane)), low1
            c, d = builder.xor(builder.xor(high0, d), builder.zext(key1, lane)), low0
        a, b, c, d = (builder.trunc(x, word) for x in (a, b, c, d))
        return context.make_tuple(builder, signature.return_type, (a, b, c, d))

    return types.UniTuple(u32, 4)(u32, u32, u32, u32, u32, u32), codegen
