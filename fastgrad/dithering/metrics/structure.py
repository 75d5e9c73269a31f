"""Structural similarity to the original, as objectives: SSIM, MS-SSIM and CSSIM.

All are of one plane: by default the luma of the sRGB values, as in the literature; else luminance,
in linear light. What the objectives return is 1 less the similarity: something to be minimised.
"""

import numpy as np

from fastgrad import _validate
from fastgrad.dithering.eye import colour
from fastgrad.dithering.metrics.similarity import RADIUS, Similarity, Windows, halve
from fastgrad.objectives import Objective

__all__ = ["Structural", "cssim", "ms_ssim", "ssim"]

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, from fine to coarse
LUMA = {"srgb": (0.299, 0.587, 0.114), "linear": colour.LUMINANCE}
PIXELS = 1 << 22  # of all samples that are worked on at once


def luma(image, *, space="srgb"):
    """Return the plane in which structure is compared.

    Parameters
    ----------
    image : array_like, shape (..., 3)
        sRGB values, uint8 or float in [0, 1].
    space : {"srgb", "linear"}
        Luma of the sRGB values as they are (Rec. 601), or luminance in linear light (Rec. 709).

    Returns
    -------
    numpy.ndarray of float64, shape (...)
        From 0 to 1.

    Examples
    --------
    >>> luma([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.0, 1.0, 0.0]]).round(3)
    array([0.   , 0.5  , 0.587])
    """
    _validate.choice(space, "space", tuple(LUMA))
    image = np.asarray(image)
    linear = colour.to_linear(image)  # checks it
    values = linear if space == "linear" else image / 255 if image.dtype == np.uint8 else image
    return values.astype(np.float64) @ np.array(LUMA[space])


class Structural(Objective):
    """An objective of palette indices: the loss of a `Similarity`.

    Parameters
    ----------
    similarity : Similarity
    values : numpy.ndarray, shape (K,)
        The luma of each colour: what the similarity sees in place of the index.
    """

    def __init__(self, similarity, values):
        super().__init__(self._relaxed, self._slopes, self._outcomes, self._neighbours)
        object.__setattr__(self, "similarity", similarity)
        object.__setattr__(self, "values", values)

    def _outcomes(self, z):
        return _in_blocks(lambda part: self.similarity.credit(self.values[part]), z)

    def _relaxed(self, x):
        return _in_blocks(lambda part: self.similarity.credit(self._planes(part)), x)

    def _slopes(self, x):
        slopes = _in_blocks(lambda part: self.similarity.gradient(self._planes(part)), x)
        if self._single(x):
            return slopes * (self.values[1] - self.values[0])
        return slopes[..., None] * self.values

    def _neighbours(self, z):
        return _in_blocks(self._table, z)

    def _single(self, x):
        """Return whether these are features of Bernoulli variables."""
        return x.ndim == 3 and len(self.values) == 2

    def _planes(self, x):
        """Return what the similarity sees of features."""
        x = x.astype(self.values.dtype, copy=False)
        if self._single(x):
            return self.values[0] + x * (self.values[1] - self.values[0])
        return x @ self.values

    def _table(self, z):
        """Return the loss with each pixel set to each colour."""
        colors, planes = len(self.values), self.values[z]
        table = np.empty((*z.shape, colors))
        own = np.broadcast_to(self.similarity.of(planes)[:, None, None, None], (*z.shape, 1))
        np.put_along_axis(table, z[..., None], own, axis=-1)
        if colors > 1:
            others = (z[:, None] + np.arange(1, colors)[:, None, None]) % colors
            losses = self.similarity.local(planes, self.values[others] - planes[:, None])
            others, losses = (np.moveaxis(x, 1, -1) for x in (others, losses))
            np.put_along_axis(table, others, losses, axis=-1)
        return table


