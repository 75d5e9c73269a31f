"""Direct binary search on the picture itself, with any number of colours."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.blur import convolve
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.kernels.dithering.optimiser import search as kernels

__all__ = ["Search", "in_vectors", "reach"]

FARTHEST = 1e9  # reach, squared, of a colour that has no other beside it
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

    References
    ----------
    M. Analoui and J. P. Allebach, "Model-based halftoning using direct binary search", Proc. SPIE
    1666, 1992.
    """

    loss: BlurredError
    indices: ByteArray

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
        colors = np.asarray(palette, loss.dtype)
        self._planar = np.ascontiguousarray(colors.T)
        self._palette = in_vectors(colors)
        self._reach = reach(colors).astype(loss.dtype)
        radius = loss.radius
        width = kernels.LANES * -(-loss.table.shape[1] // kernels.LANES)
        self._table = np.zeros((loss.table.shape[0], width), loss.dtype)
        self._table[:, : loss.table.shape[1]] = loss.table
        self._margin, self._size = radius, max(32, width)
        height, across = loss.shape
        error = np.empty_like(loss.planes)
        kernels.errors(error, indices, loss.weights, loss.planes, self._planar)
        self._field = np.zeros(
            (len(error), height + 2 * radius, across + radius + width), loss.dtype
        )
        convolve(error, loss.terms, nu=loss.nu, out=self._field, margin=radius)

    def sweep(self) -> int:
        """Visit every pixel once, and make the moves that lower the loss.

        Returns
        -------
        int
            Number of moves.
        """
        loss, kept = self.loss, (self._previous, self._gaps)
        blurred, colours = (self._field, self._table, loss.nu), (self._palette, self._reach)
        moves = np.zeros([-(-n // self._size) for n in loss.shape], np.int64)
        for phase in range(4):
            work = self.indices, loss.weights, kept, blurred, colours
            kernels.descend(moves, *work, self._size, phase)
        return int(moves.sum())

    def errors(self) -> tuple[float, float]:
        """Return the loss, and the squared error without blur.

        Returns
        -------
        loss, plain : float
            Means over the pixels that count, without the reward for keeping previous colours.
        """
        loss, sums = self.loss, np.empty((self.loss.shape[0], 2))
        kernels.energies(
            sums,
            self.indices,
            loss.weights,
            loss.planes,
            self._planar,
            self._field,
            self._margin,
        )
        whole, plain = sums.sum(axis=0) / loss.pixels
        return float(whole), float(plain)


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


def reach(palette: FloatArray) -> FloatArray:
    """Return the squared distance within which a colour is certain to be a point's nearest one.

    Parameters
    ----------
    palette : array, shape (K, channels)
        The colours.

    Returns
    -------
    array, shape (K,)
        For each colour a quarter of the squared distance to the nearest other colour.

    Examples
    --------
    >>> import numpy as np
    >>> reach(np.array([[0.0, 0, 0], [1.0, 0, 0], [3.0, 0, 0]]))
    array([0.25, 0.25, 1.  ])
    """
    distance = np.square(palette[:, None] - palette).sum(axis=-1)
    np.fill_diagonal(distance, np.inf)
    return np.minimum(distance.min(axis=1) / 4, FARTHEST)
