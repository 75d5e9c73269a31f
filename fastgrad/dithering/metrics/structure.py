"""Structural similarity to the original, as objectives: SSIM, MS-SSIM and CSSIM.

All compare one plane: by default the luma of the sRGB values, as in the literature, else the
luminance in linear light. The objectives are 1 - similarity, so that they are to be minimised.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from fastgrad import _validate
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.metrics.similarity import RADIUS, Similarity, Windows, halve
from fastgrad.objectives import Objective

__all__ = ["Structural", "cssim", "exponents_for", "luma", "ms_ssim", "ssim"]

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of MS-SSIM, from fine to coarse
LUMA = {"srgb": (0.299, 0.587, 0.114), "linear": colour.LUMINANCE}
PIXELS = 1 << 22  # of the samples that are worked on at once, together


def luma(
    image: ArrayLike, *, space: Literal["srgb", "linear"] = "srgb", name: str = "image"
) -> npt.NDArray[np.float64]:
    """Return the plane in which structure is compared.

    Parameters
    ----------
    image : array_like, shape (..., 3)
        sRGB values, uint8 or float in [0, 1].
    space : {"srgb", "linear"}, optional
        Luma of the sRGB values (Rec. 601), or luminance in linear light (Rec. 709).
    name : str, optional
        Name of the argument in error messages.

    Returns
    -------
    array of float64, shape (...)
        Luma or luminance, from 0 to 1.

    Raises
    ------
    TypeError, ValueError
        If the values have the wrong type or range.

    Examples
    --------
    >>> luma([[0.0, 0.0, 0.0], [0.5, 0.5, 0.5], [0.0, 1.0, 0.0]]).round(3)
    array([0.   , 0.5  , 0.587])
    """
    _validate.choice(space, "space", tuple(LUMA))
    values = colour.unit_srgb(image, name)
    if space == "linear":
        values = colour.to_linear(image)
    return values.astype(np.float64) @ np.array(LUMA[space])


class Structural(Objective):
    """An objective of palette indices: the loss of a `Similarity`.

    Parameters
    ----------
    similarity : Similarity
        The loss of pictures in one plane.
    values : array, shape (K,)
        The luma of each colour, which the similarity sees in place of the index.
    """

    similarity: Similarity
    values: FloatArray

    def __init__(self, similarity: Similarity, values: FloatArray) -> None:
        super().__init__(self._relaxed, self._gradient, self._outcomes, self._neighbours)
        object.__setattr__(self, "similarity", similarity)
        object.__setattr__(self, "values", values)

    def _outcomes(self, z):
        return _in_blocks(lambda part: self.similarity.credit(self.values[part]), z)

    def _relaxed(self, x):
        return _in_blocks(lambda part: self.similarity.credit(self._planes(part)), x)

    def _gradient(self, x):
        by_pixel = _in_blocks(lambda part: self.similarity.gradient(self._planes(part)), x)
        if self._single(x):
            return by_pixel * (self.values[1] - self.values[0])
        return by_pixel[..., None] * self.values

    def _neighbours(self, z):
        return _in_blocks(self._table, z)

    def _single(self, x):
        """Return whether x holds outcomes of Bernoulli variables."""
        return x.ndim == 3 and len(self.values) == 2

    def _planes(self, x):
        """Return the pictures of one-hot or relaxed outcomes."""
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


def ssim(
    image: ArrayLike,
    palette: ArrayLike,
    *,
    space: Literal["srgb", "linear"] = "srgb",
    dtype: npt.DTypeLike = np.float32,
) -> Structural:
    """Build the objective 1 - SSIM of a picture of palette indices.

    The similarity is the mean over all 11 x 11 Gaussian windows (sigma 1.5) inside the picture, as
    in scikit-image. The objective has all optional parts but an expectation, and gives credit: for
    each pixel, the sum of the terms of the windows that contain it. Its variables are the pixels,
    with K categories each, or with one logit each if there are two colours.

    Parameters
    ----------
    image : array_like, shape (height, width, 3)
        The original: sRGB values, uint8 or float in [0, 1].
    palette : array_like, shape (K, 3)
        The colours: sRGB values, uint8 or float in [0, 1].
    space : {"srgb", "linear"}, optional
        What is compared: the luma of the sRGB values, as in the literature, or the luminance in
        linear light. Only in linear light has a fine pattern of black and white the mean that it
        has to the eye; in "srgb" its mean luma is that of a darker grey.
    dtype : dtype, optional
        Type in which to compute, float32 or float64.

    Returns
    -------
    Structural
        The objective.

    Raises
    ------
    TypeError, ValueError
        If an argument has the wrong type, shape or range.

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


def cssim(
    image: ArrayLike,
    palette: ArrayLike,
    *,
    space: Literal["srgb", "linear"] = "srgb",
    dtype: npt.DTypeLike = np.float32,
) -> Structural:
    """Build the objective 1 - CSSIM: SSIM weighted by the original's contrast.

    With the original's standard deviation in a window and ``s = min(2 deviation, 1)``, the
    similarity of the window is ``s SSIM + 1 - s``. So the noise of the dither in flat parts does
    not count. In all other respects it is like `ssim`.

    Parameters
    ----------
    image, palette, space, dtype
        As in `ssim`.

    Returns
    -------
    Structural
        The objective.

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


def ms_ssim(
    image: ArrayLike,
    palette: ArrayLike,
    *,
    space: Literal["srgb", "linear"] = "srgb",
    dtype: npt.DTypeLike = np.float32,
) -> Structural:
    """Build the objective 1 - MS-SSIM: contrast and structure at five scales.

    Each scale averages the one before over boxes of 2 x 2. There are up to five scales, as many as
    are at least 11 pixels wide and high, and at least one; their exponents are scaled to sum to 1.
    Luminance is compared at the coarsest. A pixel's credit is how much lower the objective would be
    if all windows that contain the pixel were perfectly similar. In all other respects it is like
    `ssim`.

    Parameters
    ----------
    image, palette, space, dtype
        As in `ssim`.

    Returns
    -------
    Structural
        The objective.

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


def exponents_for(shape: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """Return the exponents of the scales of MS-SSIM for which a picture is large enough.

    Parameters
    ----------
    shape : tuple of int
        Height and width of the picture.

    Returns
    -------
    array of float64, shape (scales,)
        The exponents from the finest scale to the coarsest, which sum to 1.

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
    dtype = _validate.real_dtype(dtype)
    image, palette = _validate.array(image, "image"), _validate.array(palette, "palette")
    if image.ndim != 3 or image.shape[2] != 3 or image.size == 0:
        raise ValueError(f"image must have shape (height, width, 3), got {image.shape}")
    if palette.ndim != 2 or palette.shape[1] != 3 or len(palette) < 1:
        raise ValueError(f"palette must have shape (K, 3), got {palette.shape}")
    planes = luma(image, space=space), luma(palette, space=space, name="palette")
    return (plane.astype(dtype) for plane in planes)


def _in_blocks(function, samples) -> Any:
    """Call a function on a few samples at a time, so that its arrays stay small."""
    step = max(1, PIXELS // max(1, samples[0].size))
    parts = [function(samples[i : i + step]) for i in range(0, len(samples), step)]
    if len(parts) == 1:
        return parts[0]
    if isinstance(parts[0], tuple):
        return tuple(np.concatenate(part) for part in zip(*parts, strict=True))
    return np.concatenate(parts)