def ssim(image, palette, *, space="srgb", dtype=np.float32):
    """Build 1 - SSIM of a picture of palette indices, as an objective of the public kind.

    The similarity is the mean over all 11 x 11 Gaussian windows (sigma 1.5) inside the picture, as
    scikit-image has it. The objective has all parts but an expectation, and credit: for each pixel,
    the sum of the terms of the windows that touch it. Its variables are the pixels, with K
    categories each, or one logit each where there are two colours.

    Parameters
    ----------
    image : array_like, shape (height, width, 3)
        The original: sRGB values, uint8 or float in [0, 1].
    palette : array_like, shape (K, 3)
        The colours, alike.
    space : {"srgb", "linear"}
        What is compared: the luma of the sRGB values, as in the literature, or the luminance in
        linear light. Means and similarity of these numbers are what counts: a fine pattern of black
        and white has, in "srgb", the luma of more light than it gives.
    dtype : numpy.dtype
        In which to compute, float32 or float64.

    Returns
    -------
    Structural
        An `Objective`.

    References
    ----------
    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Transactions on Image Processing 13(4), 2004.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> ramp = np.tile(np.linspace(0, 1, 32)[:, None], (32, 1, 3))
    >>> f = ssim(ramp, [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
    >>> estimate = fg.estimator("rloo")(f, np.zeros((32, 32, 2)), num_samples=8, rng=0)
    >>> bool(0.8 < estimate.value < 1)
    True
    """
    reference, values = _check(image, palette, space, dtype)
    return Structural(Similarity([Windows(reference)], [1.0]), values)


def cssim(image, palette, *, space="srgb", dtype=np.float32):
    """Build 1 - CSSIM: SSIM that looks for structure only where the original has contrast.

    A window counts by the original's standard deviation in it: with ``s = min(2 deviation, 1)`` its
    similarity is ``s SSIM + 1 - s``. So flat parts are not judged by the noise of their dither.
    All else is as in `ssim`.

    Parameters
    ----------
    image, palette, space, dtype
        As in `ssim`.

    Returns
    -------
    Structural

    References
    ----------
    Jiang, Xiong, Jiang, Yin, Ding and Huang, "Efficient halftoning via deep reinforcement
    learning", IEEE Transactions on Image Processing, 2023, eq. 27.

    Examples
    --------
    >>> import numpy as np
    >>> grey = np.full((16, 16, 3), 0.5)
    >>> float(cssim(grey, [[0.0] * 3, [1.0] * 3]).index(np.zeros((1, 16, 16), int))[0][0])
    0.0
    """
    reference, values = _check(image, palette, space, dtype)
    return Structural(Similarity([Windows(reference, contrast=True)], [1.0]), values)


def ms_ssim(image, palette, *, space="srgb", dtype=np.float32):
    """Build 1 - MS-SSIM: contrast and structure at five scales, luminance at the coarsest.

    Each scale is the one before in boxes of 2 x 2; there are as many, up to five, as are 11 pixels
    wide and high, at least one, and their exponents add up to 1. A pixel's credit is how much less
    the objective were with all windows that touch it perfect. All else is as in `ssim`.

    Parameters
    ----------
    image, palette, space, dtype
        As in `ssim`.

    Returns
    -------
    Structural

    References
    ----------
    Wang, Simoncelli and Bovik, "Multi-scale structural similarity for image quality assessment",
    Asilomar Conference on Signals, Systems and Computers, 2003.

    Examples
    --------
    >>> import numpy as np
    >>> f = ms_ssim(np.zeros((48, 48, 3)), [[0.0] * 3, [1.0] * 3])
    >>> len(f.similarity.scales)
    3
    """
    reference, values = _check(image, palette, space, dtype)
    exponents, scales = exponents_for(reference.shape), []
    for i in range(len(exponents)):
        if i:
            reference = halve(reference[None])[0]
        scales.append(Windows(reference, luminance=i == len(exponents) - 1))
    return Structural(Similarity(scales, exponents), values)


def exponents_for(shape):
    """Return the exponents of the scales of MS-SSIM that a picture is large enough for.

    Examples
    --------
    >>> exponents_for((48, 60)).round(4)
    array([0.0711, 0.453 , 0.476 ])
    """
    count = 1
    while count < len(EXPONENTS) and min(shape) >> count > 2 * RADIUS:
        count += 1
    return np.array(EXPONENTS[:count]) / sum(EXPONENTS[:count])


def _check(image, palette, space, dtype):
    """Return the planes of an image and of a palette."""
    dtype, image, palette = _validate.real_dtype(dtype), np.asarray(image), np.asarray(palette)
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"image must have shape (height, width, 3), got {image.shape}")
    if palette.ndim != 2 or palette.shape[1] != 3 or len(palette) < 1:
        raise ValueError(f"palette must have shape (K, 3), got {palette.shape}")
    return (luma(x, space=space).astype(dtype) for x in (image, palette))


def _in_blocks(function, samples):
    """Call a function on so many samples at a time as keep its arrays small."""
    step = max(1, PIXELS // max(1, samples[0].size))
    parts = [function(samples[i : i + step]) for i in range(0, len(samples), step)]
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))
    return np.concatenate(parts)
