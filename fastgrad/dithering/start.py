"""Where to start: the palette is what local optima are about, so several are tried out."""

import time

import numpy as np

from fastgrad import random
from fastgrad.dithering import colour
from fastgrad.dithering.annealing import Annealing, anneal, schedule
from fastgrad.dithering.loss import BlurredError
from fastgrad.dithering.palette import Fit, Sample, initial
from fastgrad.dithering.search import Search

TRIALS = 6
STEPS = 10
PIXELS = 1 << 14  # of the small copy of the picture on which the trials are run


def choose_palette(image, colors, *, rng, space, locked, mask=None, deadline=None, **options):
    """Dither a small copy of an image from several palettes, and return the best one learned.

    Parameters
    ----------
    image : numpy.ndarray of float32, shape (height, width, channels)
        The image in linear light.
    colors : int
        The number of colours K.
    rng : Key, int, SeedSequence or Generator
        Source of randomness.
    space : colour.Space
        The space of the loss.
    locked : numpy.ndarray, shape (L, channels)
        Colours in linear light that come first, and stay.
    mask : numpy.ndarray of bool, shape (height, width), optional
        The pixels that count.
    deadline : float, optional
        The value of `time.perf_counter` after which no further trial is begun.
    **options
        Of the loss, see `BlurredError`.

    Returns
    -------
    numpy.ndarray of float32, shape (K, channels)
        The palette in the space of the loss.
    """
    key = random.as_key(rng)
    small = shrink(image, PIXELS)
    if mask is not None:
        share = shrink(mask[..., None].astype(image.dtype), PIXELS)
        small = shrink(image * mask[..., None], PIXELS) / np.maximum(share, 1e-9)
        mask = share[..., 0] >= share.max() / 2
    encoded = colour.encode(small)
    loss = BlurredError(space.into(small), mask=mask, **options)
    seen = BlurredError(encoded, mask=mask, **options)
    counting = encoded if mask is None else encoded[mask][None]
    fit = Fit(Sample(loss), space, len(locked))
    fixed = colour.encode(locked)
    first = initial(counting, colors, rng=key.fold_in(0), trials=TRIALS, locked=fixed)
    best, least = None, np.inf
    for trial, encoded_palette in zip(key.split(TRIALS), first):
        palette = space.into(colour.decode(encoded_palette))
        state = Annealing(loss, palette, rng=trial)
        for _ in anneal(state, schedule(STEPS), fit=fit):
            pass
        indices = state.argmax()
        Search(loss, indices, state.palette).sweep()
        palette = fit(indices[None], state.palette)
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
