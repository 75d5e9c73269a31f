"""The colour that a pixel takes, given its target t: logits -beta |palette_k - t|^2.

Rows are stored as PHASES lists of columns, every fourth column in each, which are padded to a
multiple of LANES pixels. Colours have a last column more: their squares, summed.

Oracle: tests/dithering/optimiser/test_annealing.py, `sequential_step`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.lanes import first_of
from fastgrad.kernels.simd.special import exp_normal
from fastgrad.kernels.simd.vectors import LANES, filled, load
from fastgrad.kernels.tiles.memory import empty

PHASES = 4
SEGMENT = 64  # pixels whose numbers for all K colours stay in the nearest caches
CUT = 12  # colours of a chance below exp(-CUT) are left out


@block
def score(logits, theta, target, first, n, colours, bias, twice):
    """logits[k, c] = 2 beta <target, colour> - beta |colour|^2; bias is the latter part."""
    wide_vectors()
    for i in range(theta.shape[0]):
        row, out = target[i], theta[i]
        for c in range(n):
            out[c] = twice * row[first + c]
    for k in range(colours.shape[0]):
        row = logits[k]
        x, y = bias[k], colours[k, 0]
        tx = theta[0]
        for c in range(n):
            row[c] = fma(tx[c], y, x)
        for i in range(1, theta.shape[0]):
            y, tx = colours[k, i], theta[i]
            for c in range(n):
                row[c] = fma(tx[c], y, row[c])


@block
def greatest(high, logits):
    """high[c] = the greatest logits[k, c]."""
    wide_vectors()
    first = logits[0]
    for c in range(high.size):
        high[c] = first[c]
    for k in range(1, logits.shape[0]):
        row = logits[k]
        for c in range(high.size):
            high[c] = where(row[c] > high[c], row[c], high[c])


@block
def expect(mean, total, logits, high, colours):
    """mean[i, c] = the expectation of colours[:, i] under softmax(logits[:, c])."""
    wide_vectors()
    n = high.size
    cut, one, none = like(CUT, high), like(1, high), filled(like(0, high))
    for c in range(n):
        total[c] = like(0, high)
    for i in range(mean.shape[0]):
        row = mean[i]
        for c in range(n):
            row[c] = like(0, high)
    for k in range(logits.shape[0]):
        row = logits[k]
        wanted = none  # of the width of the numbers: masks fit as they are
        for c in range(0, n, LANES):
            wanted = where(load(row, c) + cut > load(high, c), one, wanted)
        if first_of(wanted > none) == LANES:
            continue
        for c in range(n):
            row[c] = exp_normal(row[c] - high[c])
            total[c] += row[c]
        for i in range(mean.shape[0]):
            out, x = mean[i], colours[k, i]
            for c in range(n):
                out[c] = fma(row[c], x, out[c])
    for c in range(n):
        total[c] = like(1, high) / total[c]
    for i in range(mean.shape[0]):
        out = mean[i]
        for c in range(n):
            out[c] *= total[c]


@block
def variance(out, mean, weights, own):
    """Add own weights^2 times the variances to out, given the means of colours and of squares."""
    wide_vectors()
    channels = mean.shape[0] - 1
    square = mean[channels]
    for i in range(channels):
        row = mean[i]
        for c in range(weights.size):
            square[c] = fma(-row[c], row[c], square[c])
    for c in range(weights.size):
        out[c] = fma(own * weights[c], weights[c] * square[c], out[c])


@block
def choose(label, logits, high, total, chance):
    """Draw labels from softmax(logits) by inverting the cumulative sums, one chance a pixel.

    Colours that no pixel has but by a tiny chance are never drawn: see `CUT`.
    """
    wide_vectors()
    one, zero = np.int32(1), np.int32(0)
    cut, some, none = like(CUT, high), like(1, high), filled(like(0, high))
    for c in range(high.size):
        total[c] = like(0, high)
        label[c] = zero
    for k in range(logits.shape[0]):
        row, wanted = logits[k], none
        for c in range(0, high.size, LANES):
            wanted = where(load(row, c) + cut > load(high, c), some, wanted)
        if first_of(wanted > none) == LANES:
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
    bias = -beta * colours[:, channels]
    for y in chunk_range(height, chunk, chunks):
        for p in range(phases):
            for first in range(0, width, SEGMENT):
                n = min(SEGMENT, width - first)
                score(logits, theta, target[:, y, p], first, n, colours, bias, 2 * beta)
                greatest(high[:n], logits)
                choose(label, logits, high[:n], total, chance[y, p, first : first + n])
                for c in range(n):
                    labels[y, p, first + c] = label[c]
