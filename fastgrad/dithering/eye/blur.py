"""The blur that stands for the viewer's eye. A picture is zero outside its border."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from fastgrad import _outputs, _validate
from fastgrad._typing import FloatArray
from fastgrad.kernels.dithering.eye import blur as kernels

TRUNCATE = 3.0  # standard deviations kept on each side
LUMINANCE = 11.0  # of the screen in cd/m^2, in the eye's model
NEGLIGIBLE = 1e-3  # terms of a kernel that are smaller than this share of the greatest


def gaussian(sigma: float) -> FloatArray:
    """Return samples of a Gaussian at the integers, scaled to sum to 1.

    Parameters
    ----------
    sigma : float
        Standard deviation in pixels; 0 gives the single sample 1.

    Returns
    -------
    array of float64, shape (2 r + 1,)
        The samples, with ``r = round(3 sigma)``: the kernel of ``scipy.ndimage.gaussian_filter``
        with ``truncate=3``.

    Examples
    --------
    >>> gaussian(1.0).round(3)
    array([0.004, 0.054, 0.242, 0.399, 0.242, 0.054, 0.004])
    """
    radius = int(TRUNCATE * sigma + 0.5)
    x = np.arange(-radius, radius + 1)
    weights = np.exp(-0.5 * (x / max(sigma, 1e-9)) ** 2)
    return weights / weights.sum()


def autocorrelation(taps: FloatArray) -> FloatArray:
    """Return the autocorrelation of a kernel: blurring twice is blurring once with it.

    Parameters
    ----------
    taps : array, shape (2 r + 1,)
        A kernel of one dimension.

    Returns
    -------
    array, shape (4 r + 1,)
        Correlation of the kernel with itself at all shifts.

    Examples
    --------
    >>> import numpy as np
    >>> autocorrelation(np.array([0.25, 0.5, 0.25]))
    array([0.0625, 0.25  , 0.375 , 0.25  , 0.0625])
    """
    return np.correlate(taps, taps, mode="full")


def nasanen(ppd: float) -> FloatArray:
    """Return samples of the eye's point spread function by Nasanen's model, at the integers.

    Parameters
    ----------
    ppd : float
        Pixels per degree of the visual field.

    Returns
    -------
    array of float64, shape (2 r + 1, 2 r + 1)
        Samples of ``(k^2 + (2 pi d)^2)^-1.5`` at distance d, scaled to sum to 1, with
        ``k = ppd / (0.525 log(luminance) + 3.91)`` and ``r = round(0.75 k)``.

    References
    ----------
    R. Nasanen, "Visibility of halftone dot textures", IEEE Transactions on Systems, Man and
    Cybernetics 14(6), 1984.

    Examples
    --------
    >>> nasanen(35.0).shape
    (11, 11)
    """
    k = ppd / (0.525 * np.log(LUMINANCE) + 3.91)
    radius = max(1, round(0.75 * k))
    x = 2 * np.pi * np.arange(-radius, radius + 1)
    weights = (k**2 + x[:, None] ** 2 + x**2) ** -1.5
    return weights / weights.sum()


def separated(kernel: FloatArray) -> FloatArray:
    """Return the autocorrelation of a symmetric kernel as a sum of separable ones.

    Parameters
    ----------
    kernel : array, shape (2 r + 1, 2 r + 1)
        A kernel that is symmetric in both directions and under their exchange.

    Returns
    -------
    array, shape (terms, 2, 4 r + 1)
        The kernels down and across of each term. Terms are left out that are smaller than a
        thousandth of the greatest.

    Examples
    --------
    >>> import numpy as np
    >>> separated(np.ones((3, 3))).shape
    (1, 2, 5)
    """
    size = 2 * len(kernel) - 1
    spectrum = np.square(np.abs(np.fft.rfft2(kernel, (size, size))))
    table = np.fft.fftshift(np.fft.irfft2(spectrum, (size, size)))
    values, vectors = np.linalg.eigh((table + table.T) / 2)
    keep = np.abs(values) > NEGLIGIBLE * np.abs(values).max()
    return np.stack([values[keep, None] * vectors.T[keep], vectors.T[keep]], axis=1)


@lru_cache(maxsize=16)
def of_the_eye(ppd: float) -> FloatArray:
    """Return `nasanen` blurred with itself, as `separated` has it, which nobody is to change."""
    found = separated(nasanen(ppd))
    found.flags.writeable = False
    return found


def convolve(
    planes: FloatArray,
    taps: FloatArray,
    *,
    nu: float | np.floating = 0.0,
    out: FloatArray | None = None,
    margin: int = 0,
) -> FloatArray:
    """Convolve planes with a symmetric kernel, with zeros outside them.

    Parameters
    ----------
    planes : array of float32 or float64, shape (n, height, width)
        The planes; each is convolved by itself.
    taps : array, shape (2 r + 1,) or (terms, 2, 2 r + 1)
        The kernel in each of the two directions, or a sum of kernels down times kernels across.
    nu : float, optional
        Multiple of the planes that is added to the result.
    out : array, shape (n, height + 2 margin or more, width + 2 margin or more), optional
        Array for the result, which is written inside a margin that is left as it is.
    margin : int, optional
        Width of the margin of ``out``.

    Returns
    -------
    array, shape (n, height, width)
        The convolved planes, of the dtype of ``planes``; or ``out``.

    Examples
    --------
    >>> import numpy as np
    >>> convolve(np.eye(3)[None], np.array([0.25, 0.5, 0.25]))[0, 1]
    array([0.25 , 0.375, 0.25 ])
    """
    planes = np.ascontiguousarray(planes)
    margin = _validate.integer(margin, "margin", 0)
    if out is None:
        out = np.empty_like(planes)
    else:
        out = _outputs.with_margin(out, planes.shape, planes.dtype, margin, planes)
    kernels.blur(out, planes, terms_of(taps, planes.dtype), planes.dtype.type(nu), margin)
    return out


def terms_of(taps: FloatArray, dtype: npt.DTypeLike) -> FloatArray:
    """Return a kernel, (2 r + 1,) or (terms, 2, 2 r + 1), as a sum of kernels down and across.

    Parameters
    ----------
    taps : array
        The kernel, as in `convolve`.
    dtype : dtype_like
        The type that it is to have.

    Returns
    -------
    array, shape (terms, 2, 2 r + 1)
        The same in C order, lest what takes it be compiled for two.

    Examples
    --------
    >>> terms_of(gaussian(1.0), np.float32).shape
    (1, 2, 7)
    """
    taps = np.broadcast_to(taps, (1, 2, taps.size)) if taps.ndim == 1 else taps
    return np.array(taps, dtype, order="C")
