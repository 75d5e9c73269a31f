"""The strings that a GIF is written in, as one more term of what a search lowers."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, ArrayLike, ByteArray
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.search import Search
from fastgrad.kernels.dithering.optimiser import lzw as kernels

__all__ = ["StringSearch", "in_strings"]

LITTLE, FEW = 0.2, 32  # weight nu and number of colours from which on, and beyond which, it serves
FIRST_WORTH = 4.0  # bits that a pixel is worth before it is known what they take
WORTH = 1.25  # of what a pixel took in the pass before: to go on beyond the mean pays later, too
ROOM = 6.0  # bits by which the error of a string may be above what its pixels are worth


def in_strings(ending: str | None, colors: int, nu: float | None) -> bool:
    """Return whether a picture is better made of strings than of indices with prices.

    With much grain the errors of strings hide behind it from the loss, but not from other judges;
    and few colours are told well by those before them.

    Parameters
    ----------
    ending : str or None
        The ending of the file's name.
    colors : int
        Number of colours.
    nu : float or None
        Weight of the error without blur; None is the default, of pictures with grain.

    Returns
    -------
    bool
        True for a GIF with little grain and many colours.

    Examples
    --------
    >>> in_strings(".gif", 64, 0.3), in_strings(".png", 64, 0.3), in_strings(".gif", 64, None)
    (True, False, False)
    """
    return ending == ".gif" and colors > FEW and (nu or 0.0) >= LITTLE


class StringSearch(Search):
    """A search that lowers ``loss + rate * bits per pixel``, by the codes that LZW writes.

    The pixels are gone through once in a sweep, in the order of the file, with the table that its
    reader has at that place. A code costs as many bits whatever the length of its string: so of all
    strings in the table that one is taken for which the errors that its indices add, and its code,
    are least beside what as many pixels take elsewhere. What is off is made up for by the pixels
    that follow, since the errors are those of the blurred picture.

    Parameters
    ----------
    loss, indices, palette, previous, gap
        As in `Search`. With a previous frame, pixels that keep its index may be transparent; pixels
        of weight 0 are.
    rate : float
        What a bit per pixel costs, as a loss.

    Attributes
    ----------
    bits : int
        Bits of the codes that the last sweep chose.

    References
    ----------
    T. A. Welch, "A technique for high-performance data compression", Computer 17(6), 1984.

    Y. Shoham and A. Gersho, "Efficient bit allocation for an arbitrary set of quantizers", IEEE
    Transactions on Acoustics, Speech, and Signal Processing 36(9), 1988.

    Examples
    --------
    >>> from fastgrad.dithering.optimiser.diffusion import diffuse
    >>> from fastgrad.dithering.pictures.gif import compress
    >>> image = np.random.default_rng(0).random((40, 60, 1), np.float32)
    >>> loss, greys = BlurredError(image, nu=0.3), np.linspace(0, 1, 64, dtype=np.float32)[:, None]
    >>> indices = diffuse(loss, greys)
    >>> before, changed = len(compress(indices)), StringSearch(loss, indices, greys, 1e-3).sweep()
    >>> bool(changed), len(compress(indices)) < 0.7 * before
    (True, True)
    """

    bits: int
    rate: float

    def __init__(
        self,
        loss: BlurredError,
        indices: ByteArray,
        palette: ArrayLike,
        rate: float,
        *,
        previous: ByteArray | None = None,
        gap: ArrayLike = 0.0,
    ) -> None:
        super().__init__(loss, indices, palette, previous=previous, gap=gap)
        self.bits, self.rate = 0, rate
        self._worth = FIRST_WORTH * rate

    def sweep(self) -> int:
        """Go through the pixels once.

        Returns
        -------
        int
            Number of pixels that have another index than before.
        """
        area, self.bits = self._area(), 0
        if area is None:
            return 0
        before, channels = self.indices.copy(), len(self.loss.planes)
        colors, clear = self._palette, self._planar.shape[1]
        symbols = clear + bool(self._previous.size or not self.loss.weights.all())
        bits = max(2, (symbols - 1).bit_length())
        picture = self.indices, self.loss.weights, self._previous, self._gaps
        blurred = self._field, self._table, self.loss.nu
        self.bits, error = kernels.choose(
            picture,
            blurred,
            colors,
            clear,
            bits,
            area,
            float(self.rate),
            float(self._worth),
            float(ROOM * self.rate),
            _room(channels, clear, self.loss.dtype),
        )
        pixels = (area[2] - area[0]) * (area[3] - area[1])
        self._worth = WORTH * (self.rate * self.bits + max(error, 0.0)) / pixels
        return int(np.count_nonzero(before != self.indices))

    def _area(self) -> tuple[int, int, int, int] | None:
        """Return the first row and column, and those after the last, of what a frame changes."""
        changed = self.loss.weights > 0
        if self._previous.size:
            changed &= self.indices != self._previous
        rows, columns = (np.flatnonzero(changed.any(axis=i)) for i in (1, 0))
        if not len(rows):
            return None
        return int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1


def _room(channels: int, clear: int, dtype: type) -> tuple[Array, ...]:
    """Return what the kernel writes to: the table, and the string that it looks at."""
    most = kernels.MOST
    links = np.empty((3, kernels.CODES), np.int16)
    return (
        links,
        np.empty((most, channels), dtype),
        np.empty((most, channels), dtype),
        np.empty(most),
        np.empty(most, np.int16),
        np.empty(most, np.int16),
        np.empty(clear, dtype),
    )
