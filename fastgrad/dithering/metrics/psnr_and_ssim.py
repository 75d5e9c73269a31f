"""How near a dithered picture is to its original, as other methods can be judged too."""

import numpy as np

from fastgrad.dithering.eye.colour import to_linear
from fastgrad.dithering.metrics.similarity import C1, C2, FLOOR, RADIUS, SIGMA, halve
from fastgrad.dithering.metrics.structure import exponents_for, luma


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

    first, second = (values(image, linear=linear) for image in (picture, original))
    error = first - second
    if sigma > 0:
        error = ndimage.gaussian_filter(error, (sigma, sigma, 0))
    return decibels(float(np.square(error).mean()))


def decibels(mean):
    """Return the peak signal-to-noise ratio of a mean squared error; inf if there is none.

    Examples
    --------
    >>> decibels(0.01), decibels(0.0)
    (20.0, inf)
    """
    return -10 * float(np.log10(mean)) if mean > 0 else float("inf")


def ssim(picture, original):
    """Return the mean structural similarity of the sRGB values, over windows and channels.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].

    Returns
    -------
    float
        At most 1, where they are equal.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE Transactions on Image Processing 13, 2004: Gaussian
    windows of 1.5 pixels; those that the border cuts are left out.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((20, 30, 3))
    >>> round(ssim(image, image), 6), ssim(1 - image, image) < 0
    (1.0, True)
    """
    planes = (values(image, linear=False) for image in (picture, original))
    found = [_windows(x, y) for x, y in zip(*(np.moveaxis(p, -1, 0) for p in planes))]
    return float(np.mean([luminance * structure for luminance, structure, _ in found]))


def cssim(picture, original):
    """Return the SSIM of luma, as far as the original has structure: see `structure.cssim`.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].

    Returns
    -------
    float
        At most 1, where they are equal.

    Examples
    --------
    >>> import numpy as np
    >>> cssim(np.zeros((20, 30, 3)), np.ones((20, 30, 3)))
    1.0
    """
    luminance, structure, deviation = _windows(luma(picture), luma(original))
    share = np.minimum(2 * deviation, 1)
    return float((share * luminance * structure + 1 - share).mean())


def ms_ssim(picture, original):
    """Return the structural similarity of luma at up to five scales: see `structure.ms_ssim`.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].

    Returns
    -------
    float
        At most 1, where they are equal.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((200, 300, 3))
    >>> round(ms_ssim(image, image), 6)
    1.0
    """
    planes = np.stack([luma(picture), luma(original)])
    exponents, score = exponents_for(planes[0].shape), 1.0
    for i, exponent in enumerate(exponents):
        if i:
            planes = halve(planes)
        luminance, structure, _ = _windows(*planes)
        if i == len(exponents) - 1:
            structure = luminance * structure
        score *= max(float(structure.mean()), FLOOR) ** exponent
    return float(score)


def _windows(x, y):
    """Return of each window its luminance's and its structure's similarity, and y's deviation."""
    from scipy import ndimage

    mean = [ndimage.gaussian_filter(z, SIGMA, radius=RADIUS) for z in (x, y, x * x, y * y, x * y)]
    if min(x.shape) > 2 * RADIUS:  # else the border cuts each window
        mean = [m[RADIUS:-RADIUS, RADIUS:-RADIUS] for m in mean]
    var_x, var_y = mean[2] - mean[0] ** 2, mean[3] - mean[1] ** 2
    luminance = (2 * mean[0] * mean[1] + C1) / (mean[0] ** 2 + mean[1] ** 2 + C1)
    structure = (2 * (mean[4] - mean[0] * mean[1]) + C2) / (var_x + var_y + C2)
    return luminance, structure, np.sqrt(np.maximum(var_y, 0))


def flicker(indices, values, previous_indices, previous_values):
    """Return how many of the pixels that stay in an animation change in the dithered one.

    Parameters
    ----------
    indices, previous_indices : numpy.ndarray of uint8, shape (height, width)
        The dithered frame and the one before it.
    values, previous_values : numpy.ndarray, shape (height, width, 3)
        The originals.

    Returns
    -------
    changed, still : int
        Pixels that change though the original does not, of those where it does not.

    Examples
    --------
    >>> import numpy as np
    >>> flicker(np.uint8([[0, 1]]), np.ones((1, 2, 3)), np.uint8([[0, 0]]), np.ones((1, 2, 3)))
    (1, 2)
    """
    still = (values == previous_values).all(axis=-1)
    return int((still & (indices != previous_indices)).sum()), int(still.sum())


def values(image, *, linear):
    """Convert sRGB values to the float64 numbers that are compared."""
    image = np.asarray(image)
    if linear:
        return to_linear(image).astype(np.float64)
    return image / 255 if image.dtype == np.uint8 else image.astype(np.float64)
