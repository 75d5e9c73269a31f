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


def loss(picture, image, sigma, nu):
    """(|h * (y - x)|^2 + nu |y - x|^2) / pixels."""
    error = np.asarray(picture, np.float64) - image
    height, width, _ = error.shape
    down, across = blur_matrix(height, sigma), blur_matrix(width, sigma)
    blurred = np.einsum("ah,hwc,bw->abc", down, error, across)
    return (np.square(blurred).sum() + nu * np.square(error).sum()) / (height * width)


def softmax(logits):
    p = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


def expected_loss(logits, palette, image, sigma, nu):
    """The expectation, by enumeration of all pictures."""
    height, width, colors = logits.shape
    p = softmax(logits).reshape(-1, colors)
    total = 0.0
    for labels in itertools.product(range(colors), repeat=height * width):
        chance = np.prod(p[np.arange(len(p)), labels])
        if chance > 0:
            picture = palette[np.array(labels).reshape(height, width)]
            total += chance * loss(picture, image, sigma, nu)
    return total


def numerical_gradient(f, x, h=1e-5):
    """Central differences."""
    out = np.zeros_like(x)
    for i in np.ndindex(x.shape):
        step = np.zeros_like(x)
        step[i] = h
        out[i] = (f(x + step) - f(x - step)) / (2 * h)
    return out
