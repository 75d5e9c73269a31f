"""What a palette reaches: mixtures of its colours in linear light, and the nearest one by eye."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.dithering.eye.colour import SPACES, TO_CONES, TO_OKLAB, to_linear

__all__ = ["BEYOND", "Gamut", "paler"]

SAMPLES = 1200  # of the surface, about; they are only where the search for the nearest begins
DIRECTIONS = 200  # in which a large palette's outermost colours are looked for
LEAN = 1e-4  # in linear light: what is nearer than that to a plane lies in it
CHROMA, HUE = 0.5, 1.5  # weights of differences in chroma and hue, where those of lightness have 1
NEUTRAL = 0.03  # Oklab chroma at which a colour has half a hue
STEPS = 3  # of Gauss and Newton from the nearest sample
BEYOND = 1e-3  # of sRGB, in linear light: a colour that was lightened may be
AT_ONCE = 2048  # colours that are compared with all samples


class Gamut:
    """The colours that mixtures of a palette's colours have: their convex hull in linear light.

    Parameters
    ----------
    palette : array_like of uint8, shape (K, 3)
        The colours in sRGB.

    Attributes
    ----------
    corners : array, shape (F, 3, 3)
        The triangles of the hull's surface in linear light, three corners each; of a palette in one
        plane or on one line, triangles that cover it.

    Examples
    --------
    Black, white and red make greys, pinks and dark reds, but nothing blue:

    >>> import numpy as np
    >>> gamut = Gamut(np.uint8([[0, 0, 0], [255, 255, 255], [255, 0, 0]]))
    >>> gamut.nearest(np.array([[0.5, 0.5, 0.5], [0.5, 0.5, 1.0]])).round(1).tolist()
    [[0.5, 0.5, 0.5], [0.5, 0.5, 0.5]]
    """

    corners: FloatArray

    def __init__(self, palette: ArrayLike) -> None:
        points = _outermost(to_linear(palette).astype(np.float64))
        self.corners, self._planes = _surface(points)
        self._weights = _spread(max(4, int((2 * SAMPLES / len(self.corners)) ** 0.5)))
        samples = np.einsum("sc,fcx->fsx", self._weights, self.corners).reshape(-1, 3)
        self._samples = SPACES["oklab"].into(samples)

    def inside(self, linear: FloatArray) -> npt.NDArray[np.bool_]:
        """Return which colours are mixtures: none, where the hull has no volume.

        Parameters
        ----------
        linear : array, shape (..., 3)
            Colours in linear light.

        Returns
        -------
        array of bool, shape (...)
            True where a colour is in the hull.
        """
        if self._planes is None:
            return np.zeros(linear.shape[:-1], bool)
        return (linear @ self._planes[:, :3].T <= self._planes[:, 3] + 1e-9).all(axis=-1)

    def nearest(self, linear: FloatArray) -> FloatArray:
        """Return the mixtures that look most like given colours.

        The difference is that of Oklab, with half the weight for chroma and more for hue: a colour
        beyond the hull gets paler rather than another one.

        Parameters
        ----------
        linear : array, shape (N, 3)
            Colours in linear light.

        Returns
        -------
        array of float64, shape (N, 3)
            Mixtures in linear light; a colour that is one stays.
        """
        made = np.array(linear, np.float64)
        outside = np.flatnonzero(~self.inside(made))
        for first in range(0, len(outside), AT_ONCE):
            part = outside[first : first + AT_ONCE]
            made[part] = self._projected(made[part])
        return made

    def _projected(self, linear: Array) -> Array:
        """Return the nearest colours of the surface."""
        target = SPACES["oklab"].into(linear)
        metric = _metric(target)
        found, least = np.array(linear), np.full(len(linear), np.inf)
        for face, sample in self._begun(target, metric):
            mixed, value = self._descended(target, metric, self.corners[face], sample)
            better = value < least
            found[better], least[better] = mixed[better], value[better]
        return found

    def _begun(self, target: Array, metric: Array) -> Iterator[tuple[Array, Array]]:
        """Yield a triangle for each colour, and a place in it: of the nearest two, one a time."""
        count, sizes = len(target), (len(self.corners), len(self._weights))
        distance = _distances(self._samples, target, metric).reshape(count, *sizes)
        nearest, rows = distance.argmin(axis=2), np.arange(count)
        near = np.take_along_axis(distance, nearest[..., None], axis=2)[..., 0]
        for face in near.argsort(axis=1, kind="stable")[:, :2].T:
            yield face, nearest[rows, face]

    def _descended(
        self, target: Array, metric: Array, corners: Array, sample: Array
    ) -> tuple[Array, Array]:
        """Return the nearest colours of triangles, one for each colour, and squared distances."""
        weights = self._weights[sample]
        root, edges = corners[:, 0], (corners[:, 1:] - corners[:, :1]).swapaxes(1, 2)
        place = weights[:, 1:].copy()
        found, least = _mixed(root, edges, place), np.full(len(target), np.inf)
        for step in range(STEPS + 1):
            mixed = _mixed(root, edges, place)
            lab, slope = _oklab(mixed)
            off = np.einsum("nij,nj->ni", metric, lab - target)
            value = np.square(off).sum(axis=1)
            better = value < least
            found[better], least[better] = mixed[better], value[better]
            if step < STEPS:
                place = _in_triangle(place - _solved(metric @ slope @ edges, off))
        return found, least


def paler(lab: FloatArray) -> FloatArray:
    """Return colours with so much less chroma that they are in sRGB.

    Parameters
    ----------
    lab : array, shape (N, 3)
        Colours in Oklab.

    Returns
    -------
    array of float64, shape (N, 3)
        Colours in linear light.

    Examples
    --------
    >>> import numpy as np
    >>> paler(np.array([[0.5, 0.0, 0.1]])).round(2).tolist()
    [[0.19, 0.12, 0.0]]
    """
    low, high = np.zeros(len(lab)), np.ones(len(lab))
    for _ in range(8):
        middle = (low + high) / 2
        linear = SPACES["oklab"].back(lab * np.column_stack([np.ones_like(low), middle, middle]))
        inside = ((linear >= -BEYOND) & (linear <= 1 + BEYOND)).all(axis=-1)
        np.copyto(low, middle, where=inside)
        np.copyto(high, middle, where=~inside)
    return SPACES["oklab"].back(lab * np.column_stack([np.ones_like(low), low, low]))


def _outermost(points: Array) -> Array:
    """Return the corners of the hull among colours, at least three of them, which may be alike."""
    points = np.unique(points, axis=0)
    if len(points) > 16:
        turn = np.arange(DIRECTIONS) + 0.5
        height = 1 - 2 * turn / DIRECTIONS
        around = np.pi * (1 + 5**0.5) * turn
        level = np.sqrt(1 - height**2)
        ways = np.stack([level * np.cos(around), level * np.sin(around), height], axis=1)
        points = points[np.unique((points @ ways.T).argmax(axis=0))]
    while len(points) < 3:
        points = np.concatenate([points, points[-1:]])
    return points


def _surface(points: Array) -> tuple[Array, Array | None]:
    """Return the triangles of the hull, the darkest corner first, and their planes, if any."""
    chosen = np.array(list(combinations(range(len(points)), 3)))
    corners = points[chosen]
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    size = np.linalg.norm(normal, axis=1)
    wide = size > LEAN**1.5
    planes = None
    if wide.any():
        corners, normal = corners[wide], normal[wide] / size[wide, None]
        reach = np.einsum("fx,fx->f", normal, corners[:, 0])
        beyond = normal @ points.T - reach[:, None]
        above, below = beyond.max(axis=1) > LEAN, beyond.min(axis=1) < -LEAN
        corners = corners[~(above & below)]
        if (above | below).any():
            sign = np.where(above, -1.0, 1.0)[:, None]
            planes = (sign * np.column_stack([normal, reach]))[~(above & below)]
    else:  # all on one line: its ends are enough
        ends = points[[points.sum(axis=1).argmin(), points.sum(axis=1).argmax()]]
        corners = ends[[[0, 1, 1]]]
    order = corners.sum(axis=2).argsort(axis=1, kind="stable")
    return np.take_along_axis(corners, order[..., None], axis=1), planes


def _spread(count: int) -> Array:
    """Return weights of a triangle's corners, (S, 3), closer where the first one has most."""
    steps = np.linspace(0, 1, count) ** 3
    rows = []
    for i, away in enumerate(steps):
        along = np.linspace(0, 1, i + 1)
        rows.append(np.stack([np.full(i + 1, 1 - away), away * (1 - along), away * along], axis=1))
    return np.concatenate(rows)


