"""Expected colours of pixels that choose from a palette, and the gradient of the expected error.

Pixels are worked on in segments of a row, laid out (K, pixels): one loop serves every K.
"""

import numpy as np

from fastgrad.kernels.jit import block, kernel, prange, wide_vectors
from fastgrad.kernels.special import exp_normal, fma, like, where

SEGMENT = 128  # pixels whose numbers for all K colours stay in the nearest caches
BLOCKS = 16  # sums over the picture are taken per block of rows, whatever the number of threads


@block
def load(d, logits):
    """Set d, shape (K, n), to the negated logits of n pixels, shape (n, K)."""
    for k in range(d.shape[0]):
        for c in range(d.shape[1]):
            d[k, c] = -logits[c, k]


@block
def least(low, d):
    """Set low[c] to the least d[k, c]."""
    wide_vectors()
    first = d[0]
    for c in range(low.size):
        low[c] = first[c]
    for k in range(1, d.shape[0]):
        row = d[k]
        for c in range(low.size):
            low[c] = where(row[c] < low[c], row[c], low[c])


@block
def expect(mean, variance, total, d, low, palette, beta):
    """Set mean, shape (3, n), and variance to those of the colour under softmax(-beta d)."""
    wide_vectors()
    n = low.size
    red, green, blue = mean[0], mean[1], mean[2]
    for c in range(n):
        red[c] = like(0, low)
        green[c] = like(0, low)
        blue[c] = like(0, low)
        variance[c] = like(0, low)
        total[c] = like(0, low)
    for k in range(palette.shape[0]):
        r, g, b = palette[k, 0], palette[k, 1], palette[k, 2]
        square = fma(r, r, fma(g, g, b * b))
        row = d[k]
        for c in range(n):
            p = exp_normal(beta * (low[c] - row[c]))
            total[c] += p
            red[c] = fma(p, r, red[c])
            green[c] = fma(p, g, green[c])
            blue[c] = fma(p, b, blue[c])
            variance[c] = fma(p, square, variance[c])
    for c in range(n):
        scale = like(1, low) / total[c]
        red[c] *= scale
        green[c] *= scale
        blue[c] *= scale
        square = fma(red[c], red[c], fma(green[c], green[c], blue[c] * blue[c]))
        variance[c] = fma(scale, variance[c], -square)


@kernel
def moments(chunks, mean, variances, logits, palette):
    """Set mean, shape (3, height, width), and the sum of the variances of each row."""
    height, width, k = logits.shape
    for chunk in prange(chunks):
        d = np.empty((k, SEGMENT), logits.dtype)
        row = np.empty((3, SEGMENT), logits.dtype)
        variance = np.empty(SEGMENT, logits.dtype)
        low = np.empty(SEGMENT, logits.dtype)
        total = np.empty(SEGMENT, logits.dtype)
        for y in range(chunk * height // chunks, (chunk + 1) * height // chunks):
            variances[y] = 0.0
            for first in range(0, width, SEGMENT):
                n = min(SEGMENT, width - first)
                load(d[:, :n], logits[y, first : first + n])
                least(low[:n], d)
                expect(row, variance, total, d, low[:n], palette, like(1, logits))
                for c in range(n):
                    variances[y] += np.float64(variance[c])
                    for channel in range(3):
                        mean[channel, y, first + c] = row[channel, c]


@block
def differentiate(d, q, low, total, slope, palette, own, scale):
    """Turn d into probabilities p, and q into scale * d(error)/d(logits), given the slopes."""
    wide_vectors()
    n = low.size
    red, green, blue = slope[0], slope[1], slope[2]
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
        r, g, b = palette[k, 0], palette[k, 1], palette[k, 2]
        cost = own * fma(r, r, fma(g, g, b * b))
        row, out = d[k], q[k]
        for c in range(n):
            out[c] = fma(red[c], r, fma(green[c], g, fma(blue[c], b, cost)))
            row[c] *= total[c]
            low[c] = fma(row[c], out[c], low[c])
    for k in range(palette.shape[0]):
        row, out = d[k], q[k]
        for c in range(n):
            out[c] = (out[c] - low[c]) * (row[c] * scale)


@kernel
def gradient(chunks, out, sums, logits, palette, slope, own, scale):
    """Set out to the gradient with respect to the logits, and add up what the palette's needs.

    slope is 2 (g - own m), shape (3, height, width), for the gradient g with respect to the mean m.
    sums[block, k] becomes (sum of p slope for each channel, sum of p) of colour k.
    """
    height, width, k = logits.shape
    for chunk in prange(chunks):
        d = np.empty((k, SEGMENT), logits.dtype)
        q = np.empty((k, SEGMENT), logits.dtype)
        low = np.empty(SEGMENT, logits.dtype)
        total = np.empty(SEGMENT, logits.dtype)
        for b in range(chunk * BLOCKS // chunks, (chunk + 1) * BLOCKS // chunks):
            for y in range(b * height // BLOCKS, (b + 1) * height // BLOCKS):
                for first in range(0, width, SEGMENT):
                    n = min(SEGMENT, width - first)
                    part = slope[:, y, first : first + n]
                    load(d[:, :n], logits[y, first : first + n])
                    least(low[:n], d)
                    differentiate(d, q, low[:n], total, part, palette, own, scale)
                    for i in range(k):
                        add_up(sums[b, i], d[i, :n], part)
                    target = out[y, first : first + n]
                    for c in range(n):
                        for i in range(k):
                            target[c, i] = q[i, c]


@block
def add_up(sums, p, slope):
    """Add the sums over pixels of p times each slope, and of p."""
    red, green, blue, total = 0.0, 0.0, 0.0, 0.0
    for c in range(p.size):
        red += np.float64(p[c] * slope[0, c])
        green += np.float64(p[c] * slope[1, c])
        blue += np.float64(p[c] * slope[2, c])
        total += np.float64(p[c])
    sums[0] += red
    sums[1] += green
    sums[2] += blue
    sums[3] += total
