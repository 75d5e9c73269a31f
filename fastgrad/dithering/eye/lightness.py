"""How well the eye sees an error of light, place by place: better where it is dark."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import Array, FloatArray
from fastgrad.dithering.eye.blur import convolve, gaussian
from fastgrad.dithering.eye.colour import LUMINANCE

__all__ = ["Adaptation", "adaptation", "sensitivity"]

SIGMA = 1.5  # pixels over which light is averaged first
REACH = len(gaussian(SIGMA)) // 2  # rows and columns around a pixel that its sensitivity sees
ADAPTATION = 0.3  # share of the picture's mean light that is added to that of each place,
FLARE = 0.01  # and what the screen reflects


class Adaptation(NamedTuple):
    """What an eye is adapted to: two figures of a whole picture, which parts of it are given.

    Attributes
    ----------
    light : float
        The mean light.
    slope : float
        The root of the mean square of the slopes of lightness, which are scaled by it.
    """

    light: float
    slope: float


def adaptation(linear: FloatArray, weights: Array | None = None) -> Adaptation:
    """Return what the eye is adapted to that looks at a picture.

    Parameters
    ----------
    linear, weights
        As in `sensitivity`.

    Returns
    -------
    Adaptation
        The figures with which `sensitivity` gives parts of the picture the same values as all of
        it.

    Examples
    --------
    >>> round(adaptation(np.full((9, 9, 1), 0.25)).light, 6)
    0.25
    """
    return _slopes(linear, weights, None)[1]


def sensitivity(
    linear: FloatArray, weights: Array | None = None, *, adapted: Adaptation | None = None
) -> FloatArray:
    """Return the eye's sensitivity to an error of light at each pixel.

    It is the slope of lightness, here the square root of light. The least difference of luminance
    that can be seen grows with the root of the surrounding luminance (the law of de Vries and
    Rose); to the surroundings some light is added that is everywhere. Errors of light that are
    multiplied by the sensitivity are about equally visible everywhere.

    Parameters
    ----------
    linear : array, shape (height, width, 1 or 3)
        The picture in linear light, float32 or float64.
    weights : array, shape (height, width), optional
        Weights of the pixels; those of weight 0 do not count.
    adapted : Adaptation, optional
        What the eye is adapted to; by default this picture.

    Returns
    -------
    array, shape (height, width)
        The sensitivity times the weights, scaled to a mean square of 1 over the pixels that count;
        of the dtype of the picture.

    Examples
    --------
    >>> import numpy as np
    >>> black_to_white = np.repeat([[[0.0], [1.0]]], 20, axis=1)
    >>> row = sensitivity(black_to_white)[0]
    >>> bool(row[0] > 2 * row[-1])
    True
    """
    slope, adapted = _slopes(linear, weights, adapted)
    return slope / linear.dtype.type(adapted.slope or 1.0)


def _slopes(
    linear: FloatArray, weights: Array | None, adapted: Adaptation | None
) -> tuple[FloatArray, Adaptation]:
    """Return the slope of lightness at each pixel, times its weight, and what scales it."""
    real = linear.dtype
    light = linear[..., 0] if linear.shape[2] == 1 else linear @ np.array(LUMINANCE, real)
    if weights is None:
        weighed = counting = real.type(1)
        (light,), near = convolve(light[None], gaussian(SIGMA)), _inside(*light.shape, real)
        pixels = light.size
    else:
        weighed, counting = weights.astype(real), (weights > 0).astype(real)
        pixels = max(1, np.count_nonzero(counting))
        # Pixels that do not count are left out of the average, as is what is beyond the border.
        light, near = convolve(np.stack([light * counting, counting]), gaussian(SIGMA))
        near = np.where(counting > 0, near, real.type(1))
    light /= near
    if adapted is None:
        mean = float((light * counting).sum(dtype=np.float64) / pixels)
    else:
        mean = adapted.light
    slope = weighed / np.sqrt(light + real.type(ADAPTATION * mean + FLARE))
    if adapted is None:
        square = np.square(slope, dtype=np.float64).sum() / pixels
        adapted = Adaptation(mean, float(np.sqrt(square)))
    return slope, adapted


def _inside(height: int, width: int, real: np.dtype[Any]) -> FloatArray:
    """Return how much of the blur of each pixel is inside a picture: a plane of ones, blurred.

    Only near the border it differs from place to place, so a small plane is blurred.
    """
    small = [min(n, 2 * REACH + 1) for n in (height, width)]
    (near,) = convolve(np.ones((1, *small), real), gaussian(SIGMA))
    rows, columns = (np.arange(n) for n in (height, width))
    rows, columns = (_like_middle(i) if i.size > 2 * REACH else i for i in (rows, columns))
    return near[:, columns][rows]


def _like_middle(i: Array) -> Array:
    """Return the places in a short row that are as far from the ends as those in a long one."""
    return np.minimum(i, REACH) + np.maximum(i - (i.size - 1 - REACH), 0)
