"""Direct binary search on the picture itself, with any number of colours."""

from __future__ import annotations

import numpy as np

from fastgrad import threads
from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.kernels.dithering.optimiser import compensation, loss_rows
from fastgrad.kernels.dithering.optimiser import palette as palette_kernels
from fastgrad.kernels.dithering.optimiser import search as kernels

__all__ = ["Search", "in_vectors", "outwards", "swaps", "table_of", "with_neighbours"]

MOST = 256  # colours of a palette
MANY = 16  # colours from which on a first sweep does without swaps across corners
ROWS = 8  # of tiles for each thread, from which on its tiles may be those of whole rows
NO_PREVIOUS = np.empty((0, 0), np.uint8)


class Search:
    """Direct binary search: change indices, and swap neighbouring ones, while the loss falls.

    Parameters
    ----------
    loss : BlurredError
        The loss, which holds the image.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel, which `sweep` changes in place.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.
    previous : array of uint8, shape (height, width), optional
        The previous frame's indices.
    gap : float or array_like, shape (height, width), optional
        Reward for keeping a pixel's previous colour, as a squared distance.

    Attributes
    ----------
    colors : array, shape (K, channels)
        The present palette.

    References
    ----------
    M. Analoui and J. P. Allebach, "Model-based halftoning using direct binary search", Proc. SPIE
    1666, 1992.
    """

    loss: BlurredError
    indices: ByteArray
    colors: FloatArray

    def __init__(
        self,
        loss: BlurredError,
        indices: ByteArray,
        palette: ArrayLike,
        *,
        previous: ByteArray | None = None,
        gap: ArrayLike = 0.0,
    ) -> None:
        self.loss, self.indices = loss, indices
        self._previous = NO_PREVIOUS if previous is None else np.ascontiguousarray(previous)
        self._gaps = np.empty(self._previous.shape, loss.dtype)
        self._gaps[...] = 0.0 if previous is None else gap
        self._table, self._size = table_of(loss)
        self._margin = radius = len(self._table) // 2
        width = self._table.shape[1]
        height, across = loss.shape
        channels = len(loss.planes)
        self._field = np.zeros((channels, height + 2 * radius, across + radius + width), loss.dtype)
        around = 2 * kernels.AROUND
        self._awake = np.empty((height + around, across + around), np.uint8)
        self.recolor(palette)

    def recolor(self, palette: ArrayLike, *, wake: bool = True) -> tuple[float, float]:
        """Take another palette of as many colours, for the same picture.

        Parameters
        ----------
        palette : array_like, shape (K, channels)
            The colours in the space of the loss.
        wake : bool, optional
            Whether the next sweep visits every pixel, and not only those around moves. Where
            colours change only a little, few others move.

        Returns
        -------
        loss, plain : float
            What `errors` says now.
        """
        colors = np.asarray(palette, self.loss.dtype)
        self.colors = colors
        self._planar = np.ascontiguousarray(colors.T)
        self._palette, self._near = with_neighbours(colors), None
        if wake:
            self._wake()
        return self.loss.errors(self.indices, colors, out=self._field, margin=self._margin)

    def steer(self, off: FloatArray, least: FloatArray | None = None) -> None:
        """Aim next at less than the picture, or at more, until `recolor` is called.

        Parameters
        ----------
        off : array, shape (channels, height, width)
            By how much less, which changes slowly from pixel to pixel: it is not blurred again.
        least : array, shape (height, width), optional
            The next sweep visits the pixels with more than that in any channel, beside those around
            moves; by default all.
        """
        if least is None:
            self._wake()
            least = np.full(self.loss.shape, np.inf, self.loss.dtype)
        self._first = True
        margins = self._margin, kernels.AROUND
        compensation.steer(self._field, self._awake, self.loss.weights, off, least, *margins)

    def sweep(self) -> int:
        """Visit the pixels around which something has changed, and make moves that lower the loss.

        The first sweep visits every pixel, and so does one that follows a sweep without moves.

        Returns
        -------
        int
            Number of moves.
        """
        tried, self._first = swaps(len(self.colors), first=self._first), False
        made = self._visit(tried)
        if made == 0:
            self._awake[:] = 1
        return made

    def relabel(self) -> int:
        """Do as `sweep` without swaps, for pixels that have had none but those.

        In a sweep a pixel that is far off may change places with the one before it, again and
        again: then it is never looked at itself.
        """
        return self._visit(0)

    def _visit(self, tried: int) -> int:
        """Visit the pixels that are awake, try so many swaps of each, and return the moves."""
        loss, kept = self.loss, (self._previous, self._gaps)
        self._near = self._near or outwards(self.colors)  # not every palette is searched with
        blurred = self._field, self._table, loss.nu
        colours = self._palette, self._near, (0,) * len(loss.planes)
        moves = np.zeros([-(-n // self._size) for n in loss.shape], np.int64)
        # Few rows of tiles would leave threads without work.
        near = len(moves) >= ROWS * threads.get_num_threads()
        for odd in range(2):
            for turn in (kernels.BOTH,) if near else range(2):
                work = self.indices, self._awake, loss.weights, kept, blurred, colours
                kernels.descend(moves, *work, self._size, odd, turn, tried)
        return int(moves.sum())

    def _wake(self):
        """Have the next sweep visit every pixel, as a first one."""
        self._awake[:], self._first = 1, True

    def errors(self) -> tuple[float, float]:
        """Return the loss, and the squared error without blur.

        Returns
        -------
        loss, plain : float
            Means over the pixels that count, without the reward for keeping previous colours.
        """
        loss, sums = self.loss, np.empty((self.loss.shape[0], 2))
        seen = self.indices, loss.weights, loss.planes, self._planar
        loss_rows.energies(sums, *seen, self._field, self._margin)
        whole, plain = sums.sum(axis=0) / loss.pixels
        return float(whole), float(plain)

    def slopes(self) -> FloatArray:
        """Return how the loss depends on each colour of the palette.

        Returns
        -------
        array, shape (K, channels + 1)
            Half the derivatives of the loss, not divided by the number of pixels, and the sum of
            the squared weights of the pixels that have the colour.
        """
        channels, colors = self._planar.shape
        sums = np.zeros((palette_kernels.BLOCKS, colors, channels + 1))
        work = self.indices, self.loss.weights, self._field
        palette_kernels.slopes(sums, *work, self._margin)
        return sums.sum(axis=0)


def swaps(colors: int, *, first: bool) -> int:
    """Return how many neighbours a pixel may swap with: with or without those across corners.

    Where colours are many, swaps across corners pay only once few pixels move, and cost little
    there.

    Parameters
    ----------
    colors : int
        Size of the palette.
    first : bool
        Whether no sweep has aimed at the same before.

    Returns
    -------
    int
        How many of the kernel's `NEIGHBOURS` to try.

    Examples
    --------
    >>> swaps(15, first=True), swaps(16, first=True), swaps(16, first=False)
    (4, 2, 4)
    """
    return 2 if first and colors >= MANY else len(kernels.NEIGHBOURS)


def table_of(loss: BlurredError, *, least: int = 1) -> tuple[FloatArray, int]:
    """Return the autocorrelation of a loss in whole vectors, and the side of the tiles of a sweep.

    Parameters
    ----------
    loss : BlurredError
        The loss.
    least : int, optional
        The least r: two pixels that may swap are in the table even where there is no blur.

    Returns
    -------
    table : array, shape (2 r + 1, N)
        `BlurredError.table`, filled up with zeros.
    size : int
        Rows and columns of a tile: no less than the table has.

    Examples
    --------
    >>> table, size = table_of(BlurredError(np.zeros((4, 4, 1))))
    >>> table.shape, size
    ((13, 16), 32)
    """
    radius = max(least, loss.radius)
    side = 2 * radius + 1
    width = kernels.LANES * -(-side // kernels.LANES)
    table = np.zeros((2 + side + 1, width), loss.dtype)[2:-1]  # kernels read the zeros, too
    inside = slice(radius - loss.radius, radius + loss.radius + 1)
    table[inside, inside] = loss.table
    return table, max(32, table.shape[1])


def in_vectors(palette: FloatArray) -> FloatArray:
    """Return a palette as kernels read it: in planes, padded to whole vectors.

    Parameters
    ----------
    palette : array, shape (K, channels)
        The colours.

    Returns
    -------
    array, shape (channels, N)
        The colours, then infinite ones, which are never the nearest; N is a multiple of the number
        of lanes of a vector.

    Examples
    --------
    >>> import numpy as np
    >>> in_vectors(np.zeros((20, 3))).shape
    (3, 32)
    """
    width = kernels.LANES * -(-len(palette) // kernels.LANES)
    filled = np.full((palette.shape[1], width), np.inf, palette.dtype)
    filled[:, : len(palette)] = palette.T
    return filled


def with_neighbours(palette: FloatArray) -> FloatArray:
    """Return a palette as a search reads it: of greys, the next ones below and above each, too.

    Parameters
    ----------
    palette : array, shape (K, channels)
        The colours.

    Returns
    -------
    array, shape (channels, N), or (3, N) of greys
        What `in_vectors` returns; and infinite values where there is no other grey.

    Examples
    --------
    >>> with_neighbours(np.array([[0.5], [0.0], [1.0]]))[:, :3]
    array([[ 0.5,  0. ,  1. ],
           [ 0. , -inf,  0.5],
           [ 1. ,  0.5,  inf]])
    """
    if palette.shape[1] > 1:
        return in_vectors(palette)
    levels, places = np.unique(palette[:, 0], return_inverse=True)
    levels = np.concatenate([[-np.inf], levels, [np.inf]], dtype=palette.dtype)
    return in_vectors(np.stack([levels[places + i] for i in (1, 0, 2)], axis=1))


def outwards(palette: FloatArray) -> tuple[FloatArray, ByteArray, FloatArray]:
    """Return the colours of a palette in the order of their distances from each of them.

    Parameters
    ----------
    palette : array, shape (K, channels)
        The colours.

    Returns
    -------
    others : array, shape (K, blocks * channels * lanes)
        For each colour all the others, from near to far, in blocks of a vector for each channel;
        then infinite ones.
    order : array of uint8, shape (K, blocks * lanes)
        The indices of these colours.
    bounds : array, shape (K, blocks)
        The squared distance from each colour to the first of each block.

    Examples
    --------
    >>> import numpy as np
    >>> others, order, bounds = outwards(np.array([[0.0], [1.0], [3.0]]))
    >>> order[:, :2]
    array([[1, 2],
           [0, 2],
           [1, 0]], dtype=uint8)
    >>> bounds[:, 0]
    array([1., 1., 4.])
    """
    count, channels = palette.shape
    lanes, blocks = kernels.LANES, -(-(count - 1) // kernels.LANES)
    distance, apart = np.zeros((count, count)), np.empty((count, count))
    for x in np.asarray(palette, np.float64).T:
        np.subtract(x[:, None], x, out=apart)
        apart *= apart
        distance += apart
    # As integers they have the same order, room for an index, and are sorted sooner.
    keys = distance.view(np.int64) & ~np.int64(MOST - 1) | np.arange(count)
    np.fill_diagonal(keys, -1)  # each colour comes first, and is then left out
    keys.sort(axis=1)
    found = keys[:, 1:] & (MOST - 1)
    order = np.zeros((count, blocks * lanes), np.uint8)
    order[:, : count - 1] = found
    others = np.full((channels, count, blocks * lanes), np.inf, palette.dtype)
    for plane, x in zip(others, palette.T):
        plane[:, : count - 1] = x[found]
    others = others.reshape(channels, count, blocks, lanes).transpose(1, 2, 0, 3)
    bounds = np.take_along_axis(distance, found[:, ::lanes], axis=1)
    return np.ascontiguousarray(others).reshape(count, -1), order, bounds.astype(palette.dtype)
