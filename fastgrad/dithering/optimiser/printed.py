"""Printed pictures: the loss of what is seen of their dots, and an exact search for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.blur import convolve
from fastgrad.dithering.optimiser.diffusion import diffuse_rows, limits_of
from fastgrad.dithering.optimiser.dot_gain import DotGain
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.search import Search, in_vectors, table_of
from fastgrad.kernels.dithering.optimiser import printed as kernels
from fastgrad.kernels.dithering.optimiser.search import AROUND

__all__ = ["PrintedError", "PrintedSearch", "diffused", "searching"]

REACH = 3  # rows or columns between two pixels whose errors change when neighbours swap


class PrintedError(BlurredError):
    """The loss of a picture in two colours, with each pixel as it is seen beside its neighbours.

    It is that of `BlurredError`, but for the colour of a pixel: that is no longer its entry of the
    palette, but a mixture of both, which depends on its dot and the eight around it.

    Parameters
    ----------
    image : array_like, shape (height, width, channels)
        The image, in linear light or a linear function of it.
    gain : DotGain
        How much of a pixel is covered.
    ink : int
        The index of the colour of the dots, 0 or 1.
    **options
        Options of `BlurredError`.

    Examples
    --------
    >>> dots, colors = np.zeros((16, 16), np.uint8), np.array([[1.0], [0.0]])
    >>> dots[8, 8] = 1
    >>> plain, printed = (
    ...     PrintedError(np.ones((16, 16, 1)), gain=DotGain.grown(p), ink=1) for p in (0, 20)
    ... )
    >>> bool(plain.of(dots, colors) < printed.of(dots, colors))
    True
    """

    gain: DotGain
    ink: int

    def __init__(self, image: ArrayLike, *, gain: DotGain, ink: int, **options: Any) -> None:
        super().__init__(image, **options)
        self.gain, self.ink = gain, ink

    def error(self, indices: ArrayLike, palette: ArrayLike) -> FloatArray:
        """Return the error ``weights (y - x)`` of a picture as it is seen: see `BlurredError`."""
        labels, colors = self._picture(indices, palette)
        cover = self.gain.cover(labels == self.ink).astype(self.dtype)
        paper, ink = colors[1 - self.ink, :, None, None], colors[self.ink, :, None, None]
        error = paper + cover * (ink - paper) - self.planes
        error *= self.weights
        return error

    def errors(
        self,
        indices: ArrayLike,
        palette: ArrayLike,
        *,
        counted: bool = False,
        out: FloatArray | None = None,
        margin: int = 0,
    ) -> tuple[float, float]:
        """Return the loss of a picture as it is seen, and the squared error without blur."""
        loss = self.unweighted() if counted else self
        error = loss.error(indices, palette)
        field = convolve(error, self.terms, nu=self.nu, out=out, margin=margin)
        height, width = self.shape
        field = field[:, margin : margin + height, margin : margin + width]
        both = [np.einsum("chw,chw->h", error, x, dtype=np.float64) for x in (field, error)]
        whole, plain = (float(rows.sum()) / self.pixels for rows in both)
        return whole, plain

    def covers(self, palette: ArrayLike) -> FloatArray:
        """Return how much of each pixel should be covered, as far as two colours can say that.

        Parameters
        ----------
        palette : array_like, shape (2, channels)
            The colours in the space of the loss.

        Returns
        -------
        array, shape (height, width)
            The shares of ink in the mixtures that are nearest to the image, of which some may be
            less than 0, or above 1. What else there is of the error does not depend on the dots.
        """
        colors = np.asarray(palette, self.dtype)
        paper, line = colors[1 - self.ink], colors[self.ink] - colors[1 - self.ink]
        square = max(float(line @ line), float(np.finfo(self.dtype).tiny))
        shares = np.tensordot(line, self.planes - paper[:, None, None], 1) / self.dtype(square)
        return np.ascontiguousarray(shares)


def diffused(loss: PrintedError, palette: ArrayLike) -> ByteArray:
    """Dither by error diffusion, with tones as light as they must be to be seen as they should.

    Parameters
    ----------
    loss : PrintedError
        The loss.
    palette : array_like, shape (2, channels)
        The colours in the space of the loss.

    Returns
    -------
    array of uint8, shape (height, width)
        Palette indices. Pixels of no weight are paper.
    """
    covers, densities = loss.gain.tones
    dense = np.interp(loss.covers(palette), covers, densities).astype(loss.dtype)
    labels, both = np.empty(loss.shape, np.uint8), np.array([[0], [1]], loss.dtype)
    colours = in_vectors(both), limits_of(both)
    diffuse_rows(labels, dense[None], loss.weights, colours, loss.shape[1])
    labels[loss.weights == 0] = 0
    return labels if loss.ink else 1 - labels


class PrintedSearch:
    """Direct binary search for a printed picture: turn dots, and swap neighbours.

    A turn changes what is seen of nine pixels, and a swap what is seen of sixteen at most. The
    loss is a quadratic form of these, and its change by each move is exact.

    Parameters
    ----------
    loss : PrintedError
        The loss, which holds the image.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel, which `sweep` changes in place. Pixels of no weight stay
        as they are, and are seen by their neighbours.
    palette : array_like, shape (2, channels)
        The colours in the space of the loss.

    References
    ----------
    M. Analoui and J. P. Allebach, "Model-based halftoning using direct binary search", Proc. SPIE
    1666, 1992.

    F. A. Baqai and J. P. Allebach, "Halftoning via direct binary search using analytical and
    stochastic printer models", IEEE Transactions on Image Processing 12(1), 2003.

    Examples
    --------
    >>> loss = PrintedError(np.full((32, 32, 1), 0.5), gain=DotGain.grown(20), ink=0)
    >>> picture, colors = np.ones((32, 32), np.uint8), np.array([[0.0], [1.0]])
    >>> search = PrintedSearch(loss, picture, colors)
    >>> while search.sweep():
    ...     pass
    >>> bool(abs(loss.gain.cover(picture == 0).mean() - 0.5) < 0.03), bool(picture.mean() > 0.6)
    (True, True)
    """

    loss: PrintedError
    indices: ByteArray

    def __init__(self, loss: PrintedError, indices: ByteArray, palette: ArrayLike) -> None:
        self.loss, self.indices = loss, indices
        self._table, size = table_of(loss, least=REACH)
        self._size = max(size, self._table.shape[1] + 1)
        self._margin = radius = len(self._table) // 2
        height, width = loss.shape
        shape = height + 2 * radius, width + radius + self._table.shape[1]
        self._field = np.zeros((1, *shape), loss.dtype)
        self._awake = np.empty((height + 2 * AROUND, width + 2 * AROUND), np.uint8)
        self._weights = np.pad(loss.weights, 1)
        self._response = np.asarray(loss.gain.table).astype(loss.dtype)
        self.recolor(palette)

    def recolor(self, palette: ArrayLike, *, wake: bool = True) -> None:
        """Take another palette for the same picture.

        Parameters
        ----------
        palette : array_like, shape (2, channels)
            The colours in the space of the loss.
        wake : bool, optional
            Whether the next sweep visits every pixel, and not only those around moves.
        """
        loss = self.loss
        self._palette = np.asarray(palette, loss.dtype)
        codes = loss.gain.codes(self.indices == loss.ink)
        self._codes = np.pad(codes, 1)
        error = (self._response[codes] - loss.covers(palette)) * loss.weights
        convolve(error[None], loss.terms, nu=loss.nu, out=self._field, margin=self._margin)
        if wake:
            self._awake[:] = 1

    def sweep(self) -> int:
        """Visit the pixels around which something has changed, and make moves that lower the loss.

        The first sweep visits every pixel, and so does one that follows a sweep without moves.

        Returns
        -------
        int
            Number of moves.
        """
        moves = np.zeros([-(-n // self._size) for n in self.loss.shape], np.int64)
        blurred = self._field[0], self._table, self.loss.nu
        seen = self._codes, self._weights, self._response
        for phase in range(4):
            kernels.descend(moves, self.indices, self._awake, *seen, blurred, self._size, phase)
        made = int(moves.sum())
        if made == 0:
            self._awake[:] = 1
        return made

    def errors(self) -> tuple[float, float]:
        """Return the loss, and the squared error without blur, as means over the pixels."""
        return self.loss.errors(self.indices, self._palette)


def searching(
    loss: BlurredError,
    indices: ByteArray,
    palette: ArrayLike,
    *,
    previous: ByteArray | None = None,
    gap: ArrayLike = 0.0,
) -> Search | PrintedSearch:
    """Return the search that suits a loss: arguments are those of `Search`.

    A printed picture has no previous frame.
    """
    if isinstance(loss, PrintedError):
        return PrintedSearch(loss, indices, palette)
    return Search(loss, indices, palette, previous=previous, gap=gap)
