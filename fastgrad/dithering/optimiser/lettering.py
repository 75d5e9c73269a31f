"""Small text in an ink of the palette: its strokes are pinned, and its soft edges taken off.

A program that writes 12 pixels high fills hardly a pixel: strokes are about as wide as one, and
come to lie between two. So few pixels are the very ink that was asked for, and the rest, mixtures
of ink and ground, would be dithered in any colours. Where thin strokes have the ink in them, they
get it where it covers half of a pixel or more, and what is left beside them is the ground.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.optimiser.flat import FREE, codes_of

__all__ = ["pieces", "written"]

WIDE = 9  # pixels across: the ground is seen on both sides of a stroke that is thinner
CONTRAST = 64  # of 255, least between ink and ground
FAINT = 0.06  # cover of a pixel that is ground
FULL = 0.85  # cover of a pixel that is ink
BOLD = 4  # pixels across: what holds such a square is no stroke
SEEDS = 4  # pixels of the very ink amid ground, in all
REACH = 48  # pixels around one of the very ink in which its text is
UPRIGHT = 9, 3  # rows and columns around a part of a stroke that the whole may fill
RING = ((-4, 0), (-3, 3), (0, 4), (3, 3), (4, 0), (3, -3), (0, -4), (-3, -3), (-5, 2), (5, -2))
RING += ((2, 5), (-2, -5))  # where the ground of a pixel is looked for


class Kind(NamedTuple):
    """Limits to what a piece of text has: its pixels, and shares of them.

    Attributes
    ----------
    size : int
        Pixels at least.
    full : float
        Share of those that are ink, at least.
    exact, most : float
        Share of those that are the very ink: with ground around, at least; and at most.
    """

    size: int
    full: float
    exact: float
    most: float


CRISP = Kind(12, 0.5, 0.01, 1.0)
SOFT = Kind(40, 0.45, 0.04, 0.2)  # hardly a pixel is filled, but of pictures' lines fewer yet


def written(
    rgb: ByteArray, labels: npt.NDArray[np.int16], inks: ByteArray, entries: Array
) -> tuple[npt.NDArray[np.int16], ByteArray]:
    """Pin the strokes of text, and free what is around them of its soft edges.

    Parameters
    ----------
    rgb : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    labels : array of int16, shape (height, width)
        The index of each pixel that is settled already, -1 elsewhere.
    inks : array of uint8, shape (N, 3)
        The colours that text may be in, each but once.
    entries : array of integers, shape (N,)
        Their indices.

    Returns
    -------
    labels : array of int16, shape (height, width)
        The same with the strokes, and with their edges where these are on settled ground.
    rgb : array of uint8, shape (height, width, 3)
        The picture with the colour of the ground at other edges.

    Examples
    --------
    >>> page = np.full((20, 60, 3), 255, np.uint8)
    >>> page[4:16, 4:56:8], page[4:16, 5:56:8] = 0, 90
    >>> page[4:16, 6:56:8] = 230
    >>> labels, _ = written(page, np.full((20, 60), -1, np.int16), np.uint8([[0, 0, 0]]), [7])
    >>> labels[10, 3:8].tolist()
    [-1, 7, 7, -1, -1]
    """
    labels, rgb = labels.copy(), rgb.copy()
    codes = codes_of(rgb)
    asked = codes_of(inks)
    found = _nonzero(np.isin(codes, asked))
    exact = codes[found]
    for code, ink, entry in zip(asked.tolist(), inks, entries):
        places = np.stack(found)[:, exact == code]
        far = np.abs(rgb[_around(places, codes.shape)].astype(np.int16) - ink).max(axis=2)
        places = places[:, (far >= CONTRAST).sum(axis=0) > len(RING) / 2]  # there is ground around
        if places.shape[1] >= SEEDS:
            top, left = np.maximum(places.min(axis=1) - REACH, 0)
            bottom, right = places.max(axis=1) + REACH
            place = slice(top, bottom), slice(left, right)
            seeds = np.zeros(codes.shape, bool)
            seeds[tuple(places)] = True
            _write(rgb[place], labels[place], seeds[place], ink, int(entry))
    return labels, rgb


def _write(
    rgb: ByteArray,
    labels: npt.NDArray[np.int16],
    seeds: npt.NDArray[np.bool_],
    ink: ByteArray,
    entry: int,
) -> None:
    """Change a part of a picture and of its labels, for one ink."""
    row, rows = np.tile(ink, rgb.shape[1]), rgb.reshape(len(rgb), -1)  # loops longer than three
    apart = (np.maximum(rows, row) - np.minimum(rows, row)).reshape(rgb.shape)
    off = np.maximum(np.maximum(apart[..., 0], apart[..., 1]), apart[..., 2])
    ground = _over(np.minimum, _over(np.maximum, off, WIDE, WIDE), WIDE, WIDE)
    clear = ground >= CONTRAST
    half = clear & (2 * off.astype(np.int16) <= ground)
    thin = half & ~_bold(half)
    marks = off < np.float32(1 - FULL) * ground, off == 0, seeds
    # Faint lines of a picture touch its letters, so only what is next to ink is looked at.
    core = thin & _over(np.maximum, thin & marks[0], 3, 3)
    found = _over(np.maximum, _text(core, *marks, SOFT), *UPRIGHT) | _text(thin, *marks, CRISP)
    strokes = thin & found & (labels == FREE)
    if not strokes.any():
        return
    labels[strokes] = entry
    near = _over(np.maximum, strokes, 3, 3)
    edges = np.stack(_nonzero(near & clear & (labels == FREE) & (off < ground)))
    # The ground is what most pixels at some distance are, those of the ink left out.
    y, x = _around(edges, labels.shape)
    around, inside = labels[y, x], labels[y, x] != entry
    colors = np.where(inside[..., None], rgb[y, x].astype(np.float32), np.nan)
    known = inside.any(axis=0)
    edges, around, colors = edges[:, known], around[:, known], colors[:, known]
    y, x = edges
    soft = off[y, x] < np.float32(1 - FAINT) * ground[y, x]
    rgb[tuple(edges[:, soft])] = np.rint(np.nanmedian(colors[:, soft], axis=0))
    others = np.where(around == entry, FREE, around)
    paper = others.max(axis=0, initial=FREE)
    settled = ((others == paper) & (paper != FREE)).sum(axis=0) >= len(RING) / 4
    labels[tuple(edges[:, settled])] = paper[settled]


def _text(
    mask: npt.NDArray[np.bool_],
    full: npt.NDArray[np.bool_],
    exact: npt.NDArray[np.bool_],
    seeds: npt.NDArray[np.bool_],
    kind: Kind,
) -> npt.NDArray[np.bool_]:
    """Return the pixels of a mask that are in pieces of text of a kind."""
    areas, count = pieces(_over(np.maximum, mask, 3, 7))
    places = np.flatnonzero(mask)
    areas = areas.reshape(-1)[places]
    marks = (of.reshape(-1)[places] for of in (mask, full, exact, exact & seeds))
    size, ink, very, seen = (np.bincount(areas[of], minlength=count + 1) for of in marks)
    text = (size >= kind.size) & (ink >= kind.full * size)
    text &= (seen >= kind.exact * size) & (very <= kind.most * size)
    text &= 2 * seen > very  # else it is the ground that is seen between the letters
    found = np.zeros(mask.shape, bool)
    found.reshape(-1)[places] = text[areas]
    return found


def _nonzero(mask: npt.NDArray[np.bool_]) -> tuple[Array, ...]:
    """Return rows and columns where a mask is true, as `numpy.nonzero` does, but sooner."""
    return np.unravel_index(np.flatnonzero(mask), mask.shape)


def _over(pick: np.ufunc, x: Array, rows: int, columns: int) -> Array:
    """Return the greatest or least numbers, as `pick` has it, of a box of odd sides around each.

    Beyond its border the array is its mirror image.
    """
    return _runs(
        pick, np.pad(x, ((rows // 2,) * 2, (columns // 2,) * 2), "symmetric"), rows, columns
    )


def _bold(mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Return what squares of `BOLD` pixels cover that are wholly in a mask."""
    corners = _runs(np.minimum, np.pad(mask, BOLD - 1), BOLD, BOLD)
    return _runs(np.maximum, corners, BOLD, BOLD)


def _runs(pick: np.ufunc, x: Array, rows: int, columns: int) -> Array:
    """Return the greatest or least numbers of each box that is wholly in an array."""
    for axis, size in enumerate((rows, columns)):
        x, known = x.swapaxes(0, axis), 1
        while known < size:
            step = min(known, size - known)
            x, known = pick(x[:-step], x[step:]), known + step
        x = x.swapaxes(0, axis)
    return x


def _around(places: Array, shape: tuple[int, ...]) -> tuple[Array, ...]:
    """Return rows and columns, (R, N), of pixels in a ring around each of some, (2, N)."""
    ring = places[:, None] + np.array(RING).T[..., None]
    return tuple(np.clip(p, 0, size - 1) for p, size in zip(ring, shape))


def pieces(mask: Array) -> tuple[Array, int]:
    """Return the connected pieces of a mask, numbered from 1 on, and their number.

    Examples
    --------
    >>> numbers, count = pieces(np.array([[True, False, True]]))
    >>> numbers.tolist(), count
    ([[1, 0, 2]], 2)
    """
    from scipy import ndimage

    found: Any = ndimage.label(mask, np.ones((3, 3)))
    return found
