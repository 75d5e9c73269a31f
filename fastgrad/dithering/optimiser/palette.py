"""Palettes: a first one from the picture's own colours, and the best one for a given picture."""

from typing import NamedTuple

import numpy as np

from fastgrad import random
from fastgrad.dithering.eye.colour import Space
from fastgrad.kernels.dithering.optimiser import palette as kernels

TILE = 64  # rows and columns of the parts of a picture that stand for the whole


def initial(image, colors, *, rng, trials=1, locked=None, iterations=8):
    """Choose colours that cluster those of an image: k-means, seeded by k-means++.

    Parameters
    ----------
    image : numpy.ndarray of float, shape (height, width, channels)
        The image, in the space in which distances are to be measured.
    colors : int
        The number of colours K.
    rng : Key, int, SeedSequence or Generator
        Source of the random choices.
    trials : int, optional
        The number of palettes.
    locked : array_like, shape (L, channels), optional
        Colours that come first in each palette, and stay.
    iterations : int, optional
        Rounds of k-means.

    Returns
    -------
    numpy.ndarray, shape (trials, K, channels)
        The palettes, of the dtype of the image.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding",
       Symposium on Discrete Algorithms, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((4, 4, 3), np.float32)
    >>> image[:2] = 1
    >>> sorted(initial(image, 2, rng=0)[0].tolist())
    [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    channels = image.shape[2]
    pixels = np.ascontiguousarray(image.reshape(-1, channels).T)
    palettes = np.empty((trials, channels, colors), image.dtype)
    first = 0 if locked is None else len(locked)
    if first:
        palettes[:, :, :first] = np.transpose(locked)
    chances = random.uniform((trials, colors), rng=rng, dtype=np.float64)
    kernels.cluster(palettes, first, pixels, chances, iterations)
    return np.ascontiguousarray(palettes.transpose(0, 2, 1))


def distinct(image, colors):
    """Return the colours of an image that has few of them.

    Parameters
    ----------
    image : numpy.ndarray of uint8, shape (height, width, 3)
        The image.
    colors : int
        The number of colours K.

    Returns
    -------
    numpy.ndarray of uint8, shape (K, 3), or None
        Its colours, the first repeated to make K; None if there are more than K.
    """
    rgb = image.reshape(-1, 3).astype(np.uint32)
    present = np.zeros(1 << 24, bool)
    present[(rgb[:, 0] << 16) | (rgb[:, 1] << 8) | rgb[:, 2]] = True
    if np.count_nonzero(present) > colors:
        return None
    packed = np.flatnonzero(present)
    packed = np.pad(packed, (0, colors - packed.size), constant_values=packed[0])
    return np.stack([packed >> 16, packed >> 8, packed], axis=1).astype(np.uint8)


def spacing(palette):
    """Return the mean squared distance from a colour to the nearest other one.

    Parameters
    ----------
    palette : numpy.ndarray, shape (K, 3)
        The colours.

    Returns
    -------
    float
        The mean, copies aside; 1 if all colours are the same.

    Examples
    --------
    >>> import numpy as np
    >>> spacing(np.array([[0.0, 0, 0], [0.5, 0, 0], [0.5, 0, 0]]))
    0.25
    """
    distance = np.square(palette[:, None] - palette).sum(axis=-1)
    distance[distance == 0] = np.inf
    nearest = distance.min(axis=1)
    nearest = nearest[np.isfinite(nearest)]
    return float(nearest.mean()) if nearest.size else 1.0


class Sample:
    """Tiles of a picture that stand for the whole, where the whole is large.

    A fit sees each tile as a picture of its own, with no error around it.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture.
    pixels : int, optional
        At most about so many pixels in all; a picture with no more is its own single tile.

    Attributes
    ----------
    shape : tuple of int
        Rows and columns of a tile.
    corners : numpy.ndarray of int, shape (tiles, 2)
        Where the tiles begin.
    blurred : numpy.ndarray, shape (tiles, channels, rows, columns)
        The field of the weighted image itself, tile by tile.
    """

    def __init__(self, loss, pixels=1 << 17):
        height, width = self.shape = loss.shape
        tiles = 1
        if height * width > pixels:
            self.shape = min(TILE, height), min(TILE, width)
            tiles = max(1, pixels // (self.shape[0] * self.shape[1]))
        # Evenly spread: multiples of two numbers that are badly approximated by fractions [1]_.
        place = np.outer(np.arange(tiles), [0.7548776662, 0.5698402910]) % 1
        room = [height - self.shape[0] + 1, width - self.shape[1] + 1]
        self.corners = (place * room).astype(np.int64)
        self.loss, self._weights = loss, self.cut(loss.weights[None])[:, 0].astype(np.float64)
        planes = self.cut(loss.planes * loss.weights)
        self.blurred = loss.field(planes.reshape(-1, *self.shape)).reshape(planes.shape)

    def cut(self, planes):
        """Return the tiles of planes, shape (tiles, n, rows, columns)."""
        rows, columns = self.shape
        return np.stack([planes[:, y : y + rows, x : x + columns] for y, x in self.corners])

    def fit(self, labels, palette, *, locked=0, bounds=(0.0, 1.0), iterations=20):
        """Improve a palette for a given picture: least squares within bounds.

        The loss is quadratic in the palette: its minimum solves K linear equations a channel.
        Each iteration moves every colour to its own minimum, and so lowers the loss.

        Parameters
        ----------
        labels : numpy.ndarray of uint8, shape (tiles, rows, columns)
            The palette index of each pixel.
        palette : array_like, shape (K, channels)
            Where to start. A colour that no pixel has stays as it is.
        locked : int, optional
            So many colours, the first, stay as they are.
        bounds : tuple of float, optional
            Of each channel.
        iterations : int, optional
            Rounds over all colours.

        Returns
        -------
        numpy.ndarray, shape (K, channels)
            The new palette, of the loss's dtype.
        """
        gram, right = self.normal_equations(labels, len(palette))
        planar = np.array(np.transpose(palette), np.float64, order="C")
        right = np.ascontiguousarray(right.T)
        kernels.fit(planar, gram, right, locked, *bounds, iterations)
        return np.ascontiguousarray(planar.T, self.loss.dtype)

    def normal_equations(self, labels, colors):
        """Return the matrix and the right-hand side whose solution is the best palette.

        Parameters
        ----------
        labels : numpy.ndarray of uint8, shape (tiles, rows, columns)
            The palette index of each pixel.
        colors : int
            The number of colours K.

        Returns
        -------
        gram : numpy.ndarray, shape (K, K)
            Sum over pairs of pixels of b (and nu for a pixel with itself), by their labels.
        right : numpy.ndarray, shape (K, channels)
            Sum of the blurred image, by label.
        """
        gram = np.zeros((kernels.BLOCKS, colors, colors))
        right = np.zeros((kernels.BLOCKS, colors, self.blurred.shape[1]))
        table, nu = self.loss.table.astype(np.float64), float(self.loss.nu)
        labels = np.ascontiguousarray(labels)
        kernels.normal_equations(gram, right, labels, self._weights, self.blurred, table, nu)
        half = gram.sum(axis=0)
        return half + half.T, right.sum(axis=0)


class Fit(NamedTuple):
    """How a palette is learned: from which pixels, in which space, and which colours stay."""

    sample: Sample
    space: Space
    locked: int = 0

    def __call__(self, labels, palette):
        """Improve a palette for the given labels of the sample's pixels."""
        bounds = self.space.bounds
        fitted = self.sample.fit(labels, palette, locked=self.locked, bounds=bounds)
        fitted[self.locked :] = self.space.clip(fitted[self.locked :])
        return fitted
