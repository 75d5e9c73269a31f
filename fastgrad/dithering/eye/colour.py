"""sRGB as stored in files, and linear light, in which colours mix as the eye mixes them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray

__all__ = ["SPACES", "Space", "SpaceName", "decode", "encode", "is_grey", "space_of", "to_linear"]
__all__ += ["to_srgb", "unit_srgb"]

SpaceName: TypeAlias = Literal["opponent", "linear", "srgb", "oklab", "screen", "yycxcz"]


def to_linear(image: ArrayLike) -> npt.NDArray[np.float32]:
    """Convert sRGB values to linear light.

    Parameters
    ----------
    image : array_like of uint8, or of float in [0, 1]
        sRGB values, any shape.

    Returns
    -------
    array of float32
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
    image = _validate.array(image, "image")
    if image.dtype == np.uint8:
        table = decode(np.arange(256) / 255).astype(np.float32)
        return np.take(table, image, mode="clip")  # in half of an index's time
    return decode(unit_srgb(image)).astype(np.float32)


def unit_srgb(image: ArrayLike, name: str = "image") -> FloatArray:
    """Return sRGB values as floating-point numbers from 0 to 1.

    Parameters
    ----------
    image : array_like of uint8, or of float in [0, 1]
        sRGB values, any shape.
    name : str, optional
        Name of the argument in error messages.

    Returns
    -------
    array of float
        The values, float64 if they were uint8, else of their own dtype.

    Raises
    ------
    TypeError
        If the values are neither uint8 nor floating-point.
    ValueError
        If a floating-point value is outside [0, 1] or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> unit_srgb(np.uint8([0, 51, 255]))
    array([0. , 0.2, 1. ])
    """
    values = _validate.array(image, name)
    if values.dtype == np.uint8:
        return values / 255
    if not np.issubdtype(values.dtype, np.floating):
        raise TypeError(f"{name} must be uint8, or float from 0 to 1, got dtype {values.dtype}")
    if values.size and not (values.min() >= 0 and values.max() <= 1):
        worst = values.min() if not values.min() >= 0 else values.max()
        raise ValueError(f"{name} must be from 0 to 1 where it is floating-point, got {worst}")
    return values


def to_srgb(linear: ArrayLike) -> ByteArray:
    """Convert linear light to the nearest 8-bit sRGB values.

    Parameters
    ----------
    linear : array_like of float
        Linear values, any shape; values outside [0, 1] are clipped.

    Returns
    -------
    array of uint8
        sRGB values, of the same shape.

    Examples
    --------
    >>> to_srgb([0.0, 0.5, 1.0])
    array([  0, 188, 255], dtype=uint8)
    """
    return np.rint(255 * encode(np.asarray(linear, np.float64))).astype(np.uint8)


