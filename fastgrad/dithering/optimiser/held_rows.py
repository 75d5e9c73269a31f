"""Rows of planes, of which new ones come and old ones go."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array

__all__ = ["HeldRows"]


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
