"""Slow float64 oracle of the dithering loss: the definition, written out on a padded picture."""

import itertools

import numpy as np


def blur_matrix(n, sigma):
    """The Gaussian blur of n samples, zero outside, onto all places that it reaches."""
    radius = int(3 * sigma + 0.5)
    weights = np.exp(-0.5 * (np.arange(-radius, radius + 1) / max(sigma, 1e-9)) ** 2)
    weights /= weights.sum()
    matrix = np.zeros((n + 2 * radius, n))
    for i in range(n):
        matrix[i : i + 2 * radius + 1, i] = weights
    return matrix


def loss(picture, image, sigma, nu, weights=None):
    """(|h * e|^2 + nu |e|^2) / pixels of weight, e = weights (y - x)."""
    error = np.asarray(picture, np.float64) - image
    height, width, _ = error.shape
    weights = np.ones((height, width)) if weights is None else weights
    error = error * weights[..., None]
    down, across = blur_matrix(height, sigma), blur_matrix(width, sigma)
    blurred = np.einsum("ah,hwc,bw->abc", down, error, across)
    pixels = np.count_nonzero(weights)
    return (np.square(blurred).sum() + nu * np.square(error).sum()) / pixels


def softmax(logits):
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def expected_loss(logits, palette, image, sigma, nu, weights=None):
    """The expectation, by enumeration of all pictures."""
    height, width, colors = logits.shape
    p = softmax(logits).reshape(-1, colors)
    total = 0.0
    for labels in itertools.product(range(colors), repeat=height * width):
        chance = np.prod(p[np.arange(len(p)), labels])
        if chance > 0:
            picture = palette[np.array(labels).reshape(height, width)]
            total += chance * loss(picture, image, sigma, nu, weights)
    return total


def numerical_gradient(f, x, h=1e-5):
    """Central differences."""
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        out[i] = (f(x + step) - f(x - step)) / (2 * h)
    return out


def diffused(image, palette, weights, band, limit):
    """Labels by serpentine error diffusion, which starts anew every `band` rows."""
    height, width, channels = image.shape
    labels, most = np.empty((height, width), np.uint8), limit * np.ptp(palette, axis=0)
    for y in range(height):
        if y % band == 0:
            below = np.zeros((width + 2, channels))
        here, below = below, np.zeros((width + 2, channels))
        side = -1 if y % 2 else 1
        for x in range(width)[::side]:
            goal = image[y, x] + here[x + 1]
            labels[y, x] = np.square(palette - goal).sum(axis=1).argmin()
            if weights[y, x] > 0:
                missing = goal - palette[labels[y, x]]
                missing = np.minimum(np.maximum(missing, -most), most)  # sooner than `clip`
                here[x + 1 + side] += 7 / 16 * missing
                below[x + 1] += 5 / 16 * missing
                below[x + 1 - side] += 4 / 16 * missing
    return labels
