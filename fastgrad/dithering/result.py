"""What dithering returns and reports."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from fastgrad._typing import ArrayLike, ByteArray
from fastgrad.dithering.metrics.psnr_and_ssim import decibels
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.search import Search

__all__ = ["Dithering", "Progress", "metrics"]


@dataclass(frozen=True)
class Dithering:
    """A dithered picture: the result of `fastgrad.dither`.

    Attributes
    ----------
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    loss : tuple of float
        The expected loss after each step of annealing and the loss after each sweep of search, of a
        part of the picture as long as that is enough; and the loss of the picture.
    metrics : dict of str to float
        ``"psnr"``, the peak signal-to-noise ratio in decibels for a peak of 1, in the colour space
        of the loss; ``"blurred_psnr"``, the same after the blur of the loss; ``"colors"``, the
        number of colours in use.
    seconds : float
        Time taken, in seconds.
    """

    indices: ByteArray
    palette: ByteArray
    loss: tuple[float, ...]
    metrics: dict[str, float]
    seconds: float

    @property
    def image(self) -> ByteArray:
        """The picture in sRGB, shape (height, width, 3)."""
        return self.palette[self.indices]


@dataclass(frozen=True)
class Progress:
    """The state of a running `fastgrad.dither`, passed to its callback.

    Attributes
    ----------
    step, steps : int
        Number of steps done, and of steps in all as far as it is known. The first step is a quick
        picture, in the given palette or in the first that is tried out; then come the steps of
        annealing and the sweeps of search, some of which may not be necessary.
    loss : float
        The present loss, which in annealing is an expectation.
    snapshot : callable
        ``snapshot()`` returns the `Dithering` that would result if the work ended now.
    """

    step: int
    steps: int
    loss: float
    snapshot: Callable[[], Dithering] = field(repr=False)


def metrics(loss: BlurredError, indices: ByteArray, palette: ArrayLike) -> dict[str, float]:
    """Return the `Dithering.metrics` of a picture.

    Parameters
    ----------
    loss : BlurredError
        The loss, which holds the original.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.

    Returns
    -------
    dict of str to float
        The figures by name.

    Examples
    --------
    >>> from fastgrad.dithering.optimiser.loss import BlurredError
    >>> loss = BlurredError(np.full((8, 8, 1), 0.1))
    >>> round(metrics(loss, np.zeros((8, 8), np.uint8), np.zeros((2, 1)))["psnr"], 6)
    20.0
    """
    loss = loss.unweighted()
    whole, plain = Search(loss, indices, palette).errors()
    return {
        "psnr": decibels(plain / len(loss.planes)),
        "blurred_psnr": decibels((whole - float(loss.nu) * plain) / len(loss.planes)),
        "colors": int(np.count_nonzero(np.bincount(indices.ravel()))),
    }
