"""The error of a dithered picture and its blur: laid out, or no more than their sums."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.kernels.dithering.optimiser import loss_rows as kernels

__all__ = ["labels_of", "laid"]


def labels_of(indices: ArrayLike, colors: int) -> ByteArray:
    """Return indices as kernels want them, which look up colours without any check.

    Parameters
    ----------
    indices : array_like of integers, shape (height, width)
        The palette index of each pixel.
    colors : int
        Number of colours, 256 at most.

    Returns
    -------
    array of uint8, shape (height, width)
        The same, from 0 to ``colors - 1``.

    Examples
    --------
    >>> labels_of([[0, -1]], 3)
    array([[0, 2]], dtype=uint8)
    """
    labels = np.ascontiguousarray(indices)
    if labels.dtype == np.uint8 and labels.max(initial=0) < colors:
        return labels
    return np.arange(colors, dtype=np.uint8)[labels]


def laid(
    indices: ByteArray,
    palette: ArrayLike,
    image: tuple[FloatArray, FloatArray],
    blur: tuple[FloatArray, float | np.floating],
    *,
    what: int = kernels.WEIGHTED,
    out: FloatArray | None = None,
    margin: int = 0,
) -> npt.NDArray[np.float64]:
    """Lay out the blurred error of a picture, and return the sums of all rows.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.
    image : tuple of array
        The weights of the pixels, (height, width), and the planes, (channels, height, width).
    blur : tuple
        The kernel, (terms, 2, 2 r + 1), and the multiple of the error that is added to its blur.
    what : int, optional
        What is laid out: see the kernel `lay`.
    out : array, optional
        Array for it, as in `fastgrad.dithering.eye.blur.convolve`; by default there are only sums.
    margin : int, optional
        Width of the margin of ``out``.

    Returns
    -------
    array, shape (2,)
        The sums of the error times its blur, and of its square.

    Examples
    --------
    >>> grey = np.ones((4, 4)), np.full((1, 4, 4), 0.5)
    >>> black, one = np.zeros((4, 4), np.uint8), np.ones((1, 2, 1))
    >>> laid(black, [[0.0]], grey, (one, 0.0)).tolist()
    [4.0, 4.0]
    """
    (weights, planes), (terms, nu) = image, blur
    real = planes.dtype
    colors = np.ascontiguousarray(np.asarray(palette, real).T)
    sums = np.empty((len(weights), 2))
    out = np.empty((0, 0, 0), real) if out is None else out
    seen = indices, weights, planes, colors
    kernels.lay(out, sums, *seen, terms, real.type(nu), margin, what)
    return sums.sum(axis=0)
