"""The best greys for a grey picture: they lie in a row, so the best of all choices is found.

Clustering, annealing and fits of a palette end far from it: many greys lie where others are, few of
them where the grain is seen, in the dark most of all.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided, sliding_window_view

from fastgrad._typing import Array
from fastgrad.dithering.eye import colour

__all__ = ["best_greys", "levels_of", "mixing_greys"]

GRAIN = 0.09  # share of the squared error of grain that is seen, beside `nu` of it,
PAIR = 0.5  # and half of that by two greys: more lies beyond them, which is lost
DARK = 0.004  # light that is added everywhere: without it the darkest tones would look far apart


def levels_of(image: Array, weights: Array | None = None) -> npt.NDArray[np.float64]:
    """Return how many pixels of a grey picture have each of 256 levels.

    Parameters
    ----------
    image : array of uint8, or of float in [0, 1]
        The values, any shape.
    weights : array of the same shape, optional
        What each pixel counts; by default 1. If all are 0, they do not count.

    Returns
    -------
    array, shape (256,)
        The counts.

    Examples
    --------
    >>> levels_of(np.uint8([[0, 255, 255]]))[[0, 1, 255]]
    array([1., 0., 2.])
    """
    levels = image if image.dtype == np.uint8 else np.rint(255 * image).astype(np.uint8)
    shares = None if weights is None or not weights.any() else weights.ravel()
    return np.bincount(levels.ravel(), shares, minlength=256).astype(np.float64)


def best_greys(counts: npt.NDArray[np.float64], colors: int) -> npt.NDArray[np.float64]:
    """Return the levels to which some others are nearest in the mean square.

    Parameters
    ----------
    counts : array, shape (N,)
        How often each level, 0 to N - 1, is there.
    colors : int
        Number of levels to find.

    Returns
    -------
    array, shape (colors,)
        The levels in rising order; the first is repeated at the end if there are fewer.

    References
    ----------
    W. D. Fisher, "On grouping for maximum homogeneity", Journal of the American Statistical
    Association 53(284), 1958.

    Examples
    --------
    >>> best_greys(np.array([2.0, 2.0, 0.0, 0.0, 4.0, 1.0, 0.0, 3.0]), 3)
    array([0.5, 4.2, 7. ])
    """
    levels = np.flatnonzero(counts)
    counts, many = counts[levels], min(colors, levels.size)
    sums = [np.append(0.0, np.cumsum(counts * levels**power)) for power in range(3)]
    share, first, second = (x[1:, None] - x[:-1] for x in sums)  # to the row, from the column on
    rising = np.tri(levels.size, dtype=bool)
    cost = np.where(rising, second - first * first / np.where(rising, share, 1.0), np.inf)
    last = np.where(np.arange(levels.size) == levels.size - 1, 0.0, np.inf)
    between = np.pad(cost[:, 1:], ((0, 0), (0, 1)), constant_values=np.inf)  # after the column
    ends = _least(between, cost[:, 0], last, many)
    begins = np.append(0, ends[:-1] + 1)
    found = first[ends, begins] / share[ends, begins]
    return np.append(found, found[:1].repeat(colors - many))


def mixing_greys(
    counts: npt.NDArray[np.float64], colors: int, *, nu: float = 0.0
) -> npt.NDArray[np.uint8]:
    """Return the greys of which a picture is mixed best.

    A level between two greys is mixed of both, in linear light, and little is seen of the grain: a
    share of its squared error (x - a) (b - x), and `nu` times all of it. Where no grain is left, as
    pixels have the nearer of both, that is half of it, if levels lie evenly. What is below the
    first or above the last has that, and is seen. All is measured in lightness, the cube root of
    light.

    Parameters
    ----------
    counts : array, shape (256,)
        How many pixels have each level.
    colors : int
        Number of greys to find.
    nu : float, optional
        Weight of the squared error without blur: the more, the nearer together are the greys.

    Returns
    -------
    array of uint8, shape (colors,)
        The levels in rising order; the first is repeated at the end if there are fewer.

    Examples
    --------
    >>> ramp = np.zeros(256)
    >>> ramp[50:201] = 1
    >>> mixing_greys(ramp, 3), mixing_greys(ramp, 3, nu=1e6)
    (array([ 62, 123, 187], dtype=uint8), array([ 74, 123, 174], dtype=uint8))
    """
    levels = np.flatnonzero(counts)
    many, first = min(colors, levels.size), int(levels[0])
    levels = np.arange(first, int(levels[-1]) + 1)
    grain = PAIR * GRAIN if many == 2 else GRAIN
    share = (grain + nu) / (1 + 2 * nu)
    between, below, above = _seen(levels, counts[levels] / counts.sum(), share)
    greys = levels[_least(between, below, above, many)].astype(np.uint8)
    return np.append(greys, greys[:1].repeat(colors - many))


def _seen(levels, counts, share):
    """Return what is seen between two greys, below the first and above the last.

    The first of these, float32 of shape (N, N), has the upper grey in its rows, and infinity where
    that is not above the other. Sums of counts up to a level make sums over any range differences.
    """
    light = colour.to_linear(levels.astype(np.uint8)).astype(np.float64)
    lightness = np.cbrt(light + DARK)
    below = [np.cumsum(counts * lightness**power) for power in range(3)]  # and of the level itself
    above = [x[-1] - x for x in below]
    ends = [x[2] - 2 * lightness * x[1] + lightness**2 * x[0] for x in (below, above)]

    weights = counts / (9 * lightness**4)  # squared slopes of lightness
    sums = [np.cumsum(weights * light**power) for power in range(3)]
    many, first, second = (x[:, None] - x for x in sums)  # the upper one adds nothing itself
    lower, upper = light, light[:, None]
    between = (lower + upper) * first
    between -= second
    between -= lower * upper * many
    between *= share
    between[np.triu_indices(levels.size)] = np.inf
    return (x.astype(np.float32) for x in (between, *ends))


def _least(between, first, last, many):
    """Return so many rising places of least cost: of the first, of the last, and of neighbours.

    That of neighbours, of shape (N, N), has the upper place in its rows, and is infinite where it
    is not above the other. Two that alone cost more than all of some places are no neighbours.
    """
    count, some = len(first), _some(between, many)
    most = first[some[0]] + between[some[1:], some[:-1]].sum(dtype=np.float64) + last[some[-1]]
    most += abs(most) * 1e-3 + first[-1] * 1e-9  # more than sums are rounded by
    widest = int((np.arange(count) - (between <= most).argmax(axis=1)).max(initial=1))
    # Of each place in columns: the costs of those below it, from the furthest to the nearest.
    padded = np.pad(between, ((0, 0), (widest, 0)), constant_values=np.inf)
    row, column = padded.strides
    below = as_strided(padded, (widest, count), (column, row + column))
    sums = np.full((many, widest + count), np.inf, first.dtype)
    sums[0, widest:] = first
    windows = sliding_window_view(sums, count, axis=1)[:, :widest]
    for before, least in zip(windows, sums[1:, widest:]):
        np.min(below + before, axis=0, out=least)
    found = [int((sums[-1, widest:] + last).argmin())]
    for before in windows[-2::-1]:
        place = found[-1]
        found.append(place - widest + int((below[:, place] + before[:, place]).argmin()))
    return np.array(found[::-1])


def _some(between, many):
    """Return so many rising places, from the first to the last, whose neighbours cost alike."""
    count, turn = len(between), np.arange(many)
    steps = np.append(0.0, np.cbrt(np.diagonal(between, -1)))  # costs grow by the cube of a range
    steps[2:] += np.cbrt(np.diagonal(between, -2))
    sums = steps.cumsum() + np.linspace(0, 1e-3 * steps.sum(), count)  # each place adds something
    places = np.searchsorted(sums, np.linspace(0, sums[-1], many))
    places = np.maximum.accumulate(places - turn) + turn
    return np.clip(places, turn, turn + count - many)
