"""Rows of planes, of which new ones come and old ones go."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray, FloatArray

__all__ = ["BlurredRows", "HeldRows", "Part", "Settled"]


class Part(NamedTuple):
    """Some rows of a picture.

    Attributes
    ----------
    planes : array of float32, shape (channels, rows, width)
        Their colours in the space of the loss.
    weights : array of float32, shape (rows, width)
        The weights of the pixels, 0 where they do not count.
    labels : array of int16, shape (rows, width), or None
        The index of each pixel that is pinned, negative elsewhere; None if none is.
    """

    planes: FloatArray
    weights: FloatArray
    labels: npt.NDArray[np.int16] | None = None


class Settled(NamedTuple):
    """Rows of a picture that do not change any more.

    Attributes
    ----------
    top : int
        The first of them.
    indices : array of uint8, shape (rows, width)
        The palette index of each pixel.
    sums : array of float64, shape (rows, 4)
        For each row the sum of loss, the same with a weight of 1 for all pixels that count, the sum
        of squared errors without blur, and the number of these pixels.
    """

    top: int
    indices: ByteArray
    sums: FloatArray


class HeldRows:
    """Rows of some planes, of which old ones are let go; any of them can be the first of an array.

    Such an array is in C order, as kernels want it: each plane of several has as many rows as there
    is room for, and those of the last ones are beyond the end.

    Parameters
    ----------
    planes, width : int
        Number of planes, and of columns.
    dtype : dtype_like
        The type of the numbers.
    base : int
        The first row.
    margin : int, optional
        Rows that stand above the first and below the last.
    fill : number, optional
        What new rows and the margin hold.

    Examples
    --------
    >>> held = HeldRows(1, 2, np.uint8, 10, fill=7)
    >>> held.extend(13, 10)
    >>> held.at(12)[0, 0].tolist()
    [7, 7]
    """

    def __init__(
        self,
        planes: int,
        width: int,
        dtype: npt.DTypeLike,
        base: int,
        *,
        margin: int = 0,
        fill: int = 0,
    ) -> None:
        self._planes, self._width, self._dtype = planes, width, dtype
        self._base, self._end, self._margin, self._fill = base, base, margin, fill
        self._room, self._flat = 0, np.empty(0, dtype)

    def at(self, row: int) -> Array:
        """Return an array, (planes, rows, width), that begins with the margin above a row."""
        start = (row - self._base) * self._width
        room = self._room - (row - self._base if self._planes == 1 else 0)
        whole = self._planes * room * self._width
        return self._flat[start : start + whole].reshape(self._planes, room, self._width)

    def extend(self, end: int, keep: int) -> None:
        """Make room for rows up to `end`; those before `keep` are not needed any more."""
        more = 2 * self._margin
        if end - self._base + more > self._room:
            keep = max(self._base, keep)
            rows = self._end - keep + more if self._room else 0
            old = self.at(keep)[:, :rows] if rows else None
            needed = end - keep + more
            if needed > self._room:
                self._room = needed + needed // 8
                planes = self._planes + (self._planes > 1)
                self._flat = np.empty(planes * self._room * self._width, self._dtype)
            self._base = keep
            now = self.at(keep)
            if old is not None:
                now[:, :rows] = old
            now[:, rows:] = self._fill
        self._end = end


class BlurredRows:
    """Planes whose rows come one after the other, blurred as far as is known: as if all at once.

    Parameters
    ----------
    blur : callable
        Returns planes, (planes, rows, width), blurred, as if there were zeros around them. What is
        further away than a radius has no part in a pixel.
    radius : int
        The radius in rows.
    planes, width : int
        Number of planes, and of columns.
    dtype : dtype_like
        The type of the numbers.
    begin, height : int
        The first row, and the one after the last.

    Attributes
    ----------
    given, end : int
        The ends of the rows that have come, and of those that are blurred.

    Examples
    --------
    >>> def blur(planes):
    ...     padded = np.pad(planes, [(0, 0), (1, 1), (0, 0)])
    ...     return padded[:, :-2] + planes + padded[:, 2:]
    >>> rows = BlurredRows(blur, 1, 1, 1, np.int64, 0, 4)
    >>> rows.add(np.ones((1, 3, 1), np.int64)).tolist(), rows.end
    ([[[2], [3]]], 2)
    >>> rows.add(np.ones((1, 1, 1), np.int64)).tolist(), rows.end
    ([[[3], [2]]], 4)
    """

    given: int
    end: int

    def __init__(
        self,
        blur: Callable[[Array], Array],
        radius: int,
        planes: int,
        width: int,
        dtype: npt.DTypeLike,
        begin: int,
        height: int,
    ) -> None:
        self._blur, self._radius, self._height = blur, radius, height
        self._last = np.zeros((planes, 0, width), dtype)
        self.given = self.end = begin

    def add(self, rows: Array) -> Array:
        """Take the next rows, and return those that are blurred since: from `end` on, as it was."""
        top, first = self.end, self.given - self._last.shape[1]
        joined = np.concatenate([self._last, rows], axis=1)
        self.given += rows.shape[1]
        known = self.given - (0 if self.given == self._height else self._radius)
        self.end = max(top, known)
        self._last = joined[:, max(0, joined.shape[1] - 2 * self._radius) :]
        if self.end == top:
            return joined[:, :0]
        return self._blur(joined)[:, top - first : self.end - first]
