"""Palettes: a first one from the picture's own colours, and the best one for a given picture."""

from __future__ import annotations

from functools import cached_property
from typing import NamedTuple

import numpy as np

from fastgrad import random
from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import Space
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.kernels.dithering.optimiser import palette as kernels
from fastgrad.random import RNG

__all__ = ["Fit", "Sample", "distinct", "initial", "spacing"]

NEAR = 0.05  # share of the greatest term of b that those of near pixels have
TILE = 64  # rows and columns of the parts of a picture that stand for the whole
PLANES = 8  # colours up to which a plane for each is blurred sooner than pairs of pixels are added


def initial(
    image: FloatArray,
    colors: int,
    *,
    rng: RNG,
    trials: int = 1,
    locked: ArrayLike | None = None,
    iterations: int = 8,
    counts: ArrayLike | None = None,
) -> FloatArray:
    """Cluster the colours of an image by k-means, seeded by k-means++.

    Parameters
    ----------
    image : array of float, shape (height, width, channels)
        The image, in the space in which distances are to be measured, of 1, 3 or 4 channels.
    colors : int
        Number of colours K.
    rng : Key, int, SeedSequence or Generator
        Source of randomness.
    trials : int, optional
        Number of palettes, each from other seeds.
    locked : array_like, shape (L, channels), optional
        Colours that come first in each palette and do not change.
    iterations : int, optional
        Rounds of k-means.
    counts : array_like, shape (height, width), optional
        How often each pixel is there; by default once.

    Returns
    -------
    array, shape (trials, K, channels)
        The palettes, of the dtype of the image.

    References
    ----------
    D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding", Symposium on
    Discrete Algorithms, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((4, 4, 3), np.float32)
    >>> image[:2] = 1
    >>> sorted(initial(image, 2, rng=0)[0].tolist())
    [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    channels = image.shape[2]
    pixels = np.ones((channels + 1, image[..., 0].size), image.dtype)
    pixels[:channels] = image.reshape(-1, channels).T
    if counts is not None:
        pixels[channels] = np.ravel(counts)
    palettes = np.empty((trials, channels, colors), image.dtype)
    fixed = np.empty((0, channels)) if locked is None else np.asarray(locked)
    palettes[:, :, : len(fixed)] = fixed.T
    chances = random.uniform((trials, colors), rng=rng, dtype=np.float64)
    kernels.cluster(palettes, len(fixed), pixels, chances, iterations)
    return np.ascontiguousarray(palettes.transpose(0, 2, 1))


def distinct(image: ByteArray, colors: int) -> ByteArray | None:
    """Return the colours of an image if it has few of them.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The image.
    colors : int
        Number of colours K.

    Returns
    -------
    array of uint8, shape (K, 3), or None
        The image's colours, with the first repeated until there are K; None if there are more.
    """
    rgb = image.reshape(-1, 3)
    some = rgb[:: 1 + len(rgb) // 4096].astype(np.uint32) @ np.array(
        [1 << 16, 1 << 8, 1], np.uint32
    )
    if np.unique(some).size > colors:
        return None
    rgb = rgb.astype(np.uint32)
    present = np.zeros(1 << 24, bool)
    present[(rgb[:, 0] << 16) | (rgb[:, 1] << 8) | rgb[:, 2]] = True
    if np.count_nonzero(present) > colors:
        return None
    packed = np.flatnonzero(present)
    packed = np.pad(packed, (0, colors - packed.size), constant_values=packed[0])
    return np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8)


def spacing(palette: FloatArray) -> float:
    """Return the mean squared distance from a colour to its nearest neighbour.

    Parameters
    ----------
    palette : array, shape (K, channels)
        The colours.

    Returns
    -------
    float
        The mean over colours, where copies of a colour are no neighbours; 1 if all are the same.

    Examples
    --------
    >>> import numpy as np
    >>> spacing(np.array([[0.0, 0, 0], [0.5, 0, 0], [0.5, 0, 0]]))
    0.25
    """
    distance = np.zeros((len(palette), len(palette)), palette.dtype)
    for x in palette.T:
        distance += np.square(x[:, None] - x)
    distance[distance == 0] = np.inf
    nearest = distance.min(axis=1)
    nearest = nearest[np.isfinite(nearest)]
    return float(nearest.mean()) if nearest.size else 1.0


class Sample:
    """Tiles of a picture to which a palette is fitted, where the whole picture is large.

    A fit treats each tile as a picture of its own, with no error around it. The tiles are spread
    evenly: their corners are multiples of two numbers that are badly approximated by fractions.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture.
    pixels : int, optional
        Greatest number of pixels in all tiles, approximately. A picture with no more pixels is one
        single tile.
    tile : int, optional
        Rows and columns of a tile.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of a tile.
    corners : array of int, shape (tiles, 2)
        Row and column at which each tile begins.
    """

    loss: BlurredError
    shape: tuple[int, int]
    corners: Array

    def __init__(self, loss: BlurredError, pixels: int = 1 << 17, tile: int = TILE) -> None:
        height, width = self.shape = loss.shape
        tiles = 1
        if height * width > pixels:
            self.shape = min(tile, height), min(tile, width)
            tiles = max(1, pixels // (self.shape[0] * self.shape[1]))
        place = np.outer(np.arange(tiles), [0.7548776662, 0.5698402910]) % 1
        room = [height - self.shape[0] + 1, width - self.shape[1] + 1]
        self.corners = (place * room).astype(np.int64)
        rows, columns = map(np.arange, self.shape)
        top, left = self.corners[:, :1], self.corners[:, 1:]
        self._places = ((top + rows) * width)[:, :, None] + (left + columns)[:, None]
        self.loss, self._seen = loss, self.cut(loss.weights[None])
        self._weights = self._seen[:, 0].astype(np.float64)

    @cached_property
    def blurred(self) -> FloatArray:
        """The field of the weighted image itself, (tiles, channels, rows, columns)."""
        planes = self.cut(self.loss.planes) * self._seen
        return self.loss.field(planes.reshape(-1, *self.shape)).reshape(planes.shape)

    def cut(self, planes: Array) -> Array:
        """Return the tiles, (tiles, n, rows, columns), of planes, (n, height, width)."""
        if self.shape == planes.shape[1:]:
            return planes[None]
        flat = planes.reshape(len(planes), -1)
        found = np.empty((len(self.corners), len(planes), *self.shape), planes.dtype)
        for i, plane in enumerate(flat):
            found[:, i] = plane[self._places]
        return found

    def fit(
        self,
        labels: ByteArray,
        palette: ArrayLike,
        *,
        slopes: FloatArray | None = None,
        locked: int = 0,
        bounds: tuple[float, float] = (0.0, 1.0),
        iterations: int = 20,
    ) -> FloatArray:
        """Improve a palette for a given picture by bounded least squares.

        The loss is quadratic in the palette, so its minimum solves K linear equations for each
        channel. Each iteration moves every colour in turn to the minimum of the loss by that colour
        alone (Gauss-Seidel), and so lowers the loss.

        Parameters
        ----------
        labels : array of uint8, shape (tiles, rows, columns)
            The palette index of each pixel.
        palette : array_like, shape (K, channels)
            The colours to start from. A colour that no pixel has does not change.
        slopes : array, shape (K, channels + 1), optional
            How the loss of the whole picture depends on each of these colours, see `Search.slopes`.
            Then the tiles only tell how the colours depend on each other.
        locked : int, optional
            Number of colours at the beginning of the palette that do not change.
        bounds : tuple of float, optional
            Least and greatest value of each channel.
        iterations : int, optional
            Rounds over all colours.

        Returns
        -------
        array, shape (K, channels)
            The new palette, of the dtype of the loss.
        """
        planar = np.array(np.transpose(palette), np.float64, order="C")
        if slopes is None:
            gram, right = self.normal_equations(labels, planar.shape[1])
        else:
            gram = self._of_the_whole(labels, slopes[:, -1])
            right = gram @ planar.T - slopes[:, :-1]
        right = np.ascontiguousarray(right.T)
        kernels.fit(planar, gram, right, locked, *bounds, iterations)
        return np.ascontiguousarray(planar.T, self.loss.dtype)

    def normal_equations(self, labels: ByteArray, colors: int) -> tuple[FloatArray, FloatArray]:
        """Return the linear equations whose solution is the best palette for a picture.

        Parameters
        ----------
        labels : array of uint8, shape (tiles, rows, columns)
            The palette index of each pixel.
        colors : int
            Number of colours K.

        Returns
        -------
        gram : array, shape (K, K)
            Matrix: sums of b over pairs of pixels (and of nu over pixels), by their labels.
        right : array, shape (K, channels)
            Right-hand side: sums of the blurred image, by label.
        """
        if colors <= PLANES:
            return self._by_planes(labels, colors, self.blurred)
        return self._equations(labels, colors, self.blurred, self.loss.table)

    def _equations(self, labels, colors, blurred, table):
        """Return the equations for a table of b, and a blurred image."""
        gram = np.zeros((kernels.BLOCKS, colors, colors))
        right = np.zeros((kernels.BLOCKS, colors, blurred.shape[1]))
        labels, table = np.ascontiguousarray(labels), table.astype(np.float64)
        kernels.normal_equations(
            gram, right, labels, self._weights, blurred, table, float(self.loss.nu)
        )
        half = gram.sum(axis=0)
        return half + half.T, right.sum(axis=0)

    def _by_planes(self, labels, colors, blurred):
        """Return the equations from the fields of a plane for each of a few colours.

        The field of where a colour is, summed by labels, is a row of the matrix.
        """
        rows, columns = self.shape
        weights, entries = self._seen, np.arange(colors, dtype=np.uint8)
        planes = weights * (labels[:, None] == entries[:, None, None])
        fields = self.loss.field(planes.reshape(-1, rows, columns)).reshape(planes.shape)
        fields = np.concatenate([fields, blurred], axis=1).swapaxes(0, 1)
        fields = np.ascontiguousarray(fields).reshape(-1, len(labels) * rows, columns)
        sums = np.zeros((kernels.BLOCKS, colors, len(fields) + 1))
        labels = np.ascontiguousarray(labels).reshape(-1, columns)
        kernels.slopes(sums, labels, weights.reshape(labels.shape), fields, 0)
        total = sums.sum(axis=0)
        half = total[:, :colors] / 2
        return half + half.T, np.ascontiguousarray(total[:, colors:-1])

    def _of_the_whole(self, labels, squares):
        """Return the matrix of the whole picture, about, as the tiles let it be guessed.

        The sums of squared weights are known for each colour; those of pairs are in proportion,
        and only of pixels that are near to each other.
        """
        table, none = self.loss.table, np.empty((len(labels), 0, *self.shape), self.loss.dtype)
        middle = self.loss.radius
        reach = np.count_nonzero(table[middle, middle:] > NEAR * table[middle, middle]) - 1
        inside = slice(middle - reach, middle + reach + 1)
        if len(squares) <= PLANES // 2:  # as near ones are fewer pairs
            gram, _ = self._by_planes(labels, len(squares), none)
        else:
            gram, _ = self._equations(labels, len(squares), none, table[inside, inside])
        weights = np.square(self._weights).ravel()
        tiles = np.bincount(labels.ravel(), weights, minlength=len(gram))
        unseen = tiles == 0
        scale = np.sqrt(squares / np.where(unseen, np.inf, tiles))
        gram = gram * scale * scale[:, None]
        gram[unseen, unseen] = float(self.loss.own) * squares[unseen]
        return gram


class Fit(NamedTuple):
    """The way to learn a palette: from which pixels, in which space, with which locked colours.

    Attributes
    ----------
    sample : Sample
        The tiles to which the palette is fitted.
    space : Space
        The colour space of the loss.
    locked : int
        Number of colours at the beginning of the palette that do not change.
    """

    sample: Sample
    space: Space
    locked: int = 0

    def __call__(
        self, labels: ByteArray, palette: ArrayLike, slopes: FloatArray | None = None
    ) -> FloatArray:
        """Improve a palette, (K, channels), for labels, (tiles, rows, columns), of the sample."""
        options = {"slopes": slopes, "locked": self.locked, "bounds": self.space.bounds}
        fitted = self.sample.fit(labels, palette, **options)
        fitted[self.locked :] = self.space.clip(fitted[self.locked :])
        return fitted
