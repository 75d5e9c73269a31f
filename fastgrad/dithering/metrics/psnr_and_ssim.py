"""How near a dithered picture is to its original: judges for this and for other tools.

SSIM is written once more here, apart from the objectives in `structure`, and on purpose: a judge
shares no code with what is optimised.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import to_linear, unit_srgb
from fastgrad.dithering.metrics.similarity import C1, C2, FLOOR, RADIUS, SIGMA, halve
from fastgrad.dithering.metrics.structure import exponents_for, luma

__all__ = ["Ssim", "Structure", "cssim", "decibels", "flicker", "ms_ssim", "of_error", "psnr"]
__all__ += ["ssim", "values"]


def psnr(
    picture: ArrayLike, original: ArrayLike, *, sigma: float = 0.0, linear: bool = True
) -> float:
    """Return the peak signal-to-noise ratio of a picture, optionally after a blur of both.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    sigma : float, optional
        Standard deviation in pixels of a Gaussian blur, reflected at the borders; 0 for no blur.
    linear : bool, optional
        Compare in linear light, as the eye does, or else the sRGB values.

    Returns
    -------
    float
        ``-10 log10`` of the mean squared error, in decibels; inf if there is no error.

    Examples
    --------
    >>> import numpy as np
    >>> round(psnr(np.zeros((8, 8, 3)), np.full((8, 8, 3), 0.1), linear=False), 6)
    20.0
    """
    first, second = (values(image, linear=linear) for image in (picture, original))
    return of_error(first - second, sigma)


def of_error(error: Array, sigma: float = 0.0) -> float:
    """Return the peak signal-to-noise ratio of an error, (height, width, 3), after a blur."""
    from scipy import ndimage

    if sigma > 0:
        error = ndimage.gaussian_filter(error, (sigma, sigma, 0))
    return decibels(float(np.square(error).mean()))


def decibels(mean: float) -> float:
    """Return the peak signal-to-noise ratio of a mean squared error, for a peak of 1.

    Parameters
    ----------
    mean : float
        The mean squared error.

    Returns
    -------
    float
        ``-10 log10(mean)`` in decibels; inf if the error is 0.

    Examples
    --------
    >>> decibels(0.01), decibels(0.0)
    (20.0, inf)
    """
    return -10 * float(np.log10(mean)) if mean > 0 else float("inf")


def ssim(picture: ArrayLike, original: ArrayLike) -> float:
    """Return the mean structural similarity of the sRGB values, over windows and channels.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].

    Returns
    -------
    float
        The similarity, at most 1, which equal pictures have.

    Notes
    -----
    Windows are Gaussian with a standard deviation of 1.5 pixels; windows that the border cuts are
    left out.

    References
    ----------
    Z. Wang, A. C. Bovik, H. R. Sheikh and E. P. Simoncelli, "Image quality assessment: from error
    visibility to structural similarity", IEEE Transactions on Image Processing 13, 2004.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((20, 30, 3))
    >>> round(ssim(image, image), 6), ssim(1 - image, image) < 0
    (1.0, True)
    """
    return Ssim(original).similarity(picture)


class Ssim:
    """Similarities of pictures to one original, which is looked at once: see `ssim`.

    Parameters
    ----------
    original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    """

    def __init__(self, original: ArrayLike) -> None:
        self._original = self._seen(original)

    def similarity(self, picture: ArrayLike) -> float:
        """Return the similarity of a picture."""
        found = [y.beside(x) for x, y in zip(self._seen(picture), self._original)]
        return float(np.mean([luminance * structure for luminance, structure, _ in found]))

    @staticmethod
    def _seen(image: ArrayLike) -> list[_Windows]:
        return [_Windows(plane) for plane in np.moveaxis(values(image, linear=False), -1, 0)]


def cssim(picture: ArrayLike, original: ArrayLike) -> float:
    """Return the SSIM of luma, weighted by the original's contrast: see `structure.cssim`.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].

    Returns
    -------
    float
        The similarity, at most 1, which equal pictures have.

    Examples
    --------
    >>> import numpy as np
    >>> cssim(np.zeros((20, 30, 3)), np.ones((20, 30, 3)))
    1.0
    """
    return _weighted(*_Windows(luma(original)).beside(_Windows(luma(picture))))


def ms_ssim(picture: ArrayLike, original: ArrayLike) -> float:
    """Return the structural similarity of luma at up to five scales: see `structure.ms_ssim`.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].

    Returns
    -------
    float
        The similarity, at most 1, which equal pictures have.

    Examples
    --------
    >>> import numpy as np
    >>> image = np.random.default_rng(0).random((200, 300, 3))
    >>> round(ms_ssim(image, image), 6)
    1.0
    """
    return Structure(original).similarities(picture)[0]


class Structure:
    """Similarities of pictures to the luma of one original, which is looked at once.

    Parameters
    ----------
    original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    """

    def __init__(self, original: ArrayLike) -> None:
        self._original = self._seen(original)

    def similarities(self, picture: ArrayLike) -> tuple[float, float]:
        """Return `ms_ssim` and `cssim` of a picture."""
        found = [y.beside(x) for x, y in zip(self._seen(picture), self._original)]
        exponents, score = exponents_for(self._original[0].plane.shape), 1.0
        for i, ((luminance, structure, _), exponent) in enumerate(zip(found, exponents)):
            if i == len(found) - 1:
                structure = luminance * structure
            score *= max(float(structure.mean()), FLOOR) ** exponent
        return float(score), _weighted(*found[0])

    @staticmethod
    def _seen(image: ArrayLike) -> list[_Windows]:
        """Return the windows of each scale."""
        scales: list[FloatArray] = [luma(image)[None]]
        for _ in exponents_for(scales[0][0].shape)[1:]:
            scales.append(halve(scales[-1]))
        return [_Windows(plane) for (plane,) in scales]


def _weighted(luminance: Array, structure: Array, deviation: Array) -> float:
    """Return the mean similarity of windows, weighted by the contrast of the original."""
    share = np.minimum(2 * deviation, 1)
    return float((share * luminance * structure + 1 - share).mean())


class _Windows:
    """A plane, and the means of it and of its square in each window."""

    def __init__(self, plane: Array) -> None:
        self.plane = plane
        self.mean, self.square = _means(plane), _means(plane * plane)

    def beside(self, other: _Windows) -> tuple[Array, Array, Array]:
        """Return another's similarities of luminance and of structure, and its own deviations."""
        var_x, var_y = (one.square - one.mean**2 for one in (other, self))
        both = other.mean * self.mean
        covariance = _means(other.plane * self.plane) - both
        luminance = (2 * other.mean * self.mean + C1) / (other.mean**2 + self.mean**2 + C1)
        structure = (2 * covariance + C2) / (var_x + var_y + C2)
        return luminance, structure, np.sqrt(np.maximum(var_y, 0))


