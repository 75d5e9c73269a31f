"""A part of a large picture, on which its palette is learned."""

from __future__ import annotations

import copy

import numpy as np

from fastgrad.dithering.optimiser.loss import BlurredError

__all__ = ["tiled"]

TILE = 16  # rows and columns of the parts of a picture that stand for the whole


def tiled(loss: BlurredError, pixels: int) -> BlurredError:
    """Return the loss of a picture that is put together from tiles of a larger one.

    The tiles are spread evenly: their corners are multiples of two numbers that are badly
    approximated by fractions. Where some of them had no pixel of positive weight, all are laid
    around such pixels instead, each so many pixels after the one before.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture.
    pixels : int
        Number of pixels in all tiles, approximately. The loss of a picture with no more than twice
        as many is returned as it is.

    Returns
    -------
    BlurredError
        The loss of a picture of as many columns as rows, nearly.

    Examples
    --------
    >>> import numpy as np
    >>> tiled(BlurredError(np.zeros((300, 500, 3))), 1 << 14).shape
    (128, 128)
    """
    height, width = loss.shape
    if height * width <= 2 * pixels:
        return loss
    rows, columns = min(TILE, height), min(TILE, width)
    across = max(1, round((pixels * rows / columns) ** 0.5) // columns)
    down = max(1, pixels // (across * columns * rows))
    tiles, room = down * across, np.array([height - rows, width - columns])
    place = np.outer(np.arange(tiles), [0.7548776662, 0.5698402910]) % 1
    cut = _tiles((place * (room + 1)).astype(np.int64), rows, columns)
    counted = np.flatnonzero(loss.weights)
    if counted.size and not all(loss.weights[place].any() for place in cut):
        chosen = counted[np.arange(tiles) * counted.size // tiles]
        middle = np.stack(np.unravel_index(chosen, loss.shape), axis=1)
        cut = _tiles(np.clip(middle - [rows // 2, columns // 2], 0, room), rows, columns)

    def put_together(planes):
        tiles = np.stack([planes[place] for place in cut]).reshape(down, across, -1, rows, columns)
        return tiles.transpose(2, 0, 3, 1, 4).reshape(-1, down * rows, across * columns)

    part = copy.copy(loss)
    part.__dict__.pop("pixels", None)  # which is counted once
    part.planes = np.ascontiguousarray(put_together(loss.planes))
    part.weights = np.ascontiguousarray(put_together(loss.weights)[0])
    return part


def _tiles(corners, rows, columns):
    """Return the tiles with these corners as indices of an array of pictures."""
    return [(..., slice(y, y + rows), slice(x, x + columns)) for y, x in corners]
