"""Weights of the pixels of a picture, and the frame before it: what they may be."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.viewing import MOST_WEIGHT

__all__ = ["check_previous", "check_weights", "rewards"]

MOST = 1e6  # of a weight
LEAST = 1e-3  # share of the largest weight that pixels which count have: float32 bears its square


def check_weights(weights: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    """Return checked weights of pixels, those above 0 raised to a thousandth of the largest.

    Parameters
    ----------
    weights : array_like, shape (height, width)
        The weights, real or boolean, 0 to 1e6.
    shape : tuple of int
        The height and width that they must have.

    Returns
    -------
    array of float32 or float64, shape (height, width)
        The weights; float32 if they are given so.

    Raises
    ------
    TypeError, ValueError
        If their type, their shape or one of them is wrong.
    """
    given = np.asarray(weights)
    dtype = np.dtype(np.float32 if given.dtype == np.float32 else np.float64)
    given = _validate.like(weights, shape, dtype, "weights")
    low, most = given.min(), given.max()
    if not (low >= 0 and most <= MOST):
        outside = ~((given >= 0) & (given <= MOST))
        raise ValueError(f"weights must be from 0 to {MOST:g}, got {given[outside][0]}")
    if 0 < most < 1 / MOST:
        raise ValueError(f"weights must be at least {1 / MOST:g} somewhere, or all 0, got {most}")
    least = dtype.type(LEAST) * most
    return given if low >= least else np.where(given > 0, np.maximum(given, least), dtype.type(0))


def rewards(
    flicker: ArrayLike, image: Array, fixed: ByteArray | None, previous: ByteArray | None
) -> FloatArray:
    """Check rewards for keeping the previous frame's colours, and take some back.

    Parameters
    ----------
    flicker : float or array_like, shape (height, width)
        The rewards, the same for all pixels, or one for each.
    image : array of uint8, or of float in [0, 1], shape (height, width, 3) or (height, width)
        The picture in sRGB.
    fixed : array of uint8, shape (K, 3), or None
        The palette if it is fixed.
    previous : array of uint8, shape (height, width), or None
        The indices of the previous frame.

    Returns
    -------
    array, shape () or (height, width)
        The rewards: 0 where a fixed palette has exactly the picture's colour, and the previous
        frame has another one.

    Examples
    --------
    >>> palette = np.uint8([[0, 0, 0], [9, 9, 9]])
    >>> rewards(0.1, np.uint8([[9, 9, 8]]), palette, np.uint8([[0, 1, 1]]))
    array([[0. , 0.1, 0.1]])
    """
    shape = image.shape[:2]
    if np.ndim(flicker):
        found = _validate.like(flicker, shape, np.dtype(np.float64), "flicker")
        if (outside := ~((found >= 0) & (found <= MOST_WEIGHT))).any():
            raise ValueError(f"flicker must be from 0 to 1e+09, got {found[outside][0]}")
    else:
        found = np.asarray(_validate.number(flicker, "flicker", 0, MOST_WEIGHT))
    if fixed is None or previous is None:
        return found
    packed, levels = np.array([1 << 16, 1 << 8, 1]), image if image.ndim == 3 else image[..., None]
    levels = np.broadcast_to(levels, (*shape, 3))
    levels = levels if image.dtype == np.uint8 else 255 * levels
    whole = np.rint(levels)
    palette, codes = fixed @ packed, whole.astype(np.int64) @ packed
    exact = (whole == levels).all(axis=-1) & np.isin(codes, palette)
    return np.where(exact & (codes != palette[previous]), 0, found)


def check_previous(previous: object, shape: tuple[int, ...], colors: int) -> ByteArray:
    """Return the checked indices of the previous frame, of this height and width.

    Examples
    --------
    >>> check_previous(np.uint8([[0, 1]]), (1, 2), 2)
    array([[0, 1]], dtype=uint8)
    """
    previous = _validate.array(getattr(previous, "indices", previous), "previous")
    if previous.dtype != np.uint8:
        raise TypeError(f"previous must be uint8, got dtype {previous.dtype}")
    if previous.shape != shape:
        raise ValueError(f"previous must have shape {shape}, got {previous.shape}")
    if previous.max() >= colors:
        raise ValueError(f"previous must be from 0 to {colors - 1}, got {previous.max()}")
    return np.ascontiguousarray(previous)
