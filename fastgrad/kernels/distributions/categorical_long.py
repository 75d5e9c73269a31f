"""Rows longer than SEGMENT, cut into segments that threads share.

Each segment is one wide tile, described by its `partials`; descriptions are combined in order.

Oracle: tests/support/reference.py, `sample_inverse` and `perturbed`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_bounds, chunk_range, kernel, wide_vectors
from fastgrad.kernels.distributions.categorical_inverse import (
    BELOW_ONE,
    accumulate,
    invert_folded,
    uniform_at,
)
from fastgrad.kernels.distributions.concrete_noise import draw
from fastgrad.kernels.simd.intrinsics import like
from fastgrad.kernels.tiles import columns as col
from fastgrad.kernels.tiles import elementwise, tile
from fastgrad.kernels.tiles.memory import empty

SEGMENT = 4096  # categories; a multiple of tile.FOLD


@kernel(cost=lambda logits: logits.size)
def partials(chunk, chunks, logits, maximum, rest):
    """Describe each segment by its maximum and its sum of exp(x - maximum), both (N, C).

    The sum lacks the maximum's own 1: it is -1 where a segment is empty.
    """
    n, segments = maximum.shape
    items = n * segments
    real = logits.dtype
    e = empty((SEGMENT // tile.FOLD, tile.FOLD), real)
    m, s = empty(tile.FOLD, real), empty(tile.FOLD, real)
    sums, arg = empty(tile.FOLD), empty(tile.FOLD, np.int32)
    for item in chunk_range(items, chunk, chunks):
        row, segment = item // segments, item % segments
        tile.load_flat(e, logits[row, segment * SEGMENT :], like(-np.inf, e))
        col.argmax(e, m, arg, True)
        maximum[row, segment] = m[0]
        if m[0] == -np.inf:
            rest[row, segment] = -1.0
            continue
        col.exponentiate(e, m, like(1, e), s, True)
        for c in range(tile.FOLD):
            if arg[c] >= 0:
                e[arg[c], c] = like(0, e)
        accumulate(sums, e)
        rest[row, segment] = elementwise.sum_of(sums)


@kernel(cost=lambda z: z.size * SEGMENT)
def sample_inverse(chunk, chunks, logits, maximum, weight, noise, z):
    """Draw z, shape (S, N), given `partials`: a segment by its weight, then a category in it."""
    key, first_sample, offset = noise
    n, segments = weight.shape
    items = z.size
    real = logits.dtype
    e = empty((SEGMENT // tile.FOLD, tile.FOLD), real)
    m, s = empty(tile.FOLD, real), empty(tile.FOLD, real)
    sums = empty(tile.FOLD)
    for item in chunk_range(items, chunk, chunks):
        i, row = item // n, item % n
        whole = elementwise.sum_of(weight[row])
        u = uniform_at(row + offset, np.uint32(first_sample + i), key)
        target = min(u * whole, whole * BELOW_ONE)
        segment, running = 0, 0.0
        for j in range(segments):
            if weight[row, j] > 0.0:
                segment = j
                if running + weight[row, j] > target:
                    break
                running += weight[row, j]
        # What is left of u inside the segment is uniform again.
        inside = max(0.0, target - running) / weight[row, segment]
        tile.load_flat(e, logits[row, segment * SEGMENT :], like(-np.inf, e))
        m[:] = maximum[row, segment]
        col.exponentiate(e, m, like(1, e), s, True)
        accumulate(sums, e)
        z[i, row] = segment * SEGMENT + invert_folded(e, sums, inside)


@kernel(cost=lambda logits, best: logits.size * len(best))
def sample_gumbel(chunk, chunks, logits, maximum, noise, best, arg):
    """Find the largest perturbed logit of each segment and where it is: best and arg, (S, N, C)."""
    key, first_sample, offset = noise
    samples, n, segments = best.shape
    items = n * segments
    row_depth = (logits.shape[1] + tile.FOLD - 1) // tile.FOLD
    shape = (SEGMENT // tile.FOLD, tile.FOLD)
    real = logits.dtype
    t, w = empty(shape, real), empty(shape, real)
    bits = empty((logits.itemsize // 4, *shape), np.uint32)
    top, winner = empty(tile.FOLD, real), empty(tile.FOLD, np.int32)
    for item in chunk_range(items, chunk, chunks):
        row, segment = item // segments, item % segments
        tile.load_flat(t, logits[row, segment * SEGMENT :], like(-np.inf, t))
        elementwise.shift(t, maximum[row])
        start = ((row + offset) * row_depth + segment * shape[0]) * (tile.FOLD // 4)
        place = start, 1, tile.FOLD // 4
        none = top[:0], logits[row, :0]  # the row goes on: the processor sees what comes next
        for i in range(samples):
            sample = np.uint32(first_sample + i)
            draw(w, t, bits, place, sample, key, top, winner, True, none)
            best[i, row, segment] = top[0]
            tile.store_categories(arg[i, row], winner, segment, True)
            arg[i, row, segment] += segment * SEGMENT


@block
def subtract_both(out, x, high, low):
    """out = (x - high) - low, on flat arrays."""
    wide_vectors()
    for i in range(out.size):
        out[i] = (x[i] - high) - low


@kernel(cost=lambda logits: logits.size)
def subtract(chunk, chunks, logits, maximum, log_sum, out):
    """out = (logits - maximum[:, None]) - log_sum[:, None]."""
    n, k = logits.shape
    for row in range(n):
        begin, end = chunk_bounds(k, chunk, chunks)
        subtract_both(out[row, begin:end], logits[row, begin:end], maximum[row], log_sum[row])
