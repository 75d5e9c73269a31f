"""What is drawn rather than photographed: fields, lines, the inks of text, and shading.

A field is what has pixels amid eight of the same colour, a line is long, and an ink is at the ends
of edges on flat ground. Shading is what has nearly the colour of all that is beside it, but not the
same: the steps of a ramp, which may be as wide as fields and as long as lines.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray

__all__ = [
    "CLOSE",
    "FREE",
    "LUMA",
    "amid_their_own",
    "codes_of",
    "flat_of",
    "inks_of",
    "lines_of",
    "rgb_of",
    "shaded",
]

FREE = -1  # the code of a pixel that nobody sees, and the label of one that is not pinned
DRAWN = 0.25  # share of pixels amid their own colour from which on a picture is a drawn one
LINE = 24  # pixels of one colour, one beside the other, that are a line; or, in all, an ink
STROKE = 5  # rows and columns around a pixel of an ink in which there is ground
LUMA = np.array([0.299, 0.587, 0.114])  # of the channels: the eye sees steps of that sooner
CLOSE = 2.5  # of luma: what hardly any grain hides
HUE = 4 * CLOSE  # of a channel: more is an edge, though it has the same luma on both sides


def codes_of(colors: Array) -> npt.NDArray[np.int32]:
    """Return colours of three bytes, the last axis, as one number each.

    Examples
    --------
    >>> int(codes_of(np.uint8([1, 2, 3]))) == 0x010203
    True
    """
    codes = colors[..., 0].astype(np.int32)
    for channel in (1, 2):
        codes <<= 8
        codes |= colors[..., channel]
    return codes


def rgb_of(codes: Array) -> ByteArray:
    """Return the colours that `codes_of` has made numbers of."""
    return np.stack([codes >> 16, codes >> 8, codes], axis=-1).astype(np.uint8)


def amid_their_own(codes: Array) -> npt.NDArray[np.bool_]:
    """Return where a pixel and its eight neighbours are the same; edges continue outside.

    Examples
    --------
    >>> amid_their_own(np.int32([[7, 7, 7, 8], [7, 7, 7, 8]])).tolist()
    [[True, True, False, False], [True, True, False, False]]
    """
    same = np.ones(codes.shape, bool)
    down = codes[1:] == codes[:-1]
    same[1:] &= down
    same[:-1] &= down
    across = np.zeros(codes.shape, bool)
    across[:] = same
    beside = codes[:, 1:] == codes[:, :-1]
    across[:, 1:] &= beside & same[:, :-1]
    across[:, :-1] &= beside & same[:, 1:]
    return across


def flat_of(codes: Array) -> npt.NDArray[np.bool_] | None:
    """Return which pixels are amid their own colour; None where a quarter of those seen is not.

    Examples
    --------
    >>> flat_of(np.zeros((1, 2), np.int32)), flat_of(np.arange(16).reshape(4, 4))
    (array([[ True,  True]]), None)
    """
    there = codes != FREE
    flat = amid_their_own(codes) & there
    counted = np.count_nonzero(there)
    return flat if counted and np.count_nonzero(flat) >= DRAWN * counted else None


def inks_of(codes: Array, ground: npt.NDArray[np.bool_]) -> Array:
    """Return the colours of text on flat ground; photographs on it have none.

    Parameters
    ----------
    codes : array of int32, shape (height, width)
        The colours of a picture as `codes_of` makes numbers of them, `FREE` where none is seen.
    ground : array of bool, shape (height, width)
        Where there is flat colour.

    Returns
    -------
    array of int32
        Different codes, each of some pixels that are mostly beside another of their colour. The
        ends of edges come first, for what is between others in lightness is a mixture of them;
        then those of many pixels.

    Examples
    --------
    >>> codes = np.full((9, 40), 0xFFFFFF, np.int32)
    >>> codes[3:5, 5:35], codes[5, 5:35] = 0x202020, 0x909090
    >>> [hex(code) for code in inks_of(codes, codes == 0xFFFFFF)]
    ['0x202020', '0x909090']
    """
    from scipy import ndimage

    solid = np.zeros(codes.shape, bool)  # where a pixel has another of its colour beside it
    for one, two in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        solid[one] |= (same := codes[one] == codes[two])
        solid[two] |= same
    other = ~ground & (codes != FREE)
    some = other & solid & ndimage.maximum_filter(ground, STROKE)
    inks, sizes = np.unique(codes[some], return_counts=True)
    inks, sizes = inks[sizes >= LINE], sizes[sizes >= LINE]
    light = rgb_of(codes) @ np.array([299, 587, 114])
    ends = (light == ndimage.minimum_filter(light, 3)) | (light == ndimage.maximum_filter(light, 3))
    whole, outer = (
        np.array([np.count_nonzero(where & (codes == ink)) for ink in inks], np.int64)
        for where in (other, other & ends)
    )
    order = np.lexsort((-whole, 2 * outer <= whole))
    return inks[order][(2 * sizes > whole)[order]]


def lines_of(codes: Array) -> Array:
    """Return the colours of long horizontal lines.

    Examples
    --------
    >>> np.unique(lines_of(np.repeat(np.int32([[1, 2]]), 30, axis=1))).tolist()
    [1, 2]
    """
    if codes.shape[1] < LINE:
        return codes.ravel()[:0]
    long = codes[:, LINE - 1 :].copy()
    same = np.ones(long.shape, bool)
    for shift in range(1, LINE):
        same &= long == codes[:, LINE - 1 - shift : codes.shape[1] - shift]
    return long[same]


def shaded(image: ByteArray, some: npt.NDArray[np.bool_]) -> Array:
    """Return the places of those of some pixels that have nearly the colour of all beside them.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    some : array of bool, shape (height, width)
        The pixels that are asked for.

    Returns
    -------
    array of int
        Where they are in the flattened picture.

    Examples
    --------
    >>> image = np.uint8([20, 22, 24, 90, 90]).repeat(3).reshape(1, 5, 3)
    >>> shaded(image, np.ones((1, 5), bool)).tolist()
    [0, 1, 4]
    """
    places, width = np.flatnonzero(some), image.shape[1]
    row, column = np.divmod(places, width)
    rgb = image.reshape(-1, 3)
    own, smooth = rgb[places].astype(np.int16), np.ones(len(places), bool)
    for down, right in ((-1, 0), (1, 0), (0, -1), (0, 1)):
        beside = np.clip(row + down, 0, len(image) - 1) * width
        beside += np.clip(column + right, 0, width - 1)
        off = rgb[beside] - own
        smooth &= (abs(off @ LUMA) < CLOSE) & (abs(off) < HUE).all(axis=1)
    return places[smooth]
