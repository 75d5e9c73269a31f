"""Direct binary search on the picture itself, with any number of colours."""

import numpy as np

from fastgrad.dithering.eye.blur import convolve
from fastgrad.kernels.dithering.optimiser import search as kernels

FARTHEST = 1e9  # reach, squared, of a colour that has no other beside it
NO_PREVIOUS = np.empty((0, 0), np.uint8)


class Search:
    """Lowers the loss of a picture by changing labels and swapping those of neighbours.

    Parameters
    ----------
    loss : BlurredError
        The loss.
    indices : numpy.ndarray of uint8, shape (height, width)
        The palette index of each pixel; changed in place by `sweep`.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.
    previous : numpy.ndarray of uint8, shape (height, width), optional
        The picture before this one.
    gap : float, optional
        How much nearer, in squared distance, the previous colour is taken to be.

    References
    ----------
    .. [1] M. Analoui and J. P. Allebach, "Model-based halftoning using direct binary search",
       Proc. SPIE 1666, 1992.
    """

    def __init__(self, loss, indices, palette, *, previous=None, gap=0.0):
        self.loss, self.indices = loss, indices
        self._previous = NO_PREVIOUS if previous is None else np.ascontiguousarray(previous)
        self._gap = loss.dtype(gap)
        palette = np.asarray(palette, loss.dtype)
        self._colours = np.ascontiguousarray(palette.T)
        self._palette = in_vectors(palette)
        self._reach = reach(palette).astype(loss.dtype)
        radius = loss.radius
        width = kernels.LANES * -(-loss.table.shape[1] // kernels.LANES)
        self._table = np.zeros((loss.table.shape[0], width), loss.dtype)
        self._table[:, : loss.table.shape[1]] = loss.table
        self._margin, self._size = radius, max(32, width)
        height, across = loss.shape
        error = np.empty_like(loss.planes)
        kernels.errors(error, indices, loss.weights, loss.planes, self._colours)
        self._field = np.zeros(
            (len(error), height + 2 * radius, across + radius + width), loss.dtype
        )
        convolve(error, loss.terms, nu=loss.nu, out=self._field, margin=radius)

    def sweep(self):
        """Go over the picture once.

        Returns
        -------
        int
            The moves made.
        """
        loss, kept = self.loss, (self._previous, self._gap)
        blurred, colours = (self._field, self._table, loss.nu), (self._palette, self._reach)
        moves = np.zeros([-(-n // self._size) for n in loss.shape], np.int64)
        for phase in range(4):
            work = self.indices, loss.weights, kept, blurred, colours
            kernels.descend(moves, *work, self._size, phase)
        return int(moves.sum())

    def errors(self):
        """Return the loss, and the part of it that is the plain squared error, over nu.

        Returns
        -------
        loss, plain : float
            Means over the pixels that count. What `previous` asks for is not included.
        """
        loss, sums = self.loss, np.empty((self.loss.shape[0], 2))
        kernels.energies(
            sums,
            self.indices,
            loss.weights,
            loss.planes,
            self._colours,
            self._field,
            self._margin,
        )
        whole, plain = sums.sum(axis=0) / loss.pixels
        return float(whole), float(plain)


def in_vectors(palette):
    """Return a palette, (K, channels), in planes, filled up to whole vectors by infinite colours.

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


def reach(palette):
    """Return how far, squared, a point may be from each colour that is surely its nearest.

    Parameters
    ----------
    palette : numpy.ndarray, shape (K, channels)
        The colours.

    Returns
    -------
    numpy.ndarray, shape (K,)
        A quarter of the squared distance to the nearest other colour.

    Examples
    --------
    >>> import numpy as np
    >>> reach(np.array([[0.0, 0, 0], [1.0, 0, 0], [3.0, 0, 0]]))
    array([0.25, 0.25, 1.  ])
    """
    distance = np.square(palette[:, None] - palette).sum(axis=-1)
    np.fill_diagonal(distance, np.inf)
    return np.minimum(distance.min(axis=1) / 4, FARTHEST)
