"""Where to start: the palette is what local optima are about, so several are tried out."""

import time

import numpy as np

from fastgrad import random
from fastgrad.dithering.eye import colour
from fastgrad.dithering.optimiser.annealing import Annealing, anneal, schedule
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import Fit, Sample, initial
from fastgrad.dithering.optimiser.search import Search

TRIALS = 6
STEPS = 10
ROUNDS = 2  # of descent and fit after them
PIXELS = 1 << 14  # of the small copy of the picture on which the trials are run


def choose_palette(problem, *, rng, deadline=None):
    """Dither a small copy of an image from several palettes, and return the best one learned.

    Parameters
    ----------
    problem : Problem
        The image and how its errors are seen.
    rng : Key, int, SeedSequence or Generator
        Source of randomness.
    deadline : float, optional
        The value of `time.perf_counter` after which no further trial is begun.

    Returns
    -------
    numpy.ndarray of float32, shape (K, channels)
        The palette in the space of the loss.
    """
    key, space = random.as_key(rng), problem.space
    small, weights = shrink(problem.linear, PIXELS), problem.weights
    if weights is not None:
        share = shrink(weights[..., None], PIXELS)
        small = shrink(problem.linear * weights[..., None], PIXELS) / np.maximum(share, 1e-9)
        weights = np.where(share >= share.mean() / 2, share, 0)[..., 0]
    loss = problem.loss(small, weights)
    encoded = colour.encode(small)
    seen = BlurredError(encoded, weights=loss.weights, **problem.blur)
    counting = encoded
    if weights is not None and weights.any():
        counting = encoded[weights > 0][None]
    locked = colour.encode(problem.locked)
    fit = Fit(Sample(loss), space, len(locked))
    first = initial(counting, problem.colors, rng=key.fold_in(0), trials=TRIALS, locked=locked)
    best, least = None, np.inf
    for trial, encoded_palette in zip(key.split(TRIALS), first):
        palette = space.into(colour.decode(encoded_palette))
        state = Annealing(loss, palette, rng=trial)
        for _ in anneal(state, schedule(STEPS), fit=fit):
            pass
        palette = state.palette
        indices = diffuse(loss, palette)
        for _ in range(ROUNDS):
            Search(loss, indices, palette).sweep()
            palette = fit(indices[None], palette)
        # Tones near black hardly count in linear light, but the eye tells them apart: of palettes
        # that are about as good, the one to take is good for the sRGB values too.
        values = colour.encode(np.clip(space.back(palette), 0, 1))
        value = loss.of(indices, palette) * seen.of(indices, values)
        if value < least:
            best, least = palette, value
        if deadline is not None and time.perf_counter() > deadline:
            break
    return best


def shrink(image, pixels):
    """Average an image over equal boxes, so that about so many pixels are left.

    Parameters
    ----------
    image : numpy.ndarray of float, shape (height, width, channels)
        The image.
    pixels : int
        The number of pixels wanted; an image that has no more is returned as it is.

    Returns
    -------
    numpy.ndarray, shape (smaller height, smaller width, channels)
        The small image, without the last rows and columns where the boxes do not come out even.

    Examples
    --------
    >>> import numpy as np
    >>> shrink(np.arange(8.0).reshape(2, 4, 1), 2)[..., 0]
    array([[2.5, 4.5]])
    """
    height, width, channels = image.shape
    side = int(np.ceil(np.sqrt(height * width / pixels)))
    down, across = min(side, height), min(side, width)
    rows, columns = height // down, width // across
    boxes = image[: rows * down, : columns * across]
    boxes = boxes.reshape(rows, down, columns, across, channels)
    return np.ascontiguousarray(boxes.mean(axis=(1, 3), dtype=image.dtype))
