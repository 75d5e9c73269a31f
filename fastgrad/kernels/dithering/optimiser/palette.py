"""Palettes by k-means, and by the least squares of a given picture; planar, shape (channels, K).

Oracle: tests/dithering/optimiser/test_annealing.py,
`test_normal_equations_are_the_quadratic_form`.
"""

import numpy as np

from fastgrad.kernels.compiler.jit import block, chunk_range, inline, kernel, wide_vectors
from fastgrad.kernels.simd.intrinsics import fma, like, to_float64, where
from fastgrad.kernels.simd.lanes import first_of, sum_of
from fastgrad.kernels.simd.vectors import LANES, filled, load, store
from fastgrad.kernels.tiles.memory import empty

FEW = 4  # colours up to which the pixels of each are added up in vectors
BLOCKS = 4  # sums over the picture are taken per block of rows, whatever the number of threads


@inline
def apart(pixels, i, palette, k):
    """Return the squared distances of 16 pixels, from i on, to colour k."""
    channel = len(palette) - 1
    x = load(pixels, (channel, i)) - palette[channel, k]
    total = x * x
    while channel:
        channel -= 1
        x = load(pixels, (channel, i)) - palette[channel, k]
        total = fma(x, x, total)
    return total


@block
def seed(palette, locked, pixels, count, chances, distance, sums):
    """Choose colours from the pixels, each with a chance in proportion to its squared distance.

    Only the first `count` pixels are there; behind their channels is how often each is. sums has a
    place for those of each 16 distances.
    """
    wide_vectors()
    often, total = len(palette), 0.0
    for i in range(distance.size):
        distance[i] = like(1e30, distance)
    for j in range(sums.size):
        sums[j] = 0.0
        for i in range(j * LANES, j * LANES + LANES):
            sums[j] += np.float64(pixels[often, i])
        total += sums[j]
    for k in range(palette.shape[1]):
        if k >= locked:
            rest, j = chances[k] * total, 0
            while j < sums.size - 1 and sums[j] <= rest:
                rest -= sums[j]
                j += 1
            chosen = j * LANES
            while chosen < count - 1:
                far = like(1, distance) if k == 0 else distance[chosen]
                rest -= np.float64(far) * np.float64(pixels[often, chosen])
                if rest < 0.0:
                    break
                chosen += 1
            for channel in range(len(palette)):
                palette[channel, k] = pixels[channel, chosen]
        total = 0.0
        for j in range(sums.size):
            i = j * LANES
            before, d = load(distance, i), apart(pixels, i, palette, k)
            if k == 0 or first_of(d < before) < LANES:  # few are nearer to a colour of many
                least = where(d < before, d, before)
                store(distance, i, least)
                sums[j] = sum_of(to_float64(least) * to_float64(load(pixels, (often, i))))
            total += sums[j]


@block
def assign(labels, pixels, palette):
    """labels = the nearest colour of each pixel."""
    wide_vectors()
    for i in range(0, labels.size, LANES):
        least, label = filled(like(np.inf, palette)), filled(np.int32(0))
        for k in range(palette.shape[1]):
            d = apart(pixels, i, palette, k)
            near = d < least
            least, label = where(near, d, least), where(near, filled(np.int32(k)), label)
        store(labels, i, label)


@block
def choose(chosen, labels, label, weights):
    """chosen = the weights, float64, of those so labelled; others are 0. Return their sum."""
    wide_vectors()
    total, none = filled(0.0), filled(like(0, weights))
    for i in range(0, chosen.size, LANES):
        x = to_float64(where(load(labels, i) == like(label, labels), load(weights, i), none))
        store(chosen, i, x)
        total = total + x
    return sum_of(total)


@block
def dot(chosen, values, first):
    """Return the sum of weights, float64, times values from `first` on."""
    wide_vectors()
    total = filled(0.0)
    for i in range(0, chosen.size, LANES):
        total = fma(load(chosen, i), to_float64(load(values, first + i)), total)
    return sum_of(total)


@kernel(cost=lambda palettes, pixels: len(palettes) * palettes.shape[2] * pixels.shape[1])
def cluster(chunk, chunks, palettes, locked, pixels, chances, iterations):
    """Make palettes of pixels by k-means++ and k-means; the first `locked` colours stay.

    Behind the channels of the pixels is how often each is there.
    """
    trials, channels, colors = palettes.shape
    count = pixels.shape[1]
    vectors = (count + LANES - 1) // LANES
    filled_up = empty((channels + 1, vectors * LANES), pixels.dtype)  # by the last pixel, never
    distance, label = empty(vectors * LANES, pixels.dtype), empty(vectors * LANES, np.int32)
    sums, totals = empty((colors, channels + 1)), empty(vectors)
    chosen = empty(label.size if colors <= FEW else 0)
    for channel in range(channels + 1):
        for i in range(filled_up.shape[1]):
            filled_up[channel, i] = pixels[channel, min(i, count - 1)]
    for i in range(count, filled_up.shape[1]):
        filled_up[channels, i] = like(0, pixels)
    for trial in chunk_range(trials, chunk, chunks):
        palette = palettes[trial]
        seed(palette, locked, filled_up, count, chances[trial], distance, totals)
        for _ in range(iterations):
            assign(label, filled_up, palette)
            if colors <= FEW:
                for k in range(colors):
                    sums[k, channels] = choose(chosen, label, k, filled_up[channels])
                    for channel in range(channels):
                        sums[k, channel] = dot(chosen, filled_up[channel], 0)
            else:
                for k in range(colors):
                    for channel in range(channels + 1):
                        sums[k, channel] = 0.0
                for i in range(count):
                    often, k = np.float64(filled_up[channels, i]), np.uint64(label[i])
                    sums[k, channels] += often
                    for channel in range(channels):
                        sums[k, channel] += often * np.float64(filled_up[channel, i])
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
    channels, colors = field.shape[0], sums.shape[1]
    whole = width // LANES * LANES if colors <= FEW else 0
    chosen = empty(whole)
    for b in chunk_range(BLOCKS, chunk, chunks):
        for y in range(b * height // BLOCKS, (b + 1) * height // BLOCKS):
            for k in range(colors if whole else 0):
                choose(chosen, labels[y], k, weights[y])
                for channel in range(channels):
                    sums[b, k, channel] += dot(chosen, field[channel, margin + y], margin)
                sums[b, k, channels] += dot(chosen, weights[y], 0)
            label, heavy = labels[y, whole:], weights[y, whole:]
            row = field[:, margin + y, margin + whole : margin + width]
            for c in range(label.size):
                out, weight = sums[b, label[c]], np.float64(heavy[c])
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
