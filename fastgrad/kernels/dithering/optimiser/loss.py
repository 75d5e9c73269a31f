"""Expected colours of pixels that choose from a palette, and the gradient of the expected error.

Pixels are worked on in segments of a row, laid out (K, pixels): one loop serves every K.

Oracle: tests/support/reference_dithering.py, `expected_loss` and `numerical_gradient`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.simd.special import exp_normal
from fastgrad.kernels.tiles.memory import empty

SEGMENT = 128  # pixels whose numbers for all K colours stay in the nearest caches
BLOCKS = 16  # sums over the picture are taken per block of rows, whatever the number of threads


@block
def load(d, logits):
    """d, shape (K, n), = the negated logits of n pixels, shape (n, K)."""
    for k in range(d.shape[0]):
        for c in range(d.shape[1]):
            d[k, c] = -logits[c, k]


@block
def least(low, d):
    """low[c] = the least d[k, c]."""
    wide_vectors()
    first = d[0]
    for c in range(low.size):
        low[c] = first[c]
    for k in range(1, d.shape[0]):
        row = d[k]
        for c in range(low.size):
            low[c] = where(row[c] < low[c], row[c], low[c])


@block
def expect(mean, variance, total, d, low, palette):
    """mean, shape (channels, n), and variance = those of the colour under softmax(-d)."""
    wide_vectors()
    n = low.size
    for c in range(n):
        total[c] = like(0, low)
        variance[c] = like(0, low)
    for k in range(palette.shape[0]):
        row = d[k]
        for c in range(n):
            row[c] = exp_normal(low[c] - row[c])
            total[c] += row[c]
    for c in range(n):
        total[c] = like(1, low) / total[c]
    for channel in range(mean.shape[0]):
        out = mean[channel]
        for c in range(n):
            out[c] = like(0, low)
        for k in range(palette.shape[0]):
            row, x = d[k], palette[k, channel]
            square = x * x
            for c in range(n):
                out[c] = fma(row[c], x, out[c])
                variance[c] = fma(row[c], square, variance[c])
        for c in range(n):
            out[c] *= total[c]
    for c in range(n):
        variance[c] *= total[c]
    for channel in range(mean.shape[0]):
        out = mean[channel]
        for c in range(n):
            variance[c] = fma(-out[c], out[c], variance[c])


@kernel(cost=lambda logits: logits.size)
def moments(chunk, chunks, mean, variances, logits, palette, weights):
    """mean (channels, height, width), variances = sums over rows of weights^2 variance."""
    height, width, k = logits.shape
    d = empty((k, SEGMENT), logits.dtype)
    row = empty((palette.shape[1], SEGMENT), logits.dtype)
    variance = empty(SEGMENT, logits.dtype)
    low = empty(SEGMENT, logits.dtype)
    total = empty(SEGMENT, logits.dtype)
    for y in chunk_range(height, chunk, chunks):
        variances[y] = 0.0
        for first in range(0, width, SEGMENT):
            n = min(SEGMENT, width - first)
            load(d[:, :n], logits[y, first : first + n])
            least(low[:n], d)
            expect(row, variance, total, d, low[:n], palette)
            for c in range(n):
                weight = np.float64(weights[y, first + c])
                variances[y] += weight * weight * np.float64(variance[c])
                for channel in range(palette.shape[1]):
                    mean[channel, y, first + c] = row[channel, c]


@block
def differentiate(d, q, low, total, slope, squares, palette, own, scale):
    """Turn d into probabilities p, and q into scale * d(error)/d(logits), given the slopes."""
    wide_vectors()
    n = low.size
    for c in range(n):
        total[c] = like(0, low)
    for k in range(palette.shape[0]):
        row = d[k]
        for c in range(n):
            p = exp_normal(low[c] - row[c])
            row[c] = p
            total[c] += p
    for c in range(n):
        total[c] = like(1, low) / total[c]
        low[c] = like(0, low)
    for k in range(palette.shape[0]):
        row, out = d[k], q[k]
        for c in range(n):
            out[c] = like(0, low)
        for channel in range(palette.shape[1]):
            x, by_mean = palette[k, channel], slope[channel]
            cost = own * x * x
            for c in range(n):
                out[c] += fma(by_mean[c], x, cost * squares[c])
        for c in range(n):
            row[c] *= total[c]
            low[c] = fma(row[c], out[c], low[c])
    for k in range(palette.shape[0]):
        row, out = d[k], q[k]
        for c in range(n):
            out[c] = (out[c] - low[c]) * (row[c] * scale)


@kernel(cost=lambda logits: logits.size)
def gradient(chunk, chunks, out, sums, logits, palette, squares, slope, own, scale):
    """out = the gradient with respect to the logits, and add up what the palette's needs.

    slope is 2 (g - own squares m), (channels, height, width), for the gradient g with respect to
    the mean m, squares those of the weights. sums[block, k] = (sum of p slope for each
    channel, sum of p squares) of colour k.
    """
    height, width, k = logits.shape
    d = empty((k, SEGMENT), logits.dtype)
    q = empty((k, SEGMENT), logits.dtype)
    low = empty(SEGMENT, logits.dtype)
    total = empty(SEGMENT, logits.dtype)
    for b in chunk_range(BLOCKS, chunk, chunks):
        for y in range(b * height // BLOCKS, (b + 1) * height // BLOCKS):
            for first in range(0, width, SEGMENT):
                n = min(SEGMENT, width - first)
                part = slope[:, y, first : first + n]
                load(d[:, :n], logits[y, first : first + n])
                least(low[:n], d)
                target, square = out[y, first : first + n], squares[y, first : first + n]
                differentiate(d, q, low[:n], total, part, square, palette, own, scale)
                for i in range(k):
                    add_up(sums[b, i], d[i, :n], part, square)
                for c in range(n):
                    for i in range(k):
                        target[c, i] = q[i, c]


@block
def add_up(sums, p, slope, squares):
    """Add the sums over pixels of p times each slope, and of p times the squares."""
    channels = slope.shape[0]
    for channel in range(channels + 1):
        total = 0.0
        for c in range(p.size):
            weight = slope[channel, c] if channel < channels else squares[c]
            total += np.float64(p[c] * weight)
        sums[channel] += total
