"""K-means of a picture's different colours, of which each counts as often as it is there.

Where pixels share few colours, seeds need no chance: one after the other that colour gets an entry
whose pixels have the largest sum of squared errors without it. Large fields then have their very
colours, and what is left of the entries goes where steps would be seen.
"""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import SPACES, SpaceName, to_linear, to_srgb
from fastgrad.dithering.optimiser.selection import nearest
from fastgrad.dithering.optimiser.spare import refilled, spare

__all__ = ["clusters"]

SCALE = 4 * 255  # of coordinates in whole numbers, of which sums of squares are below 2^24
ROUNDS = 12  # of k-means, at most


def clusters(
    rgb: ByteArray, counts: Array, colors: int, space: SpaceName
) -> tuple[ByteArray, Array]:
    """Cluster different colours.

    Parameters
    ----------
    rgb : array of uint8, shape (N, 3)
        Different colours.
    counts : array of int, shape (N,)
        How many pixels have each.
    colors : int
        Number of entries K.
    space : {"srgb", "screen"}
        The colour space in which distances are measured.

    Returns
    -------
    palette : array of uint8, shape (K, 3)
        The entries; if there are fewer colours, the first of them again in the places of the rest.
    places : array of int16, shape (N,)
        Which of them is nearest to each colour.

    Examples
    --------
    >>> rgb = np.uint8([0, 1, 90, 91, 255]).repeat(3).reshape(5, 3)
    >>> palette, places = clusters(rgb, np.array([99, 1, 7, 7, 50]), 3, "srgb")
    >>> palette[:, 0].tolist(), places.tolist()
    ([255, 0, 91], [1, 1, 2, 2, 0])
    """
    seen = _seen(rgb, space)
    points = np.rint(SCALE * seen)
    means = seen[_seeds(points, counts, colors)]
    entries, places = np.rint(SCALE * means), None
    for _ in range(ROUNDS):
        before, places = places, nearest(points, entries)[0]
        if before is not None and (places == before).all():
            break
        total = np.maximum(np.bincount(places, counts, len(entries)), 1)
        sums = [np.bincount(places, counts * x, len(entries)) for x in seen.T]
        means = np.stack(sums, axis=1) / total[:, None]
        entries = np.rint(SCALE * means)
    shown = to_srgb(SPACES[space].back(means))
    palette = np.concatenate([shown, np.repeat(shown[:1], colors - len(shown), axis=0)])
    places = _nearest(points, palette, space)
    uses = np.bincount(places, counts, colors)
    if (idle := spare(palette, uses)).any():
        palette = refilled(palette, idle, rgb, counts)
        places = _nearest(points, palette, space)
    return palette, places


def _nearest(points: FloatArray, palette: ByteArray, space: SpaceName) -> Array:
    """Return the entries nearest to some colours."""
    return nearest(points, np.rint(SCALE * _seen(palette, space)))[0]


def _seen(rgb: ByteArray, space: SpaceName) -> FloatArray:
    """Return colours of bytes in a space."""
    return SPACES[space].into(to_linear(rgb).astype(np.float64))


def _seeds(points: FloatArray, counts: Array, colors: int) -> Array:
    """Return which colours are the first entries, no more than there are."""
    chosen = list[int]()
    apart = np.square(points - np.average(points, axis=0, weights=counts)).sum(axis=1)
    planes = np.ascontiguousarray(points.T)
    while len(chosen) < min(colors, len(points)):
        best = int((counts * apart).argmax())
        if chosen and apart[best] <= 0:
            break
        light, *others = planes - planes[:, best, None]
        distance = light * light
        for other in others:
            distance += other * other
        apart = np.minimum(apart, distance) if chosen else distance
        chosen.append(best)
    return np.array(chosen)
