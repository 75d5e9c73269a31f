"""The colours of transparent pixels of a large picture, and the nearest of them."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.optimiser.palette import initial
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import Source
from fastgrad.dithering.strips.sample import boxes

__all__ = ["hidden_colors", "nearest"]

SOME = 1 << 18  # pixels of a picture, of which those that are hidden tell the colours of many


class _Hidden(NamedTuple):
    """The hidden colours of a part: all of them unless they are too many, and some with places."""

    colors: ByteArray | None
    places: Array
    pixels: ByteArray


def hidden_colors(source: Source, most: int, *, below: int = 1) -> ByteArray:
    """Return the colours that are hidden in transparent pixels.

    Parameters
    ----------
    source : Source
        The picture.
    most : int
        How many colours there may be.
    below : int, optional
        The opacity below which a pixel becomes transparent.

    Returns
    -------
    array of uint8, shape (N, 3)
        All of them if they are so few, else some that k-means finds; black if no pixel is hidden.

    Examples
    --------
    >>> from fastgrad.dithering.pictures.sources import ArraySource
    >>> image = np.zeros((4, 4, 4), np.uint8)
    >>> image[2:, :, 0] = 9
    >>> hidden_colors(ArraySource(image), 4).tolist()
    [[0, 0, 0], [9, 0, 0]]
    """
    height, width = source.shape
    step = max(1, height * width // SOME)
    look = partial(_looked, width=width, most=most, below=below, step=step)
    parts = list(source.each(look, list(boxes(source))))
    if all(part.colors is not None for part in parts):
        found = [part.colors for part in parts if part.colors is not None]
        colors = np.unique(np.concatenate(found), axis=0)
        if len(colors) <= most:
            return colors if len(colors) else np.zeros((1, 3), np.uint8)
    order = np.argsort(np.concatenate([part.places for part in parts]))
    pixels = np.concatenate([part.pixels for part in parts])[order]
    if not len(pixels):  # they are many, and rare
        pixels = np.concatenate([part.colors for part in parts if part.colors is not None])
    if len(np.unique(pixels, axis=0)) <= most:
        return np.unique(pixels, axis=0)
    found = initial(pixels[None].astype(np.float32) / 255, most, rng=0)[0]
    return np.unique(np.rint(255 * found).astype(np.uint8), axis=0)


def _looked(
    pixels: Pixels, corner: tuple[int, int], *, width: int, most: int, below: int, step: int
) -> _Hidden:
    """Return the hidden colours of a part."""
    none = np.empty((0, 3), np.uint8)
    if pixels.alpha is None:
        return _Hidden(none, np.empty(0, np.int64), none)
    rows, columns = np.nonzero(pixels.alpha < below)
    colors = _bytes(pixels.values[rows, columns])
    places = (rows + corner[0]) * width + columns + corner[1]
    some = places % step == 0
    all_of_them = np.unique(colors, axis=0)
    few = all_of_them if len(all_of_them) <= most else None
    if few is None and not some.any():
        some[0] = True
    return _Hidden(few, places[some], colors[some])


def _bytes(values: Array) -> ByteArray:
    """Return pixels, (N, 3) or (N,), as bytes of three channels."""
    values = values if values.ndim == 2 else np.repeat(values[:, None], 3, axis=1)
    return values if values.dtype == np.uint8 else np.rint(255 * values).astype(np.uint8)


def nearest(values: Array, colors: ByteArray) -> Array:
    """Return the nearest colour of each pixel.

    Parameters
    ----------
    values : array, shape (N, 3) or (N,)
        sRGB or grey values, uint8 or float in [0, 1].
    colors : array of uint8, shape (M, 3)
        The colours.

    Returns
    -------
    array of int64, shape (N,)
        The index of each pixel's.

    Examples
    --------
    >>> nearest(np.uint8([[7, 7, 7], [1, 0, 0]]), np.uint8([[0, 0, 0], [9, 9, 9]])).tolist()
    [1, 0]
    """
    pixels = _bytes(values).astype(np.float32)
    squares = np.square(colors.astype(np.float32)).sum(axis=1)
    return (squares - 2 * pixels @ colors.T.astype(np.float32)).argmin(axis=1)
