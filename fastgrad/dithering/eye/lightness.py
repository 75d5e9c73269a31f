"""How well the eye sees an error of light, place by place: better where it is dark."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, FloatArray
from fastgrad.dithering.eye.blur import convolve, gaussian
from fastgrad.dithering.eye.colour import LUMINANCE

__all__ = ["sensitivity"]

SIGMA = 1.5  # pixels over which light is averaged first
ADAPTATION = 0.3  # share of the picture's mean light that is added to that of each place,
FLARE = 0.01  # and what the screen reflects


def sensitivity(linear: FloatArray, weights: Array | None = None) -> FloatArray:
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
    real = linear.dtype
    light = linear[..., 0] if linear.shape[2] == 1 else linear @ np.array(LUMINANCE, real)
    weights = np.ones_like(light) if weights is None else weights.astype(real)
    counting = (weights > 0).astype(real)
    pixels = max(1, np.count_nonzero(counting))
    # Pixels that do not count are left out of the average, as is what is beyond the border.
    light, near = convolve(np.stack([light * counting, counting]), gaussian(SIGMA))
    light /= np.where(counting > 0, near, real.type(1))
    mean = (light * counting).sum(dtype=np.float64) / pixels
    slope = weights / np.sqrt(light + real.type(ADAPTATION * mean + FLARE))
    square = np.square(slope, dtype=np.float64).sum() / pixels
    return slope / real.type(np.sqrt(square) or 1.0)
