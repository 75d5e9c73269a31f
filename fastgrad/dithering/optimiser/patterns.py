"""Ordered and blue-noise dithering for any palette: each pixel by itself, so stable in animation.

A colour is a mixture of the corners of the simplex that it lies in, in the Delaunay triangulation
of the palette in linear light. A threshold for each place picks one of them, from dark to light.
"""

from __future__ import annotations

from functools import cache
from typing import Literal, TypeAlias

import numpy as np

from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import SPACES, to_linear

__all__ = ["PATTERNS", "Mixtures", "PatternName", "patterned", "thresholds"]

PatternName: TypeAlias = Literal["ordered", "blue-noise"]
PATTERNS: tuple[PatternName, ...] = ("ordered", "blue-noise")
BAYER, SIDE = 8, 64  # rows and columns of the two
SPREAD = 1.5  # standard deviation, in pixels, of what counts as near in void and cluster
SEED = 1
FLAT = 1e-4  # extent of a palette, as a share of its largest, that is none
WITHIN = 1e-9  # share by which colours are moved inwards, off the surface
AT_ONCE = 1024  # colours that are compared with the whole surface


@cache
def thresholds(name: PatternName) -> FloatArray:
    """Return the thresholds of a pattern, to be repeated in both directions.

    Parameters
    ----------
    name : {"ordered", "blue-noise"}
        Bayer's matrix of 8 x 8, or one of 64 x 64 by void and cluster, which takes a moment once.

    Returns
    -------
    array of float64, shape (n, n)
        Read-only; each of ``(i + 1/2) / n**2`` once.

    References
    ----------
    B. E. Bayer, "An optimum method for two-level rendition of continuous-tone pictures", IEEE ICC
    1973.

    R. A. Ulichney, "The void-and-cluster method for dither array generation", Proc. SPIE 1913,
    1993.

    Examples
    --------
    >>> (64 * thresholds("ordered")[:2, :2]).tolist()
    [[0.5, 32.5], [48.5, 16.5]]
    """
    ranks = _bayer(BAYER) if name == "ordered" else _void_and_cluster(SIDE)
    made = (ranks + 0.5) / ranks.size
    made.setflags(write=False)
    return made


def _bayer(side: int) -> Array:
    """Return the ranks of Bayer's matrix; its side is a power of 2."""
    ranks = np.zeros((1, 1), np.int64)
    while len(ranks) < side:
        ranks = np.block([[4 * ranks, 4 * ranks + 2], [4 * ranks + 3, 4 * ranks + 1]])
    return ranks


