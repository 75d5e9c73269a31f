"""What samplers by rejection share: attempt t of element e has the Philox counter (e, t).

So a draw depends on nothing but where it stands. A block makes all first attempts in vectors, of
which nearly all succeed, and repeats the others one by one.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, inline, wide_vectors
from fastgrad.kernels.random.philox import philox, philox_lanes
from fastgrad.kernels.simd.special import log_normal
from fastgrad.kernels.simd.vectors import LANES

ATTEMPT, BOOST = np.uint32(16), np.uint32(17)  # last words of counters: see philox.py
ATTEMPTS = 10_000  # each succeeds with a probability above .65
ROWS = 256  # elements of a block
WORD = np.uint64(32)
HALF32, UNIT32 = 2.0**-33, 2.0**-32
HALF64, UNIT64 = 2.0**-65, 2.0**-64


@inline
def unit(word):
    """Uniform in (0, 1), of 32 bits."""
    return np.float64(word) * UNIT32 + HALF32


@inline
def exponential(high, low):
    """-log(u) for u of 64 bits."""
    k = np.uint64(np.uint64(high) << WORD) | np.uint64(low)
    return -log_normal(np.float64(k) * UNIT64 + HALF64)


@inline
def words(element, attempt, key):
    """Return the four random words of an attempt."""
    low, high = np.uint32(element), np.uint32(element >> WORD)
    return philox(low, high, np.uint32(attempt), ATTEMPT, key[0], key[1])


@block
def fill_words(bits, element, purpose, key):
    """Fill bits, (4, ROWS), with the words of first attempts from `element` on."""
    wide_vectors()
    for i in range(0, ROWS, LANES):
        philox_lanes(bits, i, element + i, 1, np.uint32(0), purpose, key[0], key[1])


@block
def gather(to, x, first):
    """Repeat flat x cyclically, from its entry number `first` % x.size on."""
    j = first % x.size
    for i in range(to.size):
        to[i] = x[j]
        j = j + 1 if j + 1 < x.size else 0
