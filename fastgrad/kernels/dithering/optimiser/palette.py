"""Palettes by k-means, and by the least squares of a given picture; planar, shape (channels, K).

Oracle: tests/dithering/optimiser/test_annealing.py,
`test_normal_equations_are_the_quadratic_form`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like, where
from fastgrad.kernels.tiles.memory import empty

BLOCKS = 4  # sums over the picture are taken per block of rows, whatever the number of threads


@block
def meet(distance, label, pixels, colour, k):
    """Lower the distances to that of colour k where it is nearer, and set the labels there."""
    wide_vectors()
    index = np.int32(k)
    if pixels.shape[0] == 3:
        red, green, blue = pixels[0], pixels[1], pixels[2]
        r, g, b = colour[0], colour[1], colour[2]
        for c in range(distance.size):
            x, y, z = red[c] - r, green[c] - g, blue[c] - b
            d = fma(x, x, fma(y, y, z * z))
            near = d < distance[c]
            distance[c] = where(near, d, distance[c])
            label[c] = where(near, index, label[c])
    elif pixels.shape[0] == 4:
        red, green, blue, opacity = pixels[0], pixels[1], pixels[2], pixels[3]
        r, g, b, a = colour[0], colour[1], colour[2], colour[3]
        for c in range(distance.size):
            x, y, z, w = red[c] - r, green[c] - g, blue[c] - b, opacity[c] - a
            d = fma(x, x, fma(y, y, fma(z, z, w * w)))
            near = d < distance[c]
            distance[c] = where(near, d, distance[c])
            label[c] = where(near, index, label[c])
    else:
        grey, r = pixels[0], colour[0]
        for c in range(distance.size):
            x = grey[c] - r
            near = x * x < distance[c]
            distance[c] = where(near, x * x, distance[c])
            label[c] = where(near, index, label[c])


@block
def seed(palette, locked, pixels, chances, distance, label):
    """Choose colours from the pixels, each with a chance in proportion to its squared distance."""
    distance[:] = like(1e30, distance)
    for k in range(palette.shape[1]):
        if k >= locked:
            if k == 0:
                chosen = np.int64(chances[0] * pixels.shape[1])
            else:
                total = 0.0
                for i in range(distance.size):
                    total += np.float64(distance[i])
                rest, chosen = chances[k] * total, 0
                while chosen < distance.size - 1:
                    rest -= np.float64(distance[chosen])
                    if rest < 0.0:
                        break
                    chosen += 1
            for c in range(len(palette)):
                palette[c, k] = pixels[c, chosen]
        meet(distance, label, pixels, palette[:, k], k)


@kernel(cost=lambda palettes, pixels: len(palettes) * palettes.shape[2] * pixels.shape[1])
def cluster(chunk, chunks, palettes, locked, pixels, chances, iterations):
    """Make palettes of pixels by k-means++ and k-means; the first `locked` colours stay."""
    trials, channels, colors = palettes.shape
    distance = empty(pixels.shape[1], pixels.dtype)
    label = empty(pixels.shape[1], np.int32)
    sums = empty((colors, channels + 1))
    for trial in chunk_range(trials, chunk, chunks):
        palette = palettes[trial]
        seed(palette, locked, pixels, chances[trial], distance, label)
        for _ in range(iterations):
            distance[:] = like(1e30, distance)
            for k in range(colors):
                meet(distance, label, pixels, palette[:, k], k)
            sums[:] = 0.0
            for i in range(label.size):
                sums[label[i], channels] += 1.0
                for channel in range(channels):
                    sums[label[i], channel] += np.float64(pixels[channel, i])
            for k in range(locked, colors):
                if sums[k, channels] > 0.0:
                    for channel in range(channels):
                        palette[channel, k] = sums[k, channel] / sums[k, channels]


@inline
def scatter(sums, labels, table, weights, weight):
    """Add weight times table and weights to the sums of their labels."""
    for j in range(labels.size):
        sums[labels[j]] += weight * (table[j] * weights[j])


@kernel(cost=lambda labels, table: labels.size * table.size // 2)
def normal_equations(chunk, chunks, gram, right, labels, weights, blurred, table, nu):
    """Add up, per block of rows, half the Gram matrix and the right-hand side of the palette's fit.

    labels has the shape (pictures, height, width), like the weights of pixels, float64; blurred is
    the weighted image under table and nu. The other half of the matrix is the transpose.
    """
    pictures, height, width = labels.shape
    radius = table.shape[0] // 2
    rows = pictures * height
    for b in chunk_range(BLOCKS, chunk, chunks):
        for r in range(b * rows // BLOCKS, (b + 1) * rows // BLOCKS):
            i, y = r // height, r % height
            for c in range(width):
                k = labels[i, y, c]
                sums = gram[b, k]
                weight = weights[i, y, c]
                sums[k] += 0.5 * weight * weight * (table[radius, radius] + nu)
                for channel in range(blurred.shape[1]):
                    right[b, k, channel] += weight * np.float64(blurred[i, channel, y, c])
                first, end = max(c - radius, 0), min(c + radius + 1, width)
                part = slice(c + 1, end)
                row = table[radius, radius + 1 :]
                scatter(sums, labels[i, y, part], row, weights[i, y, part], weight)
                part = slice(first, end)
                for y2 in range(y + 1, min(y + radius + 1, height)):
                    row = table[radius + y2 - y, radius + first - c :]
                    scatter(sums, labels[i, y2, part], row, weights[i, y2, part], weight)


@kernel(cost=lambda labels: labels.size)
def slopes(chunk, chunks, sums, labels, weights, field, margin):
    """sums[block, k] = (sum of weight times the field for each channel, sum of squared weights).

    The sums are over the pixels that have label k. Twice the first ones are the derivatives of the
    error by colour k.
    """
    height, width = labels.shape
    channels = field.shape[0]
    for b in chunk_range(BLOCKS, chunk, chunks):
        for y in range(b * height // BLOCKS, (b + 1) * height // BLOCKS):
            row = field[:, margin + y, margin : margin + width]
            for c in range(width):
                out, weight = sums[b, labels[y, c]], np.float64(weights[y, c])
                for channel in range(channels):
                    out[channel] += weight * np.float64(row[channel, c])
                out[channels] += weight * weight


@block
def follow(slope, row, change):
    """Bring slopes up to date when a colour changes; row is its own of the symmetric matrix."""
    wide_vectors()
    for j in range(slope.size):
        slope[j] = fma(change, row[j], slope[j])


@kernel(cost=lambda gram, iterations: gram.size * iterations)
def fit(chunk, chunks, palette, gram, right, locked, low, high, iterations):
    """Lower <palette, gram palette> / 2 - <palette, right> by coordinate descent within bounds.

    A channel is a problem of its own; the first `locked` colours stay.
    """
    slope = empty(palette.shape[1])
    for channel in chunk_range(palette.shape[0], chunk, chunks):
        x = palette[channel]
        for k in range(x.size):
            slope[k] = -right[channel, k]
        for j in range(x.size):
            follow(slope, gram[j], x[j])
        for _ in range(iterations):
            for k in range(locked, x.size):
                if gram[k, k] > 0.0:
                    new = min(max(x[k] - slope[k] / gram[k, k], low), high)
                    change = new - x[k]
                    if change != 0.0:
                        x[k] = new
                        follow(slope, gram[k], change)
