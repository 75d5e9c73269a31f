"""What is known of a large picture before it is dithered: a survey of it, and a sample."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.optimiser.flat import codes_of, rgb_of
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import ROWS, Source

__all__ = ["Survey", "apart", "sample", "survey"]

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
    coloured = clear = None
    partial, present = False, None
    few = source.eight_bits
    if few:
        present = np.zeros(1 << 24, bool)
    for top in range(0, height, ROWS):
        if coloured and not few and (source.opaque or (partial and clear)):
            break
        values, alpha = source.read(top, min(top + ROWS, height))
        if coloured is None and values.ndim == 3:
            coloured = _first((values[..., :1] != values[..., 1:]).any(axis=-1), top)
        if few and present is not None:
            rgb = values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)
            few = _noted(present, rgb, colors)
        if alpha is not None:
            clear = clear or _first(alpha < below, top)
            partial |= bool(((alpha > 0) & (alpha < 255)).any())
    found = rgb_of(np.flatnonzero(present)) if few and present is not None else None
    return Survey(coloured, found, clear, partial)


def _first(mask: Array, top: int) -> tuple[int, int] | None:
    """Return the first place where a mask is true, in a picture of which it begins at a row."""
    place = int(mask.argmax())
    row, column = divmod(place, mask.shape[1])
    return (top + row, column) if mask[row, column] else None


def _noted(present: Array, rgb: ByteArray, colors: int) -> bool:
    """Note which colours there are; return whether they are still few."""
    some = codes_of(rgb.reshape(-1, 3)[:: 1 + rgb.size // (3 * SOME)])
    present[some] = True
    if np.unique(some).size <= colors:
        present[codes_of(rgb)] = True
    return int(np.count_nonzero(present)) <= colors


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
    values: list[Array] = [np.empty(0)] * tiles
    alphas: list[Array] = [np.empty(0)] * tiles
    opaque = np.full((rows, columns), 255, np.uint8)
    for top in range(0, height, ROWS):  # each row of a file is read once
        inside = np.flatnonzero((corners[:, 0] >= top) & (corners[:, 0] < top + ROWS))
        if not inside.size:
            continue
        strip, alpha = source.read(top, min(top + ROWS + rows, height))
        for i in inside:
            y, x = corners[i] - [top, 0]
            place = slice(y, y + rows), slice(x, x + columns)
            values[i] = strip[place]
            alphas[i] = opaque if alpha is None else alpha[place]

    def put_together(parts: list[Array]) -> Array:
        whole = np.stack(parts).reshape(down, across, rows, columns, -1)
        whole = whole.swapaxes(1, 2).reshape(down * rows, across * columns, -1)
        return whole[..., 0] if whole.shape[2] == 1 else whole

    alpha = put_together(alphas)
    return Pixels(put_together(values), None if alpha.min() == 255 else alpha)


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
