"""Which colours get an entry of their own where there are more than entries."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import encode, to_linear
from fastgrad.dithering.eye.gamut import Gamut

__all__ = ["nearest", "needed", "selected"]

FRONT = 16  # colours that are compared with mixtures at once
LEVELS = 4  # bits of a channel by which colours are taken together that have no claim of their own
SOME = 1 << 16  # distances that fit into a cache, and for which BLAS wakes no threads
ALIKE = 0.2  # weight of the distance to the nearest entry, where that to their mixtures has 1


def nearest(rgb: Array, palette: Array) -> tuple[Array, FloatArray]:
    """Return the entry nearest to each colour, and the squared distance.

    Parameters
    ----------
    rgb : array of uint8, or other whole numbers, shape (N, 3)
        The colours.
    palette : array of the same, shape (K, 3)
        The entries.

    Returns
    -------
    index : array of int16, shape (N,)
        The entries' numbers.
    squares : array of float64, shape (N,)
        The squared distances.

    Examples
    --------
    >>> nearest(np.uint8([[9, 9, 9]]), np.uint8([[0, 0, 0], [9, 9, 8]]))[0].tolist()
    [1]
    """
    index, squares = np.empty(len(rgb), np.int16), np.empty(len(rgb))
    entries = palette.astype(np.float32).T
    own = np.square(entries).sum(axis=0)
    rows = max(1, SOME // len(palette))
    for first in range(0, len(rgb), rows):
        part = slice(first, first + rows)
        colours = rgb[part].astype(np.float32)
        # Whole numbers below 2^24, so that they are exact.
        distance = colours @ entries
        distance *= -2
        distance += own
        found = distance.argmin(axis=1)
        index[part], squares[part] = found, np.square(colours).sum(axis=1)
        squares[part] += np.take_along_axis(distance, found[:, None], axis=1)[:, 0]
    return index, squares


def needed(rgb: ByteArray, sizes: Array, others: ByteArray, kept: ByteArray, most: int) -> Array:
    """Return which colours have more need of an entry than the rest of their picture.

    One after the other that colour gets an entry whose pixels have the largest sum of squared
    errors without it. The rest competes in boxes, for it may have as many colours as pixels.

    Parameters
    ----------
    rgb : array of uint8, shape (N, 3)
        Different colours.
    sizes : array of int, shape (N,)
        The pixels of each.
    others : array of uint8, shape (M, 3)
        The colours of all other pixels.
    kept : array of uint8, shape (L, 3)
        Colours that there are already.
    most : int
        The number of entries.

    Returns
    -------
    array of bool, shape (N,)
        True for those that get one.

    Examples
    --------
    >>> greys = np.uint8([250, 252, 20]).repeat(3).reshape(3, 3)
    >>> text, sizes = np.uint8([[90, 90, 90]] * 40), np.array([400, 60, 90])
    >>> needed(greys, sizes, text, greys[:0], 3).tolist()
    [True, False, True]
    >>> needed(greys, sizes, text, greys[:0], 4).tolist()
    [True, True, True]
    """
    means, counts = _boxes(others)
    colours, pixels = np.concatenate([rgb, means]), np.concatenate([sizes, counts])
    apart = np.square(colours - pixels @ colours / max(1, pixels.sum())).sum(axis=1)
    taken = np.zeros(len(colours), bool)
    for i in range(most if taken.size else 0):
        if i < len(kept):
            colour = kept[i].astype(np.float64)
        else:
            best = int((pixels * apart).argmax())
            if pixels[best] * apart[best] <= 0:
                break
            taken[best], colour = True, colours[best]
        distance = np.square(colours - colour).sum(axis=1)
        apart = distance if i == 0 else np.minimum(apart, distance)
    return taken[: len(rgb)]


def _boxes(rgb: ByteArray) -> tuple[FloatArray, Array]:
    """Return the means of the colours in each box of all colours, and how many there are."""
    places = np.zeros(len(rgb), np.int64)
    for channel in rgb.T:
        places = (places << LEVELS) | (channel >> (8 - LEVELS))
    counts = np.bincount(places)
    there = np.flatnonzero(counts)
    sums = [np.bincount(places, channel)[there] for channel in rgb.T]
    return np.stack(sums, axis=-1) / counts[there, None], counts[there]


def selected(rgb: ByteArray, sizes: Array, kept: ByteArray, most: int) -> ByteArray:
    """Select the colours that the others can do least without.

    One after the other that colour is taken whose field is large and whose colour is far from all
    mixtures of those taken before, for it could not be dithered either; and, less so, one that is
    unlike each of them, for its mixture would have much grain.

    Parameters
    ----------
    rgb : array of uint8, shape (N, 3)
        Different colours.
    sizes : array of int, shape (N,)
        The pixels of each.
    kept : array of uint8, shape (L, 3)
        Colours that there are already.
    most : int
        The greatest number of colours to select.

    Returns
    -------
    array of uint8, shape (min(N, most), 3)
        The colours: all of them by size, if they are not more.

    Examples
    --------
    >>> greys = np.uint8([0, 60, 70, 255]).repeat(3).reshape(4, 3)
    >>> selected(greys, np.array([50, 60, 90, 50]), np.empty((0, 3), np.uint8), 3)[:, 0].tolist()
    [255, 0, 70]
    """
    if len(rgb) <= most:
        return rgb[np.argsort(-sizes, kind="stable")]
    race = _Race(rgb, sizes, kept)
    while len(race.chosen) < most:
        race.choose()
    return rgb[race.chosen]


class _Race:
    """Colours that compete for entries, and how far they are from those that have one.

    Distances only shrink as entries are added. So what was found earlier is a bound, and distances
    to mixtures are found again for those few colours that could be the next.
    """

    def __init__(self, rgb: ByteArray, sizes: Array, kept: ByteArray) -> None:
        self.rgb, self.wide, self.sizes = rgb, rgb.astype(np.float64), sizes
        self.palette, self.chosen = kept, list[int]()
        if len(kept):
            self.apart = nearest(rgb, kept)[1]  # squared distance to the nearest entry
        else:
            self.apart = np.square(self.wide - self.wide.mean(axis=0)).sum(axis=1)
        self.beyond = self.apart.copy()  # that to the nearest mixture of entries, or a bound
        self.known = np.full(len(rgb), not len(kept))
        self.gamut: Gamut | None = Gamut(kept) if len(kept) > 1 else None

    def choose(self) -> None:
        """Give the colour that needs it most an entry."""
        while True:
            score = self.sizes * (self.beyond + ALIKE * self.apart)
            score[self.chosen] = -1
            best = int(score.argmax())
            if self.known[best] or self.gamut is None:
                break
            front = np.argpartition(-score, min(FRONT, len(score) - 1))[:FRONT]
            self.ask(front[~self.known[front]])
        first = not len(self.palette)
        within = self.beyond[best] == 0 and self.gamut is not None
        self.chosen.append(best)
        self.palette = np.concatenate([self.palette, self.rgb[best : best + 1]])
        distance = np.square(self.wide - self.wide[best]).sum(axis=1)
        self.apart = distance if first else np.minimum(self.apart, distance)
        self.beyond = self.apart.copy() if first else np.minimum(self.beyond, self.apart)
        if not within:  # the mixtures are more than they were
            self.known = self.beyond == 0
            self.gamut = Gamut(self.palette) if len(self.palette) > 1 else None

    def ask(self, which: Array) -> None:
        """Find how far some colours are from all mixtures."""
        assert self.gamut is not None
        mixed = 255 * encode(self.gamut.nearest(to_linear(self.rgb[which]).astype(np.float64)))
        found = np.square(self.wide[which] - mixed).sum(axis=1)
        found[found < 1] = 0
        self.beyond[which] = np.minimum(found, self.beyond[which])
        self.known[which] = True
