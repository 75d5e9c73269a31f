"""Weights of the pixels of a picture, and the frame before it: what they may be."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.viewing import MOST_WEIGHT

__all__ = ["check_flicker", "check_previous", "check_weights"]

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


def check_flicker(flicker: ArrayLike, shape: tuple[int, ...]) -> float | FloatArray:
    """Check rewards for keeping the previous frame's colours: a number, or one for each pixel.

    Examples
    --------
    >>> check_flicker(0.1, (2, 3))
    0.1
    """
    if not np.ndim(flicker):
        return _validate.number(flicker, "flicker", 0, MOST_WEIGHT)
    rewards = _validate.like(flicker, shape, np.dtype(np.float64), "flicker")
    if (outside := ~((rewards >= 0) & (rewards <= MOST_WEIGHT))).any():
        raise ValueError(f"flicker must be from 0 to 1e+09, got {rewards[outside][0]}")
    return rewards


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
