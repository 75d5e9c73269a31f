"""Dithering: the choice of a palette and of one of its colours for each pixel, as an optimisation.

`dither` does it all. The parts: `colour` (sRGB and linear light), `blur` (the eye), `loss` (the
objective and its gradient), `palette`, `annealing` and `start` (the optimiser); `files` and
`quality` serve the command line.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastgrad import random
from fastgrad.dithering import annealing, colour
from fastgrad.dithering import palette as palettes
from fastgrad.dithering.loss import BlurredError, Gradient
from fastgrad.dithering.start import choose_palette

__all__ = ["BlurredError", "Dithering", "Gradient", "Progress", "dither"]

ROUNDS = 4  # of descent and fit, after the annealing


@dataclass(frozen=True)
class Dithering:
    """A dithered picture.

    Attributes
    ----------
    indices : numpy.ndarray of uint8, shape (height, width)
        The palette index of each pixel.
    palette : numpy.ndarray of uint8, shape (K, 3)
        The colours in sRGB.
    loss : tuple of float
        The loss after each step, of the expected and at last of the actual picture.
    seconds : float
        Time taken.
    """

    indices: np.ndarray
    palette: np.ndarray
    loss: tuple
    seconds: float

    @property
    def image(self):
        """The picture in sRGB, uint8 of shape (height, width, 3)."""
        return self.palette[self.indices]


@dataclass(frozen=True)
class Progress:
    """How far `dither` has come.

    Attributes
    ----------
    step, steps : int
        Steps done, and to be done in all.
    loss : float
        The present loss.
    snapshot : callable
        ``snapshot()`` returns the `Dithering` that would result if the work ended here.
    """

    step: int
    steps: int
    loss: float
    snapshot: Callable[[], Dithering] = field(repr=False)


def dither(image, *, colors=16, palette=None, sigma=1.0, nu=0.05, steps=60, rng=0, callback=None):
    """Dither a picture: choose the colours of a palette, and one of them for each pixel.

    Minimises the squared error in linear light under a Gaussian blur, plus ``nu`` times the plain
    squared error, over one categorical distribution per pixel and over the palette; the
    distributions are annealed to certainty. The same arguments give the same picture, on any number
    of threads.

    Parameters
    ----------
    image : array_like, shape (height, width, 3) or (height, width)
        sRGB or grey values, uint8 or float in [0, 1].
    colors : int, optional
        Size K of the palette, 2 to 256.
    palette : array_like of uint8, shape (K, 3), optional
        A fixed palette in sRGB. By default the palette is learned.
    sigma : float, optional
        Standard deviation of the blur in pixels, 0 to 8.
    nu : float, optional
        Weight of the plain squared error: larger is less grainy, and tones are less true.
    steps : int, optional
        Steps of annealing: more are slower and better.
    rng : int, Key, SeedSequence or Generator, optional
        Source of randomness.
    callback : callable, optional
        Called with a `Progress` after each step.

    Returns
    -------
    Dithering
        The picture, its palette, the history of the loss, and the time taken.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.dithering import dither
    >>> ramp = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (16, 1))
    >>> result = dither(ramp, colors=2)
    >>> result.image.shape
    (16, 64, 3)
    >>> bool(result.indices[:, :8].mean() == result.indices[:, -8:].mean())
    False
    """
    began = time.perf_counter()
    linear = colour.to_linear(_rgb(image))
    loss = BlurredError(linear, sigma=sigma, nu=nu)
    steps, colors = _count("steps", steps, 1, None), _count("colors", colors, 2, 256)
    key, history = random.as_key(rng), []
    if palette is None:
        palette = palettes.distinct(linear, colors)
    learned = palette is None
    if learned:
        start = choose_palette(linear, colors, rng=key.fold_in(0), sigma=sigma, nu=nu)
    else:
        start = colour.to_linear(_palette(palette))
    state = annealing.Annealing(loss, start, rng=key.fold_in(1))

    def result(indices, colours):
        rounded = colour.to_srgb(colours) if learned else np.array(palette)
        colours, indices = colour.to_linear(rounded), indices.copy()
        annealing.descend(loss, indices, colours)
        values = (*history, loss.of(indices, colours))
        return Dithering(indices, rounded, values, time.perf_counter() - began)

    def report(value, indices=None):
        history.append(value)
        if callback is not None:
            callback(Progress(len(history), steps + ROUNDS, value, lambda: snapshot(indices)))

    def snapshot(indices):
        if indices is None:
            indices = state.argmax()
        return result(indices, state.palette)

    for value in annealing.anneal(state, steps, learn=annealing.LEARN_EVERY if learned else 0):
        report(value)
    indices = state.argmax()
    for _ in range(ROUNDS):
        if learned:
            state.palette = palettes.fit(loss, indices, state.palette)
        annealing.descend(loss, indices, state.palette)
        report(loss.of(indices, state.palette), indices)
    return result(indices, state.palette)


def _rgb(image):
    """Check the shape of an image and make three channels of one."""
    image = np.asarray(image)
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(
            f"image must have shape (height, width) or (height, width, 3), not {image.shape}"
        )
    return image


def _palette(palette):
    """Check a palette."""
    palette = np.asarray(palette)
    if palette.dtype != np.uint8:
        raise TypeError(f"palette must be uint8, not {palette.dtype}")
    if palette.ndim != 2 or palette.shape[1] != 3 or not 2 <= len(palette) <= 256:
        raise ValueError(f"palette must have shape (2 to 256, 3), not {palette.shape}")
    return palette


def _count(name, value, low, high):
    """Check an integer argument."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{name} must be an integer, not {value!r}")
    if value < low or (high is not None and value > high):
        wanted = f"at least {low}" if high is None else f"{low} to {high}"
        raise ValueError(f"{name} must be {wanted}, not {value}")
    return int(value)
