"""Entries of a palette that no pixel needs, and the colours that need one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray, FloatArray

__all__ = ["refilled", "spare", "successors", "uses"]

FEW = 16  # colours up to which comparing with each is sooner than counting all at once
CANDIDATES = 1 << 15  # colours of a picture, at most, that ask for an entry


def uses(indices: ByteArray, colors: int) -> npt.NDArray[np.int64]:
    """Return how many pixels have each of so many colours.

    Examples
    --------
    >>> uses(np.uint8([[0, 2], [2, 2]]), 3)
    array([1, 0, 3])
    """
    if colors <= FEW:
        return np.array([np.count_nonzero(indices == k) for k in range(colors)], np.int64)
    return np.bincount(indices.ravel(), minlength=colors)


def spare(
    palette: ByteArray, uses: Array, kept: int = 0, *, most: int = 0
) -> npt.NDArray[np.bool_]:
    """Return which entries of a palette nothing needs.

    Parameters
    ----------
    palette : array of uint8, shape (K, 3)
        The colours.
    uses : array of integers, shape (K,)
        How many pixels have each.
    kept : int, optional
        Number of colours at the beginning that are needed in any case.
    most : int, optional
        The greatest difference, in each channel, at which two entries say the same.

    Returns
    -------
    array of bool, shape (K,)
        True for an entry that no pixel has, or that says the same as one which more pixels have.

    Examples
    --------
    >>> spare(np.uint8([[9, 9, 9], [9, 9, 9], [0, 0, 0]]), np.array([3, 5, 0])).tolist()
    [True, False, True]
    """
    needed = uses > 0
    needed[:kept] = True
    out = ~needed
    alike = np.ones((len(palette), len(palette)), bool)
    for x in palette.astype(np.int16).T:
        alike &= np.abs(x[:, None] - x) <= most
    several = alike.sum(axis=1) > 1
    order = np.lexsort((-uses, np.arange(len(palette)) >= kept))
    taken = np.zeros(len(palette), bool)
    for k in order:
        if not needed[k]:
            continue
        out[k] = k >= kept and several[k] and (taken & alike[k]).any()
        taken[k] = not out[k]
    return out


def refilled(
    palette: ByteArray, places: npt.NDArray[np.bool_], rgb: ByteArray, counts: Array
) -> ByteArray:
    """Give entries of a palette to the colours with the largest errors.

    Parameters
    ----------
    palette : array of uint8, shape (K, 3)
        The colours.
    places : array of bool, shape (K,)
        Which of them to replace.
    rgb : array of uint8, shape (N, 3)
        Different colours, from which the new ones are taken.
    counts : array of integers, shape (N,)
        How many pixels have each.

    Returns
    -------
    array of uint8, shape (K, 3)
        The palette, in which one colour after the other has the largest sum of squared errors. An
        entry stays as it is where no colour is left with any.

    Examples
    --------
    >>> palette, places = np.uint8([[0, 0, 0], [0, 0, 0]]), np.array([False, True])
    >>> refilled(palette, places, np.uint8([[5, 5, 5], [9, 9, 9]]), np.array([9, 1])).tolist()
    [[0, 0, 0], [5, 5, 5]]
    """
    palette = palette.copy()
    if not places.any():
        return palette
    step = max(1, -(-len(rgb) // CANDIDATES))
    rgb, counts = rgb[::step], counts[::step]
    planes = np.ascontiguousarray(rgb.T, np.float32)
    distance = np.full(len(rgb), np.inf, np.float32)
    for colour in palette[~places]:
        np.minimum(distance, _squares(planes, colour), out=distance)
    for k in np.flatnonzero(places):
        if not len(rgb):
            break
        score = np.minimum(distance, 3 * 255.0**2) * counts
        best = int(score.argmax())
        if score[best] <= 0:
            break
        palette[k] = rgb[best]
        np.minimum(distance, _squares(planes, palette[k]), out=distance)
    return palette


def _squares(planes: FloatArray, colour: ByteArray) -> FloatArray:
    """Return squared distances to a colour: whole numbers, so that they are exact."""
    red, green, blue = planes - colour.astype(np.float32)[:, None]
    total: FloatArray = red * red
    total += np.square(green, out=green)
    total += np.square(blue, out=blue)
    return total


def successors(before: ByteArray, after: ByteArray) -> ByteArray:
    """Return which entry stands in for each when some of a palette get other colours.

    Parameters
    ----------
    before, after : array of uint8, shape (K, 3)
        The palette as it was, and as it is.

    Returns
    -------
    array of uint8, shape (K,)
        The entry itself where its colour stays; else the one of those that is nearest to what it
        was, which is its copy if it had one.

    Examples
    --------
    >>> before = np.uint8([[0, 0, 0], [9, 9, 9], [9, 9, 9]])
    >>> successors(before, np.uint8([[0, 0, 0], [9, 9, 9], [200, 0, 0]])).tolist()
    [0, 1, 1]
    """
    table = np.arange(len(before), dtype=np.uint8)
    changed = (before != after).any(axis=1)
    kept = np.flatnonzero(~changed)
    if kept.size:
        gaps = before[changed, None].astype(np.int64) - before[kept]
        table[changed] = kept[np.square(gaps).sum(axis=-1).argmin(axis=1)]
    return table
