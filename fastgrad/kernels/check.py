"""One pass over logits that says whether anything needs a closer look."""

import numpy as np

from fastgrad.kernels.intrinsics import like
from fastgrad.kernels.jit import PARALLEL_WORK, block, cached, kernel, prange, wide_vectors

FINE, MASKED, BAD = 0, 1, 2
BLOCK = 4096


def worst(x):
    """Return BAD where flat x has a NaN or +inf, else MASKED where it has a -inf, else FINE."""
    if x.size < PARALLEL_WORK:
        return flags(x)
    found = np.zeros(-(-x.size // BLOCK), np.uint8)
    scan(x.size, x, found)
    return found.max()


@cached
@block
def flags(x):
    """Return the worst of x."""
    wide_vectors()
    bad, masked = np.uint8(0), np.uint8(0)
    for i in range(x.size):
        bad |= np.uint8(not x[i] < like(np.inf, x))
        masked |= np.uint8(x[i] == like(-np.inf, x))
    return BAD if bad else (MASKED if masked else FINE)


@kernel
def scan(chunks, x, found):
    """Put the worst of each BLOCK of x in found."""
    for chunk in prange(chunks):
        for b in range(chunk * found.size // chunks, (chunk + 1) * found.size // chunks):
            found[b] = flags(x[b * BLOCK : (b + 1) * BLOCK])
