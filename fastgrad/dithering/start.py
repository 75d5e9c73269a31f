"""Where to start: the palette is what local optima are about, so several are tried out."""

import numpy as np

from fastgrad import random
from fastgrad.dithering import colour
from fastgrad.dithering.annealing import Annealing, anneal, descend
from fastgrad.dithering.loss import BlurredError
from fastgrad.dithering.palette import fit, initial

TRIALS = 6
STEPS = 30
PIXELS = 1 << 14  # of the small copy of the picture on which the trials are run


def choose_palette(image, colors, *, rng, sigma, nu):
    """Dither a small copy of an image from several palettes, and return the best one learned.

    Parameters
    ----------
    image : numpy.ndarray of float32, shape (height, width, 3)
        The image in linear light.
    colors : int
        The number of colours K.
    rng : Key, int, SeedSequence or Generator
        Source of randomness.
    sigma, nu : float
        The loss, see `BlurredError`.

    Returns
    -------
    numpy.ndarray of float32, shape (K, 3)
        The palette.
    """
    key = random.as_key(rng)
    small = shrink(image, PIXELS)
    loss = BlurredError(small, sigma=sigma, nu=nu)
    encoded = colour.encode(small)
    seen = BlurredError(encoded, sigma=sigma, nu=nu)
    best, least = None, np.inf
    for trial in key.split(TRIALS):
        first = colour.decode(initial(encoded, colors, rng=trial))
        state = Annealing(loss, first, rng=trial.fold_in(0))
        for _ in anneal(state, STEPS):
            pass
        indices = state.argmax()
        descend(loss, indices, state.palette)
        palette = fit(loss, indices, state.palette)
        # Tones near black hardly count in linear light, but the eye tells them apart: of palettes
        # that are about as good, the one to take is good for the sRGB values too.
        value = loss.of(indices, palette) * seen.of(indices, colour.encode(palette))
        if value < least:
            best, least = palette, value
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
