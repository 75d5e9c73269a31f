"""sRGB as stored in files, and linear light, in which colours mix as the eye mixes them."""

from collections.abc import Callable
from typing import NamedTuple

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


# Linear sRGB to the responses of cones, and their cube roots to Oklab (B. Ottosson, 2020).
TO_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB (Rec. 709)
CHROMA = 0.5  # weight of the differences of linear light that are not in luminance
TO_OPPONENT = np.array(
    [
        [3**0.5 * share for share in LUMINANCE],
        [CHROMA * 0.5**0.5, -CHROMA * 0.5**0.5, 0.0],
        [-CHROMA * 6**-0.5, -CHROMA * 6**-0.5, CHROMA * (2 / 3) ** 0.5],
    ]
)


class Space(NamedTuple):
    """A colour space to dither in: the way from linear light and back, along the last axis."""

    into: Callable[[np.ndarray], np.ndarray]
    back: Callable[[np.ndarray], np.ndarray]
    bounds: tuple = (-np.inf, np.inf)  # of every channel
    mixed: bool = True  # whether a channel depends on several of linear light

    def clip(self, colours):
        """Bring colours into the gamut of sRGB."""
        if not self.mixed:
            return colours
        inside = np.clip(self.back(colours), 0, 1)
        return np.ascontiguousarray(self.into(inside), colours.dtype)


def _oklab(linear):
    """Convert linear light to Oklab."""
    return np.cbrt(linear @ TO_CONES.T.astype(linear.dtype)) @ TO_OKLAB.T.astype(linear.dtype)


def _from_oklab(colours):
    """Convert Oklab to linear light."""
    return (colours @ np.linalg.inv(TO_OKLAB).T) ** 3 @ np.linalg.inv(TO_CONES).T


def _unchanged(linear):
    return linear


SPACES = {
    "linear": Space(_unchanged, _unchanged, (0.0, 1.0), mixed=False),
    "srgb": Space(encode, decode, (0.0, 1.0), mixed=False),
    "oklab": Space(_oklab, _from_oklab),
    "opponent": Space(
        lambda linear: linear @ TO_OPPONENT.T.astype(linear.dtype),
        lambda colours: colours @ np.linalg.inv(TO_OPPONENT).T,
    ),
}
