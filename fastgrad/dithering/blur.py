"""The Gaussian blur that stands for the viewer's eye. A picture is zero outside its border."""

import numpy as np

from fastgrad.kernels.dithering import blur as kernels

TRUNCATE = 3.0  # standard deviations kept on each side


def gaussian(sigma):
    """Return a Gaussian's samples at the integers, which sum to 1.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels; 0 gives the single sample 1.

    Returns
    -------
    numpy.ndarray of float64, shape (2 r + 1,)
        With ``r = round(3 sigma)``, as ``scipy.ndimage.gaussian_filter`` has it for
        ``truncate=3``.

    Examples
    --------
    >>> gaussian(1.0).round(3)
    array([0.004, 0.054, 0.242, 0.399, 0.242, 0.054, 0.004])
    """
    radius = int(TRUNCATE * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (x / max(sigma, 1e-9)) ** 2)
    return weights / weights.sum()


def autocorrelation(taps):
    """Return the autocorrelation of a kernel: blurring twice is blurring once with it.

    Parameters
    ----------
    taps : numpy.ndarray, shape (2 r + 1,)
        A kernel of one dimension.

    Returns
    -------
    numpy.ndarray, shape (4 r + 1,)
        Its correlation with itself at all shifts.

    Examples
    --------
    >>> import numpy as np
    >>> autocorrelation(np.array([0.25, 0.5, 0.25]))
    array([0.0625, 0.25  , 0.375 , 0.25  , 0.0625])
    """
    return np.correlate(taps, taps, mode="full")


def convolve(planes, taps):
    """Convolve planes with a separable symmetric kernel, taking what is outside them as zero.

    Parameters
    ----------
    planes : numpy.ndarray of float32 or float64, shape (n, height, width)
        The planes, each by itself.
    taps : numpy.ndarray, shape (2 r + 1,)
        The kernel in each of the two directions; symmetric.

    Returns
    -------
    numpy.ndarray, shape (n, height, width)
        The convolved planes, of the dtype of ``planes``.

    Examples
    --------
    >>> import numpy as np
    >>> convolve(np.eye(3)[None], np.array([0.25, 0.5, 0.25]))[0, 1]
    array([0.25 , 0.375, 0.25 ])
    """
    planes = np.ascontiguousarray(planes)
    out = np.empty_like(planes)
    kernels.blur(planes.size * taps.size, out, planes, np.asarray(taps, planes.dtype))
    return out
