"""Pictures by error diffusion: where the search for a better one starts."""

import numpy as np

from fastgrad.dithering.eye.blur import convolve, gaussian
from fastgrad.dithering.optimiser.search import in_vectors
from fastgrad.kernels.dithering.optimiser import diffusion as kernels

LIMIT = 0.5  # share of a channel's range that an error handed on may have
AROUND = 2.0  # pixels over which two pictures are compared


def diffuse(loss, palette):
    """Dither by error diffusion, in the space of a loss.

    Rows go back and forth; errors do not pass from one band of 128 rows to the next, so that bands
    are independent. `Search` mends what that does.

    Parameters
    ----------
    loss : BlurredError
        The loss; it knows the image, and which pixels count.
    palette : array_like, shape (K, channels)
        The colours in the space of the loss.

    Returns
    -------
    numpy.ndarray of uint8, shape (height, width)
        Palette indices.

    References
    ----------
    .. [1] R. W. Floyd and L. Steinberg, "An adaptive algorithm for spatial greyscale", Proceedings
       of the Society for Information Display 17(2), 1976.
    .. [2] S. Hocevar and G. Niger, "Reinstating Floyd-Steinberg: improved metrics for quality
       assessment of error diffusion algorithms", ICISP 2008: the weights for serpentines.

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
    limits = loss.dtype(LIMIT) * np.ptp(palette, axis=0)
    kernels.diffuse(indices, loss.planes, loss.weights, in_vectors(palette), limits)
    return indices


def begin(loss, palette, *, previous=None, gap=0.0):
    """Return the picture to start from: the one before where it still will do, else a fresh one.

    Parameters
    ----------
    loss, palette
        As of `diffuse`, which makes the fresh one.
    previous : numpy.ndarray of uint8, shape (height, width), optional
        The picture before this one.
    gap : float, optional
        How much nearer, in squared distance, the previous colour is taken to be: so much more may
        the mean error around a pixel be for it to stay.

    Returns
    -------
    numpy.ndarray of uint8, shape (height, width)
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
    return np.where(kept <= new + loss.own * loss.dtype(gap), previous, fresh)


def _around(loss, indices, palette):
    """Return the mean share in the loss of the pixels around each."""
    error = loss.error(indices, palette)
    share = (error * loss.field(error)).sum(axis=0, keepdims=True)
    return convolve(share, gaussian(AROUND))[0]
