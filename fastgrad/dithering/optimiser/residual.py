"""The error of a dithered picture and its blur: laid out, or no more than their sums."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastgrad import _outputs, _validate
from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.kernels.dithering.optimiser import loss_rows as kernels

__all__ = ["check_indices", "labels_of", "laid"]


def labels_of(indices: ArrayLike, shape: tuple[int, int], colors: int) -> ByteArray:
    """Return indices as kernels want them, which look up colours without any check.

    Parameters
    ----------
    indices : array_like of integers, shape (height, width)
        The palette index of each pixel.
    shape : tuple of int
        The shape that they must have.
    colors : int
        Number of colours, 256 at most.

    Returns
    -------
    array of uint8, shape (height, width)
        The same, from 0 to ``colors - 1``.

    Examples
    --------
    >>> labels_of([[0, 2]], (1, 2), 3)
    array([[0, 2]], dtype=uint8)
    """
    if colors > 256:
        raise ValueError(f"palette must have at most 256 colors, got {colors}")
    return np.ascontiguousarray(check_indices(indices, shape, colors), np.uint8)


def check_indices(
    indices: ArrayLike, shape: tuple[int, int], colors: int
) -> npt.NDArray[np.integer[Any]]:
    """Return indices, in their own type, that have this shape and are below the number of colours.

    Parameters
    ----------
    indices, shape, colors
        As in `labels_of`; of colours there may be any number.

    Returns
    -------
    array of integers, shape (height, width)
        The same.

    Examples
    --------
    >>> check_indices([[0, -1]], (1, 2), 3)
    Traceback (most recent call last):
    ValueError: indices must be from 0 to 2, got -1
    """
    indices = _validate.array(indices, "indices")
    if indices.dtype.kind not in "iu":
        raise TypeError(f"indices must be integers, got dtype {indices.dtype}")
    if indices.shape != shape:
        raise ValueError(f"indices must have shape {shape}, got {indices.shape}")
    low, high = indices.min(initial=0), indices.max(initial=0)
    if low < 0 or high >= colors:
        worst = low if low < 0 else high
        raise ValueError(f"indices must be from 0 to {colors - 1}, got {worst}")
    return indices


def laid(
    indices: ByteArray,
    palette: ArrayLike,
    image: tuple[FloatArray, FloatArray],
    blur: tuple[FloatArray, float | np.floating],
    *,
    what: int = kernels.WEIGHTED,
    out: FloatArray | None = None,
    margin: int = 0,
    summed: bool = True,
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
    summed : bool, optional
        Whether the sums are wanted; else they are 0.

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
    sums = np.empty((len(weights) if summed else 0, 2))
    margin = _validate.integer(margin, "margin", 0)
    seen = indices, weights, planes, colors
    if out is None:
        out = np.empty((0, 0, 0), real)
    else:
        out = _outputs.with_margin(out, planes.shape, real, margin, *seen)
    kernels.lay(out, sums, *seen, terms, real.type(nu), margin, what)
    return sums.sum(axis=0)