def _void_and_cluster(side: int) -> Array:
    """Return the ranks of a matrix of blue noise, by void and cluster on a torus."""
    away = np.minimum(np.arange(side), side - np.arange(side))
    bell = np.exp(-(np.square(away)[:, None] + np.square(away)) / (2 * SPREAD**2))
    bell = np.tile(bell, (2, 2))

    def around(place: int | np.intp) -> Array:  # the bell, laid around a place
        y, x = divmod(int(place), side)
        return bell[side - y : 2 * side - y, side - x : 2 * side - x]

    size = side * side
    on = np.zeros(size, bool)
    on[np.random.default_rng(SEED).permutation(size)[: size // 10]] = True
    energy = np.zeros((side, side))
    for place in np.flatnonzero(on):
        energy += around(place)
    flat = energy.reshape(-1)
    while True:  # the tightest cluster into the largest void, until it comes back
        cluster = np.where(on, flat, -np.inf).argmax()
        on[cluster] = False
        energy -= around(cluster)
        void = np.where(on, np.inf, flat).argmin()
        on[void] = True
        energy += around(void)
        if void == cluster:
            break
    ranks, first = np.empty(size, np.int64), on.copy()
    left = energy.copy()
    for rank in range(int(first.sum()) - 1, -1, -1):
        cluster = np.where(first, left.reshape(-1), -np.inf).argmax()
        first[cluster], ranks[cluster] = False, rank
        left -= around(cluster)
    for rank in range(int(on.sum()), size):
        void = np.where(on, np.inf, flat).argmin()
        on[void], ranks[void] = True, rank
        energy += around(void)
    return ranks.reshape(side, side)


class Mixtures:
    """Colours as mixtures of a few near ones of a palette.

    Parameters
    ----------
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.

    Examples
    --------
    >>> mixtures = Mixtures(np.uint8([[255, 255, 255], [0, 0, 0], [188, 188, 188]]))
    >>> inks, shares = mixtures.of(np.array([[0.25, 0.25, 0.25]]))
    >>> inks.tolist(), shares.round(2).tolist()
    ([[1, 2]], [[0.5, 0.5]])
    """

    def __init__(self, palette: ByteArray) -> None:
        from scipy.spatial import ConvexHull, Delaunay

        inks = np.sort(np.unique(palette, axis=0, return_index=True)[1])
        colors = _opponent(to_linear(palette[inks]))
        order = np.argsort(colors[:, 0], kind="stable")  # so that corners go from dark to light
        self._inks, colors = inks[order].astype(np.uint8), colors[order]
        self._middle = colors.mean(axis=0)
        _, extent, axes = np.linalg.svd(colors - self._middle, full_matrices=False)
        self._axes = axes[: np.count_nonzero(extent > FLAT * max(extent[0], FLAT))]
        places = (colors - self._middle) @ self._axes.T
        if len(self._axes) > 1:
            self._mesh = Delaunay(places)
            self._corners = np.sort(self._mesh.simplices, axis=1)
            self._turn = np.argsort(self._mesh.simplices, axis=1)
            hull = ConvexHull(places)
            self._surface, self._planes = places[hull.simplices], hull.equations
        elif len(self._axes):
            along = np.argsort(places[:, 0], kind="stable")
            self._line, self._along = places[along, 0], along

    def of(self, linear: FloatArray) -> tuple[ByteArray, FloatArray]:
        """Return what colours are mixed of.

        Parameters
        ----------
        linear : array, shape (N, 3)
            Colours in linear light; in the place of one that is no mixture stands the nearest that
            is, in luminance and, with half the weight, in two differences.

        Returns
        -------
        inks : array of uint8, shape (N, M)
            Indices of the palette, from dark to light; M is at most 4.
        shares : array of float64, shape (N, M)
            Shares of them, whose sum is 1.
        """
        dimensions = len(self._axes)
        if not dimensions:
            return np.tile(self._inks[:1], (len(linear), 1)), np.ones((len(linear), 1), float)
        places = (_opponent(linear) - self._middle) @ self._axes.T
        if dimensions == 1:
            return self._between(places[:, 0])
        mesh, planes = self._mesh, self._planes
        outside = np.flatnonzero((places @ planes[:, :-1].T + planes[:, -1]).max(axis=1) > 0)
        for first in range(0, len(outside), AT_ONCE):
            part = outside[first : first + AT_ONCE]
            places[part] = _nearest(self._surface, places[part])
        found = mesh.find_simplex(places * (1 - WITHIN))
        for inwards in (FLAT, 0.5):  # what is on the surface may be rounded beyond it
            lost = np.flatnonzero(found < 0)
            found[lost] = mesh.find_simplex(places[lost] * (1 - inwards))
        turn = mesh.transform[found]
        shares = np.einsum("nij,nj->ni", turn[:, :dimensions], places - turn[:, dimensions])
        shares = np.column_stack([shares, 1 - shares.sum(axis=1)])
        shares = np.maximum(np.take_along_axis(shares, self._turn[found], axis=1), 0)
        return self._inks[self._corners[found]], shares / shares.sum(axis=1, keepdims=True)

    def _between(self, places: Array) -> tuple[Array, Array]:
        """Return the two neighbours on a line, the darker one first."""
        line, along = self._line, self._along
        right = np.clip(np.searchsorted(line, places), 1, len(line) - 1)
        span = line[right] - line[right - 1]
        share = np.clip((places - line[right - 1]) / span, 0, 1)
        pair = np.stack([along[right - 1], along[right]], axis=1)
        shares = np.stack([1 - share, share], axis=1)
        order = np.argsort(pair, axis=1)  # which is that of light
        pair = np.take_along_axis(pair, order, axis=1)
        return self._inks[pair], np.take_along_axis(shares, order, axis=1)


def _opponent(linear: Array) -> Array:
    """Return colours in luminance and two differences, in which they mix as in linear light."""
    return SPACES["opponent"].into(np.asarray(linear, np.float64))


def _nearest(surface: Array, places: Array) -> Array:
    """Return the nearest places of triangles in space, or of edges in a plane, (F, d, d)."""
    corners = surface.shape[1]
    pairs = [(i, j) for i in range(corners) for j in range(i)]
    edges = np.concatenate([surface[:, pair] for pair in pairs])
    root, along = edges[:, 0], edges[:, 1] - edges[:, 0]
    square = np.square(along).sum(axis=1)
    share = (places @ along.T - (root * along).sum(axis=1)) / square
    found = _least(places, root[:, None], along[:, None], np.clip(share, 0, 1)[..., None])
    if corners == 3:
        root, along = surface[:, 0], surface[:, 1:] - surface[:, :1]
        inverse = np.linalg.pinv(along)  # (F, 3, 2)
        share = np.einsum("nfx,fxe->nfe", places[:, None] - root, inverse)
        inside = (share >= 0).all(axis=2) & (share.sum(axis=2) <= 1)
        share[~inside] = 0  # a corner, which belongs to edges too
        other = _least(places, root[:, None], along, share)
        nearer = np.square(other - places).sum(axis=1) < np.square(found - places).sum(axis=1)
        found[nearer] = other[nearer]
    return found


def _least(places: Array, root: Array, along: Array, share: Array) -> Array:
    """Return the nearest to each place among root + share @ along, (N, F, d)."""
    made = root[:, 0] + np.einsum("nfe,fex->nfx", share, along)
    best = np.square(made - places[:, None]).sum(axis=2).argmin(axis=1)
    return made[np.arange(len(places)), best]


def patterned(values: Array, palette: ByteArray, name: PatternName) -> ByteArray:
    """Dither a picture by a pattern.

    Parameters
    ----------
    values : array, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    name : {"ordered", "blue-noise"}
        The pattern.

    Returns
    -------
    array of uint8, shape (height, width)
        Palette indices. A pixel's depends on its colour and its place alone.

    Examples
    --------
    >>> grey = np.full((8, 8, 3), 188, np.uint8)  # half the light of white
    >>> int(patterned(grey, np.uint8([[0, 0, 0], [255, 255, 255]]), "ordered").sum())
    32
    """
    mixtures, table = Mixtures(palette), thresholds(name)
    height, width = values.shape[:2]
    rows, columns = np.arange(height) % len(table), np.arange(width) % len(table)
    made = np.empty((height, width), np.uint8)
    if values.dtype != np.uint8:
        for row in range(height):
            inks, shares = mixtures.of(to_linear(values[row]))
            made[row] = _picked(inks, shares, table[rows[row], columns])
        return made
    codes, numbers = np.unique(values @ np.array([1 << 16, 1 << 8, 1]), return_inverse=True)
    every = np.stack([codes >> 16, codes >> 8, codes], axis=1).astype(np.uint8)
    inks, shares = mixtures.of(to_linear(every))  # there are fewer colours than pixels
    for row, number in enumerate(numbers.reshape(height, width)):
        made[row] = _picked(inks[number], shares[number], table[rows[row], columns])
    return made


def _picked(inks: Array, shares: Array, levels: Array) -> Array:
    """Return the ink of each mixture that a threshold picks."""
    place = (shares.cumsum(axis=1)[:, :-1] < levels[:, None]).sum(axis=1)
    return inks[np.arange(len(inks)), place]
