"""How much an error of light is seen, place by place: more where it is dark."""

import numpy as np

from fastgrad.dithering.eye.blur import convolve, gaussian
from fastgrad.dithering.eye.colour import LUMINANCE

SIGMA = 1.5  # pixels over which light is averaged first
ADAPTATION = 0.3  # share of the picture's mean light that is added to that of each place,
FLARE = 0.01  # and what the screen reflects


def slopes(linear, weights=None):
    """Return how steeply lightness rises with light at each pixel: as the root's derivative.

    The least difference of luminance that is seen grows with the root of the luminance (the law of
    de Vries and Rose), here of the surroundings with some light that is everywhere. So errors of
    light that are multiplied by these slopes are about as visible wherever they are.

    Parameters
    ----------
    linear : numpy.ndarray of float, shape (height, width, 1 or 3)
        The picture in linear light.
    weights : numpy.ndarray of float, shape (height, width), optional
        Those of the pixels.

    Returns
    -------
    numpy.ndarray, shape (height, width)
        The slopes times the weights, scaled to a mean square of 1 over the pixels with a weight; of
        the dtype of the picture.

    Examples
    --------
    >>> import numpy as np
    >>> slope = slopes(np.repeat([[[0.0], [1.0]]], 20, axis=1))[0]
    >>> bool(slope[0] > 2 * slope[-1])
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