def encode(linear: FloatArray) -> FloatArray:
    """Convert linear light to sRGB values that are not rounded.

    Parameters
    ----------
    linear : array of float
        Linear values, any shape; values outside [0, 1] are clipped.

    Returns
    -------
    array
        sRGB values in [0, 1], of the same shape and dtype.

    Examples
    --------
    >>> import numpy as np
    >>> encode(np.array([0.0, 0.5, 1.0])).round(3)
    array([0.   , 0.735, 1.   ])
    """
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def decode(encoded: FloatArray) -> FloatArray:
    """Convert sRGB values in [0, 1] to linear light.

    Parameters
    ----------
    encoded : array of float
        sRGB values, any shape.

    Returns
    -------
    array
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
FLARE = 0.015  # of white: the light of the room that a screen sends back, over what it shows
VEIL = FLARE ** (1 / 3)  # what a black screen looks like then
LUMINANCE = (0.2126, 0.7152, 0.0722)  # of linear sRGB (Rec. 709)
CHROMA = 0.5  # weight of the differences of linear light that are not in luminance
TO_OPPONENT = np.array(
    [
        [3**0.5 * share for share in LUMINANCE],
        [CHROMA * 0.5**0.5, -CHROMA * 0.5**0.5, 0.0],
        [-CHROMA * 6**-0.5, -CHROMA * 6**-0.5, CHROMA * (2 / 3) ** 0.5],
    ]
)
# CIE L*a*b* without its cube roots, which is its slope at white (T. J. Flohr and others,
# "Model-based color image quantization", 1993). Colours count for less than light, since the eye
# blurs them more.
TO_XYZ = np.array([[0.4339, 0.3762, 0.1899], LUMINANCE, [0.0178, 0.1095, 0.8727]])  # over white's
BLURRED = 0.3  # weight of a* and b* beside L*
TO_YYCXCZ = 3**0.5 * np.array(
    [
        TO_XYZ[1],
        BLURRED * 500 / 116 * (TO_XYZ[0] - TO_XYZ[1]),
        BLURRED * 200 / 116 * (TO_XYZ[1] - TO_XYZ[2]),
    ]
)
FROM_CONES, FROM_OKLAB = map(np.linalg.inv, (TO_CONES, TO_OKLAB))


class Space(NamedTuple):
    """A colour space to dither in: conversions from linear light and back, along the last axis.

    Attributes
    ----------
    into, back : callable
        Conversion of an array, shape (..., channels), from linear light, and to linear light.
    bounds : tuple of float
        Least and greatest value of every channel.
    mixed : bool
        Whether a channel depends on several channels of linear light.
    """

    into: Callable[[FloatArray], FloatArray]
    back: Callable[[FloatArray], FloatArray]
    bounds: tuple[float, float] = (-np.inf, np.inf)
    mixed: bool = True

    def clip(self, colors: FloatArray) -> FloatArray:
        """Return the colours, shape (..., channels), brought into the gamut of sRGB."""
        if not self.mixed:
            return colors
        inside = np.clip(self.back(colors), 0, 1)
        return np.ascontiguousarray(self.into(inside), colors.dtype)


def _oklab(linear: Array) -> Array:
    """Convert linear light to Oklab."""
    return np.cbrt(linear @ TO_CONES.T.astype(linear.dtype)) @ TO_OKLAB.T.astype(linear.dtype)


def _from_oklab(colors: Array) -> Array:
    """Convert Oklab to linear light."""
    roots = colors @ FROM_OKLAB.T
    return (roots * roots * roots) @ FROM_CONES.T  # sooner than a power


def _screen(linear: Array) -> Array:
    """Convert linear light to Oklab less black, both as they look on a screen in a lit room."""
    cones = linear @ TO_CONES.T.astype(linear.dtype)
    return _veiled(cones) @ TO_OKLAB.T.astype(linear.dtype)


def _from_screen(colors: Array) -> Array:
    """Convert what is seen on a screen to the linear light that it shows."""
    return _unveiled(colors @ FROM_OKLAB.T) @ FROM_CONES.T


def _veiled(light: Array) -> Array:
    """Return cube roots of light and flare, less that of flare."""
    return np.cbrt(light + light.dtype.type(FLARE)) - light.dtype.type(VEIL)


def _unveiled(roots: Array) -> Array:
    """Return the light again."""
    roots = roots + VEIL
    return roots * roots * roots - FLARE


def _differences(mixing: Array, linear: Array) -> Array:
    """Convert linear light to luminance and two differences; pictures lie in planes then."""
    mixing = mixing.astype(linear.dtype)
    if linear.ndim != 3:
        return linear @ mixing.T
    planes = np.empty((3, *linear.shape[:2]), linear.dtype)
    rows = planes.transpose(1, 0, 2)
    np.matmul(mixing, linear.transpose(0, 2, 1), out=rows)  # row by row: no other threads
    return planes.transpose(1, 2, 0)


def _from_differences(unmixing: Array, colors: Array) -> Array:
    """Convert luminance and two differences to linear light."""
    return colors @ unmixing.T


def _space(mixing):
    """Make a space of luminance and two differences of linear light."""
    return Space(partial(_differences, mixing), partial(_from_differences, np.linalg.inv(mixing)))


def _unchanged(linear: Array) -> Array:
    return linear


def _cubes(colors: Array) -> Array:
    return colors * colors * colors  # sooner than a power


SPACES: dict[SpaceName, Space] = {
    "opponent": _space(TO_OPPONENT),
    "linear": Space(_unchanged, _unchanged, (0.0, 1.0), mixed=False),
    "srgb": Space(encode, decode, (0.0, 1.0), mixed=False),
    "oklab": Space(_oklab, _from_oklab),
    "screen": Space(_screen, _from_screen),
    "yycxcz": _space(TO_YYCXCZ),
}
# Of greys, what a space says of all channels but one is 0.
OF_GREYS = SPACES | {
    "opponent": SPACES["linear"],
    "yycxcz": SPACES["linear"],
    "oklab": Space(np.cbrt, _cubes, (0.0, 1.0), mixed=False),
    "screen": Space(_veiled, _unveiled, (0.0, (1 + FLARE) ** (1 / 3) - VEIL), mixed=False),
}


def is_grey(values: Array) -> bool:
    """Return whether the channels, the last axis, are all the same.

    Examples
    --------
    >>> is_grey(np.uint8([[3, 3, 3], [9, 9, 9]])), is_grey(np.uint8([[3, 3, 3], [9, 9, 8]]))
    (True, False)
    """
    first = values[..., 0]
    return all(np.array_equal(first, values[..., i]) for i in range(1, values.shape[-1]))


def space_of(name: SpaceName, *, grey: bool) -> Space:
    """Return the space of a name; of greys, luminance is all there is of light, and L of Oklab.

    Examples
    --------
    >>> space_of("opponent", grey=True) is SPACES["linear"]
    True
    >>> space_of("oklab", grey=True).into(np.array([0.125, 1.0])).round(6).tolist()
    [0.5, 1.0]
    """
    return (OF_GREYS if grey else SPACES)[name]
