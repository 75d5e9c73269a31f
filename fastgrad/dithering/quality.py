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


# Of the opponent channels' blurs (Zhang and Wandell): (width at half height in degrees, weight).
BLURS = (
    ((0.05, 1.00327), (0.225, 0.114416), (7.0, -0.117686)),  # luminance
    ((0.0685, 0.616725), (0.826, 0.383275)),  # red and green
    ((0.092, 0.567885), (0.6451, 0.432115)),  # blue and yellow
)
TO_XYZ = np.array(  # of linear sRGB
    [
        [0.4124564, 0.3575761, 0.1804375],
        [0.2126729, 0.7151522, 0.0721750],
        [0.0193339, 0.1191920, 0.9503041],
    ]
)
TO_OPPONENT = np.array([[0.279, 0.72, -0.107], [-0.449, 0.29, -0.077], [0.086, -0.59, 0.501]])


def s_cielab(picture, original, *, ppd=67):
    """Return the mean S-CIELAB difference: that of colours as the eye has blurred them.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    ppd : float, optional
        Pixels per degree of the visual field: 67 is a 0.7 m distance from a screen of 0.7 m and
        3840 pixels.

    Returns
    -------
    float
        The mean over pixels of the CIE 1976 colour difference; about 1 can just be seen.

    References
    ----------
    X. Zhang and B. A. Wandell, "A spatial extension of CIELAB for digital color-image
    reproduction", Journal of the Society for Information Display 5, 1997.

    Examples
    --------
    >>> import numpy as np
    >>> round(s_cielab(np.zeros((9, 9, 3)), np.ones((9, 9, 3))), 3)
    100.0
    """
    difference = _seen(picture, ppd) - _seen(original, ppd)
    return float(np.sqrt(np.square(difference).sum(axis=-1)).mean())


def _seen(image, ppd):
    """Convert sRGB values to CIELAB after the eye's blur of each opponent channel."""
    from scipy import ndimage

    opponent = _values(image, True) @ (TO_OPPONENT @ TO_XYZ).T
    blurred = np.zeros_like(opponent)
    for channel, blurs in enumerate(BLURS):
        total = sum(weight for _, weight in blurs)
        for width, weight in blurs:
            sigma = width * ppd / (2 * np.sqrt(2 * np.log(2)))
            part = ndimage.gaussian_filter(opponent[..., channel], sigma, mode="nearest")
            blurred[..., channel] += weight / total * part
    white = TO_XYZ.sum(axis=1)
    ratio = blurred @ np.linalg.inv(TO_OPPONENT).T / white
    bright = ratio > 216 / 24389
    root = np.where(bright, np.cbrt(np.where(bright, ratio, 1)), (24389 / 27 * ratio + 16) / 116)
    x, y, z = np.moveaxis(root, -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


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
    from scipy import ndimage

    radius, small_mean, small_variance = 5, 0.01**2, 0.03**2
    whole = min(np.shape(picture)[:2]) > 2 * radius  # else the border cuts each window
    inside = (slice(radius, -radius),) * 2 if whole else ...
    found = []
    for channel in range(3):
        x, y = (_values(np.asarray(i)[..., channel], False) for i in (picture, original))
        mean = [ndimage.gaussian_filter(z, 1.5, radius=radius) for z in (x, y, x * x, y * y, x * y)]
        var_x, var_y = mean[2] - mean[0] ** 2, mean[3] - mean[1] ** 2
        both = mean[4] - mean[0] * mean[1]
        luminance = (2 * mean[0] * mean[1] + small_mean) / (
            mean[0] ** 2 + mean[1] ** 2 + small_mean
        )
        structure = (2 * both + small_variance) / (var_x + var_y + small_variance)
        found.append((luminance * structure)[inside].mean())
    return float(np.mean(found))


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


def _values(image, linear):
    """Convert sRGB values to the float64 numbers that are compared."""
    image = np.asarray(image)
    if linear:
        return to_linear(image).astype(np.float64)
    return image / 255 if image.dtype == np.uint8 else image.astype(np.float64)
