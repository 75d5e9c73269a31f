"""What is known of a large picture before it is dithered: a survey of it, and a sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.optimiser.flat import codes_of, rgb_of
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import ROWS, Box, Source

__all__ = ["Survey", "apart", "boxes", "inside_of", "sample", "survey"]

TILE = 16  # rows and columns of the parts that stand for the whole: small ones miss no colour
PIXELS = 1 << 20  # in all of them
SOME = 4096  # pixels of them by which most photographs are known


class Survey(NamedTuple):
    """What holds of a whole picture, whatever a sample of it would say.

    Attributes
    ----------
    coloured : tuple of int or None
        The row and the column of a pixel that is not grey; None if all are.
    few : array of uint8, shape (N, 3), or None
        All colours of the picture, if they are bytes and no more than was asked; else None.
    clear : tuple of int or None
        The row and the column of a pixel that becomes transparent; None if none does.
    partial : tuple of int or None
        The row and the column of a pixel that is neither transparent nor opaque; None if none is.
    """

    coloured: tuple[int, int] | None
    few: ByteArray | None
    clear: tuple[int, int] | None
    partial: tuple[int, int] | None


def survey(source: Source, colors: int, *, below: int = 1) -> Survey:
    """Look through a picture, as far as is necessary; of most photographs that is a first strip.

    Parameters
    ----------
    source : Source
        The picture.
    colors : int
        How many colours are few.
    below : int, optional
        The opacity below which a pixel becomes transparent.

    Returns
    -------
    Survey
        What was found.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> image = np.zeros((600, 8, 3), np.uint8)
    >>> image[500, 3] = 0, 0, 9
    >>> found = survey(ArraySource(image), 2)
    >>> found.coloured, found.few.tolist(), found.partial
    ((500, 3), [[0, 0, 0], [0, 0, 9]], None)
    """
    parts, beside = list(boxes(source)), len(_spans(source))
    none = np.empty((0, 3), np.uint8) if source.eight_bits else None
    found = Survey(None, none, None, None)
    look = partial(_surveyed, colors=colors, below=below, count=source.eight_bits)
    for some in (parts[:beside], parts[beside:]):
        looked = source.each(look, some)
        for _ in range(0, len(some), beside):
            for more in islice(looked, beside):
                found = _joined(found, more, colors)
            known = source.opaque or (found.partial and found.clear)
            if known and found.coloured and found.few is None:
                return found
    return found


def _spans(source: Source) -> list[tuple[int, int]]:
    """Return which columns of a picture are read together."""
    width = source.shape[1]
    step = source.columns or width
    return [(left, min(left + step, width)) for left in range(0, width, step)]


def boxes(source: Source, more: tuple[int, int] = (0, 0)) -> Iterator[Box]:
    """Yield the parts in which a picture is read, with some rows and columns that follow.

    Parameters
    ----------
    source : Source
        The picture.
    more : tuple of int, optional
        Rows and columns that each part has more.

    Yields
    ------
    tuple of int
        The first row and the one after the last, and the same of columns.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> list(boxes(ArraySource(np.zeros((300, 8))), (9, 0)))
    [(0, 265, 0, 8), (256, 300, 0, 8)]
    """
    height, width = source.shape
    for top in range(0, height, ROWS):
        for left, right in _spans(source):
            yield top, min(top + ROWS + more[0], height), left, min(right + more[1], width)


def inside_of(places: Array, corner: tuple[int, int], columns: int | None) -> Array:
    """Return which places, (N, 2), are in the part that begins at a corner."""
    inside = (places[:, 0] >= corner[0]) & (places[:, 0] < corner[0] + ROWS)
    if columns is not None:
        inside &= (places[:, 1] >= corner[1]) & (places[:, 1] < corner[1] + columns)
    return np.flatnonzero(inside)


def _surveyed(
    pixels: Pixels, corner: tuple[int, int], *, colors: int, below: int, count: bool
) -> Survey:
    """Survey some part of a picture."""
    values, alpha = pixels
    coloured = clear = few = None
    if values.ndim == 3:
        coloured = _first((values[..., :1] != values[..., 1:]).any(axis=-1), corner)
    if count:
        few = _colours(values if values.ndim == 3 else np.repeat(values[..., None], 3, 2), colors)
    if alpha is None:
        return Survey(coloured, few, None, None)
    clear = _first(alpha < below, corner)
    return Survey(coloured, few, clear, _first((alpha > 0) & (alpha < 255), corner))


def _joined(above: Survey, below: Survey, colors: int) -> Survey:
    """Return what holds of two parts of a picture together."""
    few = None
    if above.few is not None and below.few is not None:
        few = rgb_of(np.unique(codes_of(np.concatenate([above.few, below.few]))))
        few = few if len(few) <= colors else None
    return Survey(
        _earlier(above.coloured, below.coloured),
        few,
        _earlier(above.clear, below.clear),
        _earlier(above.partial, below.partial),
    )


def _earlier(one: tuple[int, int] | None, other: tuple[int, int] | None) -> tuple[int, int] | None:
    """Return the place that comes first in a picture."""
    return min((place for place in (one, other) if place is not None), default=None)


def _first(mask: Array, corner: tuple[int, int]) -> tuple[int, int] | None:
    """Return the first place where a mask is true, in a picture of which it begins at a corner."""
    place = int(mask.argmax())
    row, column = divmod(place, mask.shape[1])
    return (corner[0] + row, corner[1] + column) if mask[row, column] else None


def _colours(rgb: ByteArray, colors: int) -> ByteArray | None:
    """Return all colours of a picture, if they are no more than so many."""
    some = codes_of(rgb.reshape(-1, 3)[:: 1 + rgb.size // (3 * SOME)])
    if np.unique(some).size > colors:
        return None
    present = np.zeros(1 << 24, bool)
    present[codes_of(rgb)] = True
    found = np.flatnonzero(present)
    return rgb_of(found) if found.size <= colors else None


def sample(
    source: Source, found: Survey, *, tile: int = TILE, pixels: int = PIXELS
) -> tuple[Pixels, Pixels]:
    """Return a picture that is put together from tiles of a larger one, and an overview of it.

    The tiles are spread evenly, as in `fastgrad.dithering.optimiser.parts.tiled`. What the survey
    says is there is there: a pixel that is not grey, one that is transparent, and one that is
    neither that nor opaque. The overview has one pixel of each square of the picture, of different
    rows and columns, so that it is not misled by what repeats itself.

    Parameters
    ----------
    source : Source
        The picture.
    found : Survey
        What holds of all of it.
    tile : int, optional
        Rows and columns of a tile.
    pixels : int, optional
        Number of pixels in all tiles, approximately, and of the overview, at most.

    Returns
    -------
    tiles : Pixels
        A picture of as many columns as rows, nearly.
    overview : Pixels
        A picture of the shape of the large one, nearly.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> source = ArraySource(np.zeros((300, 500, 3), np.uint8))
    >>> tiles, overview = sample(source, survey(source, 2), tile=32, pixels=1 << 14)
    >>> tiles.values.shape, overview.values.shape
    ((128, 128, 3), (75, 125, 3))
    """
    height, width = source.shape
    rows, columns = min(tile, height), min(tile, width)
    pixels = min(pixels, height * width)
    across = max(1, round((pixels * rows / columns) ** 0.5) // columns)
    down = max(1, pixels // (across * columns * rows))
    tiles, room = down * across, np.array([height - rows, width - columns])
    place = np.outer(np.arange(tiles), [0.7548776662, 0.5698402910]) % 1
    corners = (place * (room + 1)).astype(np.int64)
    for i, spot in enumerate((found.coloured, found.clear, found.partial)):
        if spot is not None:
            corners[-1 - i % tiles] = np.clip(np.array(spot) - [rows // 2, columns // 2], 0, room)
    step = math.ceil((height * width / pixels) ** 0.5)
    how: dict[str, Any] = {"corners": corners, "size": (rows, columns), "step": step}
    looked = partial(_looked, **how, shape=source.shape, columns=source.columns)
    parts = list(boxes(source, (max(rows, step), max(columns, step))))  # each row is read once
    values: list[Array] = [np.empty(0)] * tiles
    alphas: list[Array] = [np.empty(0)] * tiles
    squares: list[list[tuple[Array, Array]]] = []
    for box, seen in zip(parts, source.each(looked, parts)):
        own = inside_of(corners, (box[0], box[2]), source.columns)
        for i, tile_values, tile_alpha in zip(own, *seen[0]):
            values[i], alphas[i] = tile_values, tile_alpha
        if not box[2]:
            squares.append([])
        squares[-1].append(seen[1])

    def put_together(parts: list[Array]) -> Array:
        whole = np.stack(parts).reshape(down, across, rows, columns, -1)
        whole = whole.swapaxes(1, 2).reshape(down * rows, across * columns, -1)
        return whole[..., 0] if whole.shape[2] == 1 else whole

    def joined(which: int) -> Array:
        return np.concatenate([np.concatenate([s[which] for s in row], 1) for row in squares])

    alpha, seen_through = put_together(alphas), joined(1)
    return (
        Pixels(put_together(values), None if alpha.min() == 255 else alpha),
        Pixels(joined(0), None if seen_through.min() == 255 else seen_through),
    )


def _looked(
    pixels: Pixels,
    corner: tuple[int, int],
    *,
    corners: Array,
    size: tuple[int, int],
    step: int,
    columns: int | None,
    shape: tuple[int, int],
) -> tuple[tuple[list[Array], list[Array]], tuple[Array, Array]]:
    """Return the tiles that begin in a part, and a pixel of each square that begins there.

    Each time they are values and opacity.
    """
    (values, alpha), (down, across) = pixels, size
    alpha = np.full(values.shape[:2], 255, np.uint8) if alpha is None else alpha
    own = corners[inside_of(corners, corner, columns)] - corner
    places = [(slice(y, y + down), slice(x, x + across)) for y, x in own]
    tiles = [values[p] for p in places], [alpha[p] for p in places]
    ends = corner[0] + ROWS, shape[1] if columns is None else corner[1] + columns
    y, x = (
        np.arange(-(-first // step), min(-(-end // step), max(1, length // step)))
        for first, end, length in zip(corner, ends, shape)
    )
    rows = np.minimum(y * step + y % step, shape[0] - 1)[:, None] - corner[0]
    beside = np.minimum(x * step + (x + y[:, None]) % step, shape[1] - 1) - corner[1]
    return tiles, (values[rows, beside], alpha[rows, beside])


def apart(planes: Array, tile: tuple[int, int], gap: int) -> Array:
    """Set the tiles of a sample apart, with nothing between them.

    Parameters
    ----------
    planes : array, shape (height, width, ...)
        Tiles, one beside the other.
    tile : tuple of int
        Rows and columns of each.
    gap : int
        Rows and columns of zeros between them.

    Returns
    -------
    array
        The larger picture.

    Examples
    --------
    >>> apart(np.ones((2, 4)), (2, 2), 1)
    array([[1., 1., 0., 1., 1., 0.],
           [1., 1., 0., 1., 1., 0.],
           [0., 0., 0., 0., 0., 0.]])
    """
    (height, width), (rows, columns) = planes.shape[:2], tile
    down, across, rest = height // rows, width // columns, planes.shape[2:]
    out = np.zeros((down, rows + gap, across, columns + gap, *rest), planes.dtype)
    out[:, :rows, :, :columns] = planes.reshape(down, rows, across, columns, *rest)
    return out.reshape(down * (rows + gap), across * (columns + gap), *rest)