def _metric(target: Array) -> Array:
    """Return the factors, (N, 3, 3), of differences in Oklab from colours, (N, 3)."""
    chroma = np.hypot(target[:, 1], target[:, 2])
    along = target[:, 1:] / np.maximum(chroma, 1e-9)[:, None]
    hue = CHROMA + (HUE - CHROMA) * chroma / (chroma + NEUTRAL)
    metric = np.zeros((len(target), 3, 3))
    metric[:, 0, 0] = 1
    metric[:, 1, 1:] = CHROMA * along
    metric[:, 2, 1:] = hue[:, None] * along[:, ::-1] * [-1, 1]
    return metric


def _distances(samples: Array, target: Array, metric: Array) -> Array:
    """Return squared distances of colours from samples, (N, S), less a constant of each colour."""
    square = metric.swapaxes(1, 2) @ metric
    pull = -2 * np.einsum("nij,nj->ni", square, target)
    first, second = np.triu_indices(3)
    twice = np.where(first == second, 1, 2)
    terms = np.concatenate([samples[:, first] * samples[:, second], samples], axis=1)
    factors = np.concatenate([twice * square[:, first, second], pull], axis=1)
    return factors.astype(np.float32) @ terms.T.astype(np.float32)


def _oklab(linear: Array) -> tuple[Array, Array]:
    """Return colours in Oklab, and the derivatives by linear light, (N, 3, 3)."""
    root = np.cbrt(np.maximum(linear @ TO_CONES.T, 1e-9))
    slope = TO_OKLAB * (1 / (3 * root**2))[:, None]
    return root @ TO_OKLAB.T, slope @ TO_CONES


def _mixed(root: Array, edges: Array, place: Array) -> Array:
    """Return the mixtures at places in triangles, (N, 2)."""
    return root + np.einsum("nxe,ne->nx", edges, place)


def _solved(slope: Array, off: Array) -> Array:
    """Return the least-squares solution of ``slope @ step = off``, two unknowns each."""
    normal = slope.swapaxes(1, 2) @ slope
    right = np.einsum("nie,ni->ne", slope, off)
    ridge = 1e-6 * np.trace(normal, axis1=1, axis2=2) + 1e-12
    a, b, d = normal[:, 0, 0] + ridge, normal[:, 0, 1], normal[:, 1, 1] + ridge
    x, y = right.T
    return np.stack([d * x - b * y, a * y - b * x], axis=1) / (a * d - b * b)[:, None]


def _in_triangle(place: Array) -> Array:
    """Return places brought into the triangle: none negative, their sum at most 1."""
    place = np.maximum(place, 0)
    over = np.maximum(place.sum(axis=1, keepdims=True) - 1, 0) / 2
    place = np.maximum(place - over, 0)
    return place / np.maximum(place.sum(axis=1, keepdims=True), 1)
