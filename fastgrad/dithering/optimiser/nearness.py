"""Entries that are near a pixel, in opacity above all: blurred errors do not mind, but eyes do."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, ByteArray, FloatArray

__all__ = ["SAMPLE", "brought_near", "limit", "nearest", "some"]

SAMPLE = 1 << 16  # pixels, approximately
MOST, EVEN, POWER = 0.65, 1.45, -0.6  # of all opacity a pixel's may be off MOST or EVEN K^POWER
SLOW = 1 / 16  # of all opacity: a step from a pixel to the next that is no edge
GRAIN = 0.5  # how much further off than from the nearest entry, where there are only such steps
SPARE, ROOT = 0.97, 0.25  # SPARE K^ROOT times as far as the degree that is farthest from an entry
SLIGHT = 1 / 20  # of all opacity: to be off by less is no matter
AT_ONCE = 4096  # pixels
BEYOND = np.float32(1e6)  # what it costs to be beyond the limit, beside squared errors


def limit(planes: FloatArray, palette: FloatArray, full: float | np.floating) -> float:
    """Return how far a pixel's opacity may be off, in the space of the loss.

    That is no further than the opacity of any pixel is from its nearest entry, nor than a share of
    all opacity that falls with the number of entries. Where opacity changes slowly, grain between
    degrees is better than steps, and it may be more than from the nearest entry, by half. Nor is it
    much further than any pixel must be off: with few entries what is won by grain is little, with
    many the nearest in colour often has not the nearest opacity.

    Parameters
    ----------
    planes : array of float32, shape (channels, height, width)
        The picture; the last channel is its opacity.
    palette : array of float32, shape (K, channels)
        The entries.
    full : float
        The greatest opacity, in that space.

    Returns
    -------
    float
        The limit, for `brought_near`.

    Examples
    --------
    >>> degrees = np.float32([0, 0.6, 1, 0.2, 0])[None, None]
    >>> round(limit(degrees, np.float32([[0.0], [1.0]]), 1.0), 2)
    0.4
    """
    seen = planes[-1]
    few = some(planes.reshape(len(planes), -1).T)
    off = np.abs(few[..., -1] - palette[nearest(few, palette), -1]).max()
    steps = np.zeros(seen.shape, np.float32)
    steps[:, 1:] = np.abs(np.diff(seen, axis=1))
    steps[1:] = np.maximum(steps[1:], np.abs(np.diff(seen, axis=0)))
    steps = steps[(seen > 0) & (seen < full)]
    slow = np.count_nonzero(steps < SLOW * full) / max(1, steps.size)
    degrees = np.flatnonzero(np.bincount(np.rint(seen.ravel() * (255 / full)).astype(np.intp)))
    apart = np.abs(degrees[:, None] / 255 - palette[:, -1] / full).min(axis=1)
    colors = len(palette)
    must = SPARE * colors**ROOT * float(apart.max())
    most = min(MOST, EVEN * colors**POWER, max(SLIGHT, must))
    return float(min(full * most, off * (1 + GRAIN * slow)))


def nearest(image: FloatArray, palette: FloatArray) -> ByteArray:
    """Return the nearest entry of each pixel, (height, width), of a picture with channels last.

    Examples
    --------
    >>> nearest(np.float32([[[0.2], [0.9]]]), np.float32([[0.0], [1.0]]))
    array([[0, 1]], dtype=uint8)
    """
    pixels = image.reshape(-1, image.shape[-1])
    indices = np.empty(len(pixels), np.uint8)
    squares = np.square(palette).sum(axis=1)
    for first in range(0, len(pixels), 1 << 14):
        part = pixels[first : first + (1 << 14)]
        indices[first : first + len(part)] = (squares - 2 * part @ palette.T).argmin(axis=1)
    return indices.reshape(image.shape[:2])


def some(pixels: Array) -> Array:
    """Return some of many pixels, (n, channels), as a picture of one row.

    Examples
    --------
    >>> some(np.zeros((1 << 18, 4))).shape
    (1, 52429, 4)
    """
    return pixels[:: 1 + len(pixels) // SAMPLE][None]


def brought_near(
    labels: ByteArray, planes: FloatArray, palette: FloatArray, most: float, seen: Array
) -> None:
    """Let no pixel's opacity be further off than a limit, in place, or by as little as can be.

    Parameters
    ----------
    labels : array of uint8, shape (height, width)
        The palette index of each pixel.
    planes : array of float32, shape (channels, height, width)
        The picture in the space of the loss; the last channel is its opacity.
    palette : array of float32, shape (K, channels)
        The entries.
    most : float
        The limit, in that space.
    seen : array of bool, shape (height, width)
        The pixels that count. Others may have any label.

    Examples
    --------
    >>> labels, palette = np.uint8([[0, 1, 1]]), np.float32([[0.0], [0.5], [1.0]])
    >>> planes = np.float32([[[0.7, 0.6, 1.0]]])
    >>> brought_near(labels, planes, palette, 0.4, planes[0] < 1)
    >>> labels
    array([[1, 1, 1]], dtype=uint8)
    """
    entries = np.zeros(256, palette.dtype)
    entries[: len(palette)] = palette[:, -1]
    rows, columns = np.nonzero(seen & (np.abs(planes[-1] - entries[labels]) > most))
    for first in range(0, len(rows), AT_ONCE):
        here = rows[first : first + AT_ONCE], columns[first : first + AT_ONCE]
        off = planes[:, here[0], here[1]].T[:, None] - palette
        beyond = np.maximum(np.abs(off[..., -1]) - np.float32(most), 0)
        labels[here] = np.argmin(np.square(off).sum(axis=2) + BEYOND * beyond, axis=1)
