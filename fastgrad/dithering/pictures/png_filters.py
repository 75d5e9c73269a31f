"""Filters of PNG files: rows are written as differences from what their neighbours predict."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["AVERAGE", "NONE", "PAETH", "SUB", "UP", "each_alone", "filtered", "mixed"]

NONE, SUB, UP, AVERAGE, PAETH = range(5)
BLOCK = 1 << 20  # bytes of rows that are filtered at once
ROUNDS = 4  # in which filters are chosen by the frequencies of bytes so far
PRIOR = 0.5  # count of each byte before any is seen


def filtered(rows: bytes, height: int, kind: int) -> bytes:
    """Filter the rows of a picture, whose pixels take no more than a byte.

    Parameters
    ----------
    rows : bytes
        The rows as `png.pack` returns them.
    height : int
        Number of rows.
    kind : {1, 2, 3, 4}
        The number of the filter: sub, up, average or Paeth.

    Returns
    -------
    bytes
        As many, in which each row stands after the number of the filter.

    References
    ----------
    W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025, section 9.

    Examples
    --------
    >>> filtered(bytes([0, 5, 6, 8, 0, 5, 7, 9]), 2, SUB).hex(" ")
    '01 05 01 02 01 05 02 02'
    """
    values = np.frombuffer(rows, np.uint8).reshape(height, -1)
    out = np.empty_like(values)
    out[:, 0] = kind
    step = max(1, BLOCK // values.shape[1])
    for top in range(0, height, step):
        here = values[top : top + step].astype(np.int16)
        here[:, 0] = 0  # the bytes to the left of the first
        above = np.zeros_like(here)
        above[1:] = here[:-1]
        if top:
            above[0, 1:] = values[top - 1, 1:]
        here, left = here[:, 1:], here[:, :-1]
        above, corner = above[:, 1:], above[:, :-1]
        if kind == SUB:
            guess = left
        elif kind == UP:
            guess = above
        elif kind == AVERAGE:
            guess = (left + above) >> 1
        else:
            plane = left + above - corner
            to_left, to_above, to_corner = (abs(plane - x) for x in (left, above, corner))
            nearer = np.where(to_above <= to_corner, above, corner)
            guess = np.where((to_left <= to_above) & (to_left <= to_corner), left, nearer)
        out[top : top + step, 1:] = (here - guess) & 255
    return out.tobytes()


def each_alone(rows: bytes, height: int) -> list[bytes]:
    """Return the rows of a picture as they are, and then by each of the four filters.

    Parameters
    ----------
    rows, height
        As for `filtered`.

    Returns
    -------
    list of bytes
        In the order of the filters' numbers.

    Examples
    --------
    >>> [way.hex(" ") for way in each_alone(bytes([0, 5, 6]), 1)]
    ['00 05 06', '01 05 01', '02 05 06', '03 05 04', '04 05 01']
    """
    return [rows, *(filtered(rows, height, kind) for kind in (SUB, UP, AVERAGE, PAETH))]


def mixed(ways: Sequence[bytes], height: int) -> bytes:
    """Filter each row of a picture in the way that makes all of them together most regular.

    That is least entropy of the bytes: each row begins with the filter by which it has the least of
    its own, and then takes that by which it is shortest in a code for the bytes of all rows.

    Parameters
    ----------
    ways : sequence of bytes
        What `each_alone` returns.
    height : int
        Number of rows.

    Returns
    -------
    bytes
        As many, in which each row stands after the number of its filter.

    Examples
    --------
    >>> ramp = bytes([0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 9, 1, 9, 1])
    >>> mixed(each_alone(ramp, 3), 3)[::5].hex(" ")
    '01 01 00'
    """
    values = np.stack([np.frombuffer(way, np.uint8).reshape(height, -1) for way in ways])
    counts = np.stack([[np.bincount(row[1:], minlength=256) for row in way] for way in values])
    lengths = -(counts * np.log2(np.maximum(counts, 1))).sum(axis=2)
    each, chosen = np.arange(height), lengths.argmin(axis=0)
    for _ in range(ROUNDS):
        frequencies = counts[chosen, each].sum(axis=0) + PRIOR
        before, chosen = chosen, (counts @ -np.log2(frequencies / frequencies.sum())).argmin(axis=0)
        if (before == chosen).all():
            break
    return values[chosen, each].tobytes()
