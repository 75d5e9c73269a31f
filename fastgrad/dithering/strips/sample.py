"""What is known of a large picture before it is dithered: a survey of it, and a sample."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.optimiser.flat import codes_of, rgb_of
from fastgrad.dithering.optimiser.tones import APART, places_of_pairs
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import ROWS, Source
from fastgrad.dithering.pictures.transparency import Mode, to_dither

__all__ = ["Survey", "apart", "pairs", "sample", "survey"]

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
    partial : bool
        Whether pixels are neither transparent nor opaque.
    """

    coloured: tuple[int, int] | None
    few: ByteArray | None
    clear: tuple[int, int] | None
    partial: bool


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
    ((500, 3), [[0, 0, 0], [0, 0, 9]], False)
    """
    height = source.shape[0]
    places = [(top, min(top + ROWS, height)) for top in range(0, height, ROWS)]
    none = np.empty((0, 3), np.uint8) if source.eight_bits else None
    found = Survey(None, none, None, False)
    look = partial(_surveyed, colors=colors, below=below, count=source.eight_bits)
    for some in (places[:1], places[1:]):
        for more in source.each(look, some):
            found = _joined(found, more, colors)
            known = source.opaque or (found.partial and found.clear)
            if known and found.coloured and found.few is None:
                return found
    return found


def _surveyed(pixels: Pixels, top: int, *, colors: int, below: int, count: bool) -> Survey:
    """Survey some rows of a picture."""
    values, alpha = pixels
    coloured = clear = few = None
    if values.ndim == 3:
        coloured = _first((values[..., :1] != values[..., 1:]).any(axis=-1), top)
    if count:
        few = _colours(values if values.ndim == 3 else np.repeat(values[..., None], 3, 2), colors)
    if alpha is None:
        return Survey(coloured, few, None, False)
    clear = _first(alpha < below, top)
    return Survey(coloured, few, clear, bool(((alpha > 0) & (alpha < 255)).any()))


def _joined(above: Survey, below: Survey, colors: int) -> Survey:
    """Return what holds of two parts of a picture together."""
    few = None
    if above.few is not None and below.few is not None:
        few = rgb_of(np.unique(codes_of(np.concatenate([above.few, below.few]))))
        few = few if len(few) <= colors else None
    return Survey(
        above.coloured or below.coloured,
        few,
        above.clear or below.clear,
        above.partial or below.partial,
    )


def _first(mask: Array, top: int) -> tuple[int, int] | None:
    """Return the first place where a mask is true, in a picture of which it begins at a row."""
    place = int(mask.argmax())
    row, column = divmod(place, mask.shape[1])
    return (top + row, column) if mask[row, column] else None


def _colours(rgb: ByteArray, colors: int) -> ByteArray | None:
    """Return all colours of a picture, if they are no more than so many."""
    some = codes_of(rgb.reshape(-1, 3)[:: 1 + rgb.size // (3 * SOME)])
    if np.unique(some).size > colors:
        return None
    present = np.zeros(1 << 24, bool)
    present[codes_of(rgb)] = True
    found = np.flatnonzero(present)
    return rgb_of(found) if found.size <= colors else None


def sample(source: Source, found: Survey, *, tile: int = TILE, pixels: int = PIXELS) -> Pixels:
    """Return a picture that is put together from tiles of a larger one.

    The tiles are spread evenly, as in `fastgrad.dithering.optimiser.parts.tiled`. What the survey
    says is there is there: a pixel that is not grey, and one that is transparent.

    Parameters
    ----------
    source : Source
        The picture.
    found : Survey
        What holds of all of it.
    tile : int, optional
        Rows and columns of a tile.
    pixels : int, optional
        Number of pixels in all tiles, approximately.

    Returns
    -------
    Pixels
        A picture of as many columns as rows, nearly.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> source = ArraySource(np.zeros((300, 500, 3), np.uint8))
    >>> sample(source, survey(source, 2), tile=32, pixels=1 << 14).values.shape
    (128, 128, 3)
    """
    height, width = source.shape
    rows, columns = min(tile, height), min(tile, width)
    pixels = min(pixels, height * width)
    across = max(1, round((pixels * rows / columns) ** 0.5) // columns)
    down = max(1, pixels // (across * columns * rows))
    tiles, room = down * across, np.array([height - rows, width - columns])
    place = np.outer(np.arange(tiles), [0.7548776662, 0.5698402910]) % 1
    corners = (place * (room + 1)).astype(np.int64)
    for i, spot in enumerate((found.coloured, found.clear)):
        if spot is not None:
            corners[-1 - i % tiles] = np.clip(np.array(spot) - [rows // 2, columns // 2], 0, room)
    places, inside = [], []
    for top in range(0, height, ROWS):  # each row of a file is read once
        own = np.flatnonzero((corners[:, 0] >= top) & (corners[:, 0] < top + ROWS))
        if own.size:
            places.append((top, min(top + ROWS + rows, height)))
            inside.append(own)
    values: list[Array] = [np.empty(0)] * tiles
    alphas: list[Array] = [np.empty(0)] * tiles
    cut = partial(_tiles, corners=corners, size=(rows, columns))
    for own, (parts, opacity) in zip(inside, source.each(cut, places)):
        for i, tile_values, tile_alpha in zip(own, parts, opacity):
            values[i], alphas[i] = tile_values, tile_alpha

    def put_together(parts: list[Array]) -> Array:
        whole = np.stack(parts).reshape(down, across, rows, columns, -1)
        whole = whole.swapaxes(1, 2).reshape(down * rows, across * columns, -1)
        return whole[..., 0] if whole.shape[2] == 1 else whole

    alpha = put_together(alphas)
    return Pixels(put_together(values), None if alpha.min() == 255 else alpha)


def _tiles(
    pixels: Pixels, top: int, *, corners: Array, size: tuple[int, int]
) -> tuple[Array, Array]:
    """Return the tiles that begin in a strip, and their opacity: the next one has the others."""
    (values, alpha), (rows, columns) = pixels, size
    alpha = np.full(values.shape[:2], 255, np.uint8) if alpha is None else alpha
    own = corners[(corners[:, 0] >= top) & (corners[:, 0] < top + ROWS)] - [top, 0]
    places = [(slice(y, y + rows), slice(x, x + columns)) for y, x in own]
    return np.stack([values[p] for p in places]), np.stack([alpha[p] for p in places])


def pairs(source: Source, mode: Mode) -> Array:
    """Return the pairs of pixels to which tones are fitted: those of the whole picture.

    Parameters
    ----------
    source : Source
        The picture.
    mode : {"keep", "key", "blend"}
        What becomes of opacity.

    Returns
    -------
    array, shape (N, 2, 3) or (N, 2)
        What `fastgrad.dithering.optimiser.tones.fit_pairs` takes.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> pairs(ArraySource(np.zeros((300, 50), np.uint8)), "keep").shape
    (3000, 2)
    """
    found, height = places_of_pairs(source.shape), source.shape[0]
    found = found[np.argsort(found[:, 0, 0], kind="stable")]
    places = [
        (top, min(top + ROWS + APART[-1], height))
        for top in range(0, height, ROWS)
        if ((found[:, 0, 0] >= top) & (found[:, 0, 0] < top + ROWS)).any()
    ]
    taken = list(source.each(partial(_pairs, found=found, mode=mode), places))
    wide = max(values.ndim for values in taken)
    return np.concatenate(
        [v if v.ndim == wide else np.repeat(v[..., None], 3, axis=2) for v in taken]
    )


def _pairs(pixels: Pixels, top: int, *, found: Array, mode: Mode) -> Array:
    """Return the pairs that begin in a strip."""
    own: Any = found[(found[:, 0, 0] >= top) & (found[:, 0, 0] < top + ROWS)] - [top, 0]
    rows, columns = own[..., 0], own[..., 1]
    values = pixels.values[rows, columns]
    if pixels.alpha is None:
        return values
    alpha = pixels.alpha[rows, columns]
    values = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
    values, seen, _ = to_dither(values, alpha, mode)
    return values if seen is None else values[seen.all(axis=1)]


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