def _means(plane: Array) -> Array:
    """Return the means of a plane in each window."""
    from scipy import ndimage

    means = ndimage.gaussian_filter(plane, SIGMA, radius=RADIUS)
    cut = min(plane.shape) > 2 * RADIUS  # else the border cuts each window
    return means[RADIUS:-RADIUS, RADIUS:-RADIUS] if cut else means


def flicker(
    indices: ByteArray, values: Array, previous_indices: ByteArray, previous_values: Array
) -> tuple[int, int]:
    """Count the pixels of a dithered animation that change although the original does not.

    Parameters
    ----------
    indices, previous_indices : array of uint8, shape (height, width)
        Palette indices of a dithered frame and of the frame before it.
    values, previous_values : array, shape (height, width, 3)
        The original frames.

    Returns
    -------
    changed, still : int
        Number of pixels that change although the original does not, and number of pixels where the
        original does not change.

    Examples
    --------
    >>> import numpy as np
    >>> flicker(np.uint8([[0, 1]]), np.ones((1, 2, 3)), np.uint8([[0, 0]]), np.ones((1, 2, 3)))
    (1, 2)
    """
    still = (values == previous_values).all(axis=-1)
    return int((still & (indices != previous_indices)).sum()), int(still.sum())


def values(image: ArrayLike, *, linear: bool) -> npt.NDArray[np.float64]:
    """Convert sRGB values to the numbers that are compared.

    Parameters
    ----------
    image : array_like, any shape
        sRGB values, uint8 or float in [0, 1].
    linear : bool
        Convert to linear light.

    Returns
    -------
    array of float64
        Linear light, or the sRGB values in [0, 1].
    """
    return (to_linear(image) if linear else unit_srgb(image)).astype(np.float64)
