"""What dithering returns and reports."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastgrad.dithering.metrics.psnr_and_ssim import decibels
from fastgrad.dithering.optimiser.search import Search


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
        The loss after each step of annealing (expected), after each round of search, and at last.
    metrics : dict of str to float
        ``"psnr"`` and ``"blurred_psnr"`` (decibels, in the space that was dithered in, for a peak
        of 1; the blur is that of the loss), ``"colors"`` (the number that the picture has).
    seconds : float
        Time taken.
    """

    indices: np.ndarray
    palette: np.ndarray
    loss: tuple
    metrics: dict
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
        Steps done, and to be done in all, as far as that is known.
    loss : float
        The present loss.
    snapshot : callable
        ``snapshot()`` returns the `Dithering` that would result if the work ended here.
    """

    step: int
    steps: int
    loss: float
    snapshot: Callable[[], Dithering] = field(repr=False)


def metrics(loss, indices, colours):
    """Return the `Dithering.metrics` of a picture, given its colours in the space of the loss.

    Examples
    --------
    >>> from fastgrad.dithering.optimiser.loss import BlurredError
    >>> loss = BlurredError(np.full((8, 8, 1), 0.1))
    >>> round(metrics(loss, np.zeros((8, 8), np.uint8), np.zeros((2, 1)))["psnr"], 6)
    20.0
    """
    loss = loss.unweighted()
    whole, plain = Search(loss, indices, colours).errors()
    return {
        "psnr": decibels(plain / len(loss.planes)),
        "blurred_psnr": decibels((whole - float(loss.nu) * plain) / len(loss.planes)),
        "colors": int(np.count_nonzero(np.bincount(indices.ravel()))),
    }
