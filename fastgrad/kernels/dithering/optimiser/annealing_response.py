"""The colour that a pixel takes, given its target t: logits -beta |palette_k - t|^2.

Rows are stored as PHASES lists of columns, every fourth column in each, which are padded to a
multiple of LANES pixels. Colours have a last column more: their squares, summed.

Oracle: tests/dithering/optimiser/test_annealing.py, `sequential_step`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.lanes import first_of
from fastgrad.kernels.simd.special import exp_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles.memory import empty, reshaped

PHASES = 4
SEGMENT = 64  # pixels whose numbers for all K colours stay in the nearest caches
CUT = 12  # colours of a chance below exp(-CUT) are left out


@block
def score(logits, theta, high, targets, row, apart, first, n, colours, bias, twice):
    """logits[k, c] = 2 beta <target, colour> - beta |colour|^2, and high[c] their greatest.

    bias is the latter part. The targets of channel i are n entries of row + i apart, from `first`
    on. Beyond them, as far as the last vector goes, the last one is repeated.
    """
    wide_vectors()
    for i in range(theta.shape[0]):
        for c in range(n):
            theta[i, c] = twice * targets[np.uint64(row + i * apart), np.uint64(first + c)]
        for c in range(n, -(-n // LANES) * LANES):
            theta[i, c] = theta[i, n - 1]
    for c in range(0, n, LANES):
        most = filled(like(-np.inf, high))
        for k in range(colours.shape[0]):
            x = filled(bias[k])
            for i in range(theta.shape[0]):
                x = fma(load(theta, (i, c)), colours[np.uint64(k), np.uint64(i)], x)
            store(logits, (k, c), x)
            most = where(x > most, x, most)
        store(high, c, most)


@inline
def wanted(logits, high, k, n):
    """Return whether a colour has a chance of more than exp(-CUT), about, at any of n pixels."""
    one, zero = filled(like(1, high)), filled(like(0, high))
    found = zero  # of the width of the numbers: masks fit as they are
    for c in range(0, n, LANES):
        found = where(load(logits, (k, c)) + like(CUT, high) > load(high, c), one, found)
    return first_of(found > zero) < LANES


@block
def expect(mean, logits, chosen, high, n, colours):
    """mean[i, c] = the expectation of colours[:, i] under softmax(logits[:, c]), for n pixels.

    The logits are overwritten; chosen has room for the colours that count.
    """
    wide_vectors()
    count = 0
    for k in range(logits.shape[0]):
        if wanted(logits, high, k, n):
            chosen[count] = k
            count += 1
    for c in range(0, n, LANES):
        most, total = load(high, c), filled(like(0, high))
        for j in range(count):
            place = chosen[j], c
            x = exp_normal(load(logits, place) - most)
            store(logits, place, x)
            total = total + x
        inverse = like(1, high) / total
        for i in range(mean.shape[0]):
            x = filled(like(0, high))
            for j in range(count):
                k = chosen[j]
                x = fma(load(logits, (k, c)), colours[np.uint64(k), np.uint64(i)], x)
            store(mean, (i, c), x * inverse)


@block
def choose(label, logits, high, total, chance):
    """Draw labels from softmax(logits) by inverting the cumulative sums, one chance a pixel.

    Colours that no pixel has but by a tiny chance are never drawn: see `CUT`.
    """
    wide_vectors()
    one, zero = np.int32(1), np.int32(0)
    for c in range(high.size):
        total[c] = like(0, high)
        label[c] = zero
    for k in range(logits.shape[0]):
        row = logits[k]
        if not wanted(logits, high, k, high.size):
            for c in range(high.size):
                row[c] = total[c]
            continue
        for c in range(high.size):
            total[c] += exp_normal(row[c] - high[c])
            row[c] = total[c]
    for c in range(high.size):
        total[c] *= chance[c]
    for k in range(logits.shape[0] - 1):
        row = logits[k]
        for c in range(high.size):
            label[c] += where(row[c] < total[c], one, zero)


@kernel(cost=lambda labels, colours: labels.size * len(colours))
def draw(chunk, chunks, labels, target, colours, beta, chance):
    """Draw each label from the probabilities of its pixel, with a uniform number `chance`."""
    height, phases, width = labels.shape
    channels = target.shape[0]
    logits = empty((colours.shape[0], SEGMENT), target.dtype)
    theta = empty((channels, SEGMENT), target.dtype)
    high = empty(SEGMENT, target.dtype)
    total = empty(SEGMENT, target.dtype)
    label = empty(SEGMENT, np.int32)
    bias = empty(colours.shape[0], target.dtype)
    for k in range(bias.size):
        bias[k] = -beta * colours[k, channels]
    targets = reshaped(target, (channels * height, phases * width))
    for y in chunk_range(height, chunk, chunks):
        for p in range(phases):
            for first in range(0, width, SEGMENT):
                n = min(SEGMENT, width - first)
                seen = targets, y, height, p * width + first, n
                score(logits, theta, high, *seen, colours, bias, 2 * beta)
                choose(label, logits, high[:n], total, chance[y, p, first : first + n])
                for c in range(n):
                    labels[y, p, first + c] = label[c]
