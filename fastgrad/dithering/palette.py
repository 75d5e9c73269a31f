"""Palettes: a first one from the picture's own colours, and the best one for a given picture."""

import numpy as np

from fastgrad import random
from fastgrad.dithering.colour import to_srgb
from fastgrad.kernels.dithering import expectation, labels

SAMPLE = 1 << 14  # pixels that the first palette is made from


def initial(image, colors, *, rng, iterations=8):
    """Choose colours that cluster those of an image: k-means, seeded by k-means++.

    Parameters
    ----------
    image : numpy.ndarray of float, shape (height, width, 3)
        The image, in the space in which distances are to be measured.
    colors : int
        The number of colours K.
    rng : Key, int, SeedSequence or Generator
        Source of the random choices.
    iterations : int, optional
        Rounds of k-means.

    Returns
    -------
    numpy.ndarray, shape (K, 3)
        The colours, of the dtype of the image.

    References
    ----------
    .. [1] D. Arthur and S. Vassilvitskii, "k-means++: the advantages of careful seeding",
       Symposium on Discrete Algorithms, 2007.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.zeros((4, 4, 3), np.float32)
    >>> image[:2] = 1
    >>> sorted(initial(image, 2, rng=0).tolist())
    [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]]
    """
    key = random.as_key(rng)
    pixels = image.reshape(-1, 3)
    if len(pixels) > SAMPLE:
        chance = random.uniform((SAMPLE,), rng=key.fold_in(0), dtype=np.float64)
        pixels = pixels[(chance * len(pixels)).astype(np.int64)]
    chance = random.uniform((colors,), rng=key.fold_in(1), dtype=np.float64)
    palette = np.empty((colors, 3), image.dtype)
    distance = np.ones(len(pixels))
    for k in range(colors):
        total = np.cumsum(distance)
        palette[k] = pixels[np.searchsorted(total[:-1], chance[k] * total[-1], side="right")]
        distance = np.minimum(distance, np.square(pixels - palette[k]).sum(axis=1))
    for _ in range(iterations):
        nearest = np.argmin(np.square(palette).sum(axis=1) - 2 * (pixels @ palette.T), axis=1)
        count = np.bincount(nearest, minlength=colors)
        for channel in range(3):
            total = np.bincount(nearest, pixels[:, channel], minlength=colors)
            palette[:, channel] = np.where(count, total / np.maximum(count, 1), palette[:, channel])
    return palette


def distinct(image, colors):
    """Return the colours of an image that has few of them.

    Parameters
    ----------
    image : numpy.ndarray of float, shape (height, width, 3)
        The image in linear light.
    colors : int
        The number of colours K.

    Returns
    -------
    numpy.ndarray of uint8, shape (K, 3), or None
        Its colours in sRGB, the first repeated to make K; None if there are more than K.
    """
    rgb = to_srgb(image).reshape(-1, 3).astype(np.uint32)
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


def fit(loss, indices, palette, *, iterations=20):
    """Improve a palette for a given picture: least squares within [0, 1], by coordinate descent.

    The loss is quadratic in the palette: its minimum solves K linear equations a channel. Each
    iteration moves every colour to its own minimum, within [0, 1], and so lowers the loss.

    Parameters
    ----------
    loss : BlurredError
        The loss.
    indices : numpy.ndarray of uint8, shape (height, width)
        The palette index of each pixel.
    palette : array_like, shape (K, 3)
        Where to start. A colour that no pixel has stays as it is.
    iterations : int, optional
        Rounds over all colours.

    Returns
    -------
    numpy.ndarray, shape (K, 3)
        The new palette, of the loss's dtype.
    """
    gram, right = normal_equations(loss, indices, len(palette))
    planar = np.array(np.transpose(palette), np.float64, order="C")
    work = gram.size * iterations
    labels.fit(work, planar, gram, np.ascontiguousarray(right.T), 0.0, 1.0, iterations)
    return np.ascontiguousarray(planar.T, loss.dtype)


def normal_equations(loss, indices, colors):
    """Return the matrix and the right-hand side whose solution is the best palette.

    Parameters
    ----------
    loss : BlurredError
        The loss.
    indices : numpy.ndarray of uint8, shape (height, width)
        The palette index of each pixel.
    colors : int
        The number of colours K.

    Returns
    -------
    gram : numpy.ndarray, shape (K, K)
        Sum over pairs of pixels of b (and nu for a pixel with itself), by their labels.
    right : numpy.ndarray, shape (K, 3)
        Sum of the blurred image, by label.
    """
    gram = np.zeros((expectation.BLOCKS, colors, colors))
    right = np.zeros((expectation.BLOCKS, colors, 3))
    table = np.outer(loss.taps, loss.taps)
    work = indices.size * table.size // 2
    labels.normal_equations(work, gram, right, indices, loss.blurred, table, loss.nu)
    half = gram.sum(axis=0)
    return half + half.T, right.sum(axis=0)
