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
    cut = (place * (room + 1)).astype(np.int64)
    some = 0 < np.count_nonzero(loss.weights) < height * width
    if some and not _each_counts(loss.weights, cut, rows, columns):
        counted = np.flatnonzero(loss.weights)
        chosen = counted[np.arange(tiles) * counted.size // tiles]
        middle = np.stack(np.unravel_index(chosen, loss.shape), axis=1)
        cut = np.clip(middle - [rows // 2, columns // 2], 0, room)

    below, beside = (np.arange(n) for n in (rows, columns))
    tops, lefts = cut.reshape(down, across, 2).transpose(2, 0, 1)
    lines = tops[:, None, :, None] + below[:, None, None]  # of each row and tile across
    places = lines * width + lefts[:, None, :, None] + beside
    places = places.reshape(down * rows, across * columns)

    part = copy.copy(loss)
    part.__dict__.pop("pixels", None)  # which is counted once
    part.planes = np.stack([plane.reshape(-1)[places] for plane in loss.planes])
    part.weights = loss.weights.reshape(-1)[places]
    return part


def _each_counts(weights, corners, rows, columns):
    """Return whether each of the tiles with these corners has a pixel of positive weight."""
    return all(weights[y : y + rows, x : x + columns].any() for y, x in corners)
