"""How near a dithered picture is to its original, as other methods can be judged too."""

import numpy as np

from fastgrad.dithering.colour import to_linear


def psnr(picture, original, *, sigma=0.0, linear=True):
    """Return the peak signal-to-noise ratio of a picture, after a blur of both.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    sigma : float, optional
        Standard deviation of a Gaussian blur in pixels, reflected at the borders; 0 is none.
    linear : bool, optional
        Whether to blur and to compare in linear light, as the eye does, or the sRGB values.

    Returns
    -------
    float
        ``-10 log10`` of the mean squared error, in decibels; inf if there is none.

    Examples
    --------
    >>> import numpy as np
    >>> round(psnr(np.zeros((8, 8, 3)), np.full((8, 8, 3), 0.1), linear=False), 6)
    20.0
    """
    from scipy import ndimage

    first, second = (_values(image, linear) for image in (picture, original))
    error = first - second
    if sigma > 0:
        error = ndimage.gaussian_filter(error, (sigma, sigma, 0))
    mean = float(np.square(error).mean())
    return -10 * float(np.log10(mean)) if mean > 0 else float("inf")


def _values(image, linear):
    """Convert sRGB values to the float64 numbers that are compared."""
    image = np.asarray(image)
    if linear:
        return to_linear(image).astype(np.float64)
    return image / 255 if image.dtype == np.uint8 else image.astype(np.float64)
