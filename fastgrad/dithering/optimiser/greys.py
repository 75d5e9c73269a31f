"""The best greys for a grey picture: clusters of numbers lie in a row, so the best are found.

K-means of 16 greys or more ends far from that, and neither annealing nor fits of the palette lead
out of there: some greys lie at every level, and others are missed by many.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array

__all__ = ["LEAST", "best_greys", "levels_of"]

LEAST = 16  # colours: fewer have to be where mixtures need them, not where levels are


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
    counts = counts[levels]
    places = np.arange(levels.size + 1)
    sums = [np.append(0.0, np.cumsum(counts * levels**power)) for power in range(3)]
    many, first, second = (x - x[:, None] for x in sums)  # of the levels from row to column
    rising = places > places[:, None]
    cost = np.where(rising, second - first * first / np.where(rising, many, 1.0), np.inf)
    np.fill_diagonal(cost, 0.0)  # of none of them
    least, begins = cost[0], []
    for _ in range(colors - 1):
        sums_of_two = least[:, None] + cost
        begins.append(sums_of_two.argmin(axis=0))
        least = np.take_along_axis(sums_of_two, begins[-1][None], axis=0)[0]
    found, end = [], levels.size
    for begin in [*begins[::-1], np.zeros_like(places)]:
        start = begin[end]
        if start < end:
            found.append(first[start, end] / many[start, end])
        end = start
    found = found[::-1]
    return np.array(found + found[:1] * (colors - len(found)))
