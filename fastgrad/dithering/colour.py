"""sRGB as stored in files, and linear light, in which colours mix as the eye mixes them."""

import numpy as np


def to_linear(image):
    """Convert sRGB values to linear light.

    Parameters
    ----------
    image : array_like of uint8, or of float in [0, 1]
        sRGB values, any shape.

    Returns
    -------
    numpy.ndarray of float32
        Linear values in [0, 1], of the same shape.

    Raises
    ------
    TypeError
        If the values are neither uint8 nor floating-point.
    ValueError
        If a floating-point value is outside [0, 1] or NaN.

    References
    ----------
    IEC 61966-2-1:1999.

    Examples
    --------
    >>> import numpy as np
    >>> to_linear(np.uint8([0, 188, 255])).round(2)
    array([0. , 0.5, 1. ], dtype=float32)
    """
    image = np.asarray(image)
    if image.dtype == np.uint8:
        return decode(np.arange(256) / 255).astype(np.float32)[image]
    if not np.issubdtype(image.dtype, np.floating):
        raise TypeError(f"image must be uint8 or floating-point, not {image.dtype}")
    if image.size and not (image.min() >= 0 and image.max() <= 1):
        raise ValueError(
            f"a floating-point image must lie in [0, 1], not [{image.min()}, {image.max()}]"
        )
    return decode(image).astype(np.float32)


def to_srgb(linear):
    """Convert linear light to the nearest 8-bit sRGB values.

    Parameters
    ----------
    linear : array_like of float
        Linear values, any shape; those outside [0, 1] are clipped.

    Returns
    -------
    numpy.ndarray of uint8
        sRGB values, of the same shape.

    Examples
    --------
    >>> to_srgb([0.0, 0.5, 1.0])
    array([  0, 188, 255], dtype=uint8)
    """
    return np.rint(255 * encode(np.asarray(linear, np.float64))).astype(np.uint8)


def encode(linear):
    """Convert linear light to sRGB values that are not rounded.

    Parameters
    ----------
    linear : numpy.ndarray of float
        Linear values, any shape; those outside [0, 1] are clipped.

    Returns
    -------
    numpy.ndarray
        sRGB values in [0, 1], of the same shape and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> encode(np.array([0.0, 0.5, 1.0])).round(3)
    array([0.   , 0.735, 1.   ])
    """
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def decode(encoded):
    """Convert sRGB values in [0, 1] to linear light.

    Parameters
    ----------
    encoded : numpy.ndarray of float
        sRGB values, any shape.

    Returns
    -------
    numpy.ndarray
        Linear values, of the same shape and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> decode(np.array([0.0, 0.735, 1.0])).round(2)
    array([0. , 0.5, 1. ])
    """
    return np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
