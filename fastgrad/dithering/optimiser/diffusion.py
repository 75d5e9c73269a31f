"""Pictures by error diffusion: where the search for a better one starts."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.blur import convolve, gaussian
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.search import in_vectors
from fastgrad.kernels.dithering.optimiser import diffusion as kernels

__all__ = ["begin", "diffuse"]

LIMIT = 0.5  # share of a channel's range that an error handed on may have
AROUND = 2.0  # pixels over which two pictures are compared


def diffuse(loss: BlurredError, palette: ArrayLike) -> ByteArray:
    """Dither by error diffusion, in the space of a loss.

    Rows are scanned in alternating directions. No errors pass from one band of 128 rows to the
    next, so that bands can be worked on at the same time; `Search` repairs the seams.

    Parameters
    ----------
    loss : BlurredError
        The loss, which holds the image and the weights of its pixels.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.

    Returns
    -------
    array of uint8, shape (height, width)
        Palette indices.

    References
    ----------
    R. W. Floyd and L. Steinberg, "An adaptive algorithm for spatial greyscale", Proceedings of the
    Society for Information Display 17(2), 1976.

    S. Hocevar and G. Niger, "Reinstating Floyd-Steinberg: improved metrics for quality assessment
    of error diffusion algorithms", ICISP 2008: the weights for alternating directions.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.dithering.optimiser.loss import BlurredError
    >>> loss = BlurredError(np.full((30, 40, 1), 0.25))
    >>> round(float(diffuse(loss, [[0.0], [1.0]]).mean()), 2)
    0.25
    """
    palette = np.asarray(palette, loss.dtype)
    indices = np.empty(loss.shape, np.uint8)
    vectors, limits = in_vectors(palette), limits_of(palette)
    kernels.diffuse(indices, loss.planes, loss.weights, vectors, limits)
    return indices


def limits_of(palette: FloatArray) -> FloatArray:
    """Return the greatest errors that are handed on, for each channel of a palette."""
    return palette.dtype.type(LIMIT) * np.ptp(palette, axis=0)


def begin(
    loss: BlurredError,
    palette: ArrayLike,
    *,
    previous: ByteArray | None = None,
    gap: ArrayLike = 0.0,
) -> ByteArray:
    """Return the picture to start from: the previous frame where it is still good, else a new one.

    Parameters
    ----------
    loss, palette
        As in `diffuse`, which makes the new picture.
    previous : array of uint8, shape (height, width), optional
        The previous frame's indices.
    gap : float or array_like, shape (height, width), optional
        Reward for keeping a pixel's previous colour, as a squared distance: a pixel keeps it if the
        mean error around it is larger than in the new picture by no more than that.

    Returns
    -------
    array of uint8, shape (height, width)
        Palette indices.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.dithering.optimiser.loss import BlurredError
    >>> loss, white = BlurredError(np.ones((30, 40, 1))), np.ones((30, 40), np.uint8)
    >>> white[:15] = 0
    >>> begin(loss, [[0.0], [1.0], [1.0]], previous=white)[::29, 0]
    array([1, 1], dtype=uint8)
    """
    fresh = diffuse(loss, palette)
    if previous is None:
        return fresh
    kept, new = (_around(loss, indices, palette) for indices in (previous, fresh))
    return np.where(kept <= new + loss.own * np.asarray(gap, loss.dtype), previous, fresh)


def _around(loss, indices, palette):
    """Return the mean share in the loss of the pixels around each."""
    error = loss.error(indices, palette)
    share = (error * loss.field(error)).sum(axis=0, keepdims=True)
    return convolve(share, gaussian(AROUND))[0]
