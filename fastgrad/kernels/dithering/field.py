"""Mean-field annealing: a pixel has a target colour, and logits -beta |palette_k - target|^2.

A step, blur and all, is a single pass over the picture.
"""

import numpy as np

from fastgrad.kernels.dithering.blur import blur_row
from fastgrad.kernels.dithering.expectation import SEGMENT, expect, least
from fastgrad.kernels.jit import block, kernel, prange, wide_vectors
from fastgrad.kernels.special import exp_normal, fma, like, where


@block
def distances(d, target, palette):
    """Set d[k, c] to |palette_k - target_c|^2."""
    wide_vectors()
    red, green, blue = target[0], target[1], target[2]
    for k in range(palette.shape[0]):
        r, g, b = palette[k, 0], palette[k, 1], palette[k, 2]
        row = d[k]
        for c in range(red.size):
            x, y, z = red[c] - r, green[c] - g, blue[c] - b
            row[c] = fma(x, x, fma(y, y, z * z))


@block
def approach(target, error, image, blurred, own, nu, rate):
    """Move targets towards mean - gradient / own, and return the sum of error * gradient."""
    wide_vectors()
    inverse = like(1, own) / own
    for c in range(target.size):
        blurred[c] = fma(nu, error[c], blurred[c])
        goal = fma(-inverse, blurred[c], image[c] + error[c])
        target[c] = fma(rate, goal - target[c], target[c])
    energy = 0.0
    for c in range(target.size):
        energy += np.float64(error[c] * blurred[c])
    return energy


@block
def settle(after, image, mean):
    """Set after to the error of the mean."""
    wide_vectors()
    for channel in range(3):
        out, x, m = after[channel], image[channel], mean[channel]
        for c in range(x.size):
            out[c] = m[c] - x[c]


@kernel
def step(chunks, target, after, error, image, palette, taps, nu, own, beta, rate, energies):
    """Move the targets by the gradient at `error`, and set `after` to the error of their new means.

    energies[0, y] becomes the share of row y in the squared error before the step, energies[1, y]
    the sum of its variances after.
    """
    height, width = image.shape[1:]
    for chunk in prange(chunks):
        padded = np.zeros(width + taps.size, image.dtype)
        blurred = np.empty(width, image.dtype)
        d = np.empty((palette.shape[0], SEGMENT), image.dtype)
        mean = np.empty((3, SEGMENT), image.dtype)
        variance = np.empty(SEGMENT, image.dtype)
        low = np.empty(SEGMENT, image.dtype)
        total = np.empty(SEGMENT, image.dtype)
        for y in range(chunk * height // chunks, (chunk + 1) * height // chunks):
            energies[0, y] = 0.0
            energies[1, y] = 0.0
            for channel in range(3):
                blur_row(blurred, error[channel], y, taps, padded)
                energies[0, y] += approach(
                    target[channel, y], error[channel, y], image[channel, y], blurred, own, nu, rate
                )
            for first in range(0, width, SEGMENT):
                n = min(SEGMENT, width - first)
                last = first + n
                distances(d, target[:, y, first:last], palette)
                least(low[:n], d)
                expect(mean, variance, total, d, low[:n], palette, beta)
                settle(after[:, y, first:last], image[:, y, first:last], mean)
                for c in range(n):
                    energies[1, y] += np.float64(variance[c])


@block
def choose(label, d, low, total, chance, beta):
    """Draw labels from softmax(-beta d) by inverting the cumulative sums, one chance a pixel."""
    wide_vectors()
    one, zero = np.int32(1), np.int32(0)
    for c in range(low.size):
        total[c] = like(0, low)
        label[c] = zero
    for k in range(d.shape[0]):
        row = d[k]
        for c in range(low.size):
            total[c] += exp_normal(beta * (low[c] - row[c]))
            row[c] = total[c]
    for c in range(low.size):
        total[c] *= chance[c]
    for k in range(d.shape[0] - 1):
        row = d[k]
        for c in range(low.size):
            label[c] += where(row[c] < total[c], one, zero)


@kernel
def draw(chunks, labels, target, palette, beta, chance):
    """Draw each label from the probabilities of its pixel, with a uniform number `chance`."""
    height, width = labels.shape
    for chunk in prange(chunks):
        d = np.empty((palette.shape[0], SEGMENT), target.dtype)
        low = np.empty(SEGMENT, target.dtype)
        total = np.empty(SEGMENT, target.dtype)
        label = np.empty(SEGMENT, np.int32)
        for y in range(chunk * height // chunks, (chunk + 1) * height // chunks):
            for first in range(0, width, SEGMENT):
                n = min(SEGMENT, width - first)
                distances(d, target[:, y, first : first + n], palette)
                least(low[:n], d)
                choose(label, d, low[:n], total, chance[y, first : first + n], beta)
                for c in range(n):
                    labels[y, first + c] = label[c]
