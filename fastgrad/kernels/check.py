"""One pass over logits that says whether anything needs a closer look."""

import numpy as np

from fastgrad.kernels.intrinsics import like
from fastgrad.kernels.jit import block, kernel, prange, wide_vectors

FINE, MASKED, BAD = 0, 1, 2
BLOCK = 4096


@block
def flags(x):
    """Return BAD where x has a NaN or +inf, else MASKED where it has a -inf."""
    wide_vectors()
    bad, masked = np.uint8(0), np.uint8(0)
    for i in range(x.size):
        bad |= np.uint8(not x[i] < like(np.inf, x))
        masked |= np.uint8(x[i] == like(-np.inf, x))
    return BAD if bad else (MASKED if masked else FINE)


@kernel
def check(chunks, x, worst):
    """Put the worst of `flags` over flat x in worst[chunk]."""
    blocks = (x.size + BLOCK - 1) // BLOCK
    for chunk in prange(chunks):
        for b in range(chunk * blocks // chunks, (chunk + 1) * blocks // chunks):
            worst[chunk] = max(worst[chunk], flags(x[b * BLOCK : (b + 1) * BLOCK]))
