"""What a picture misses of slow changes of colour, handed back to what it aims at.

The plain squared error of the loss, which keeps grain low, costs truth: pixels take colours that
are near rather than those whose mean is right, and over a few pixels' width colours are off, most
of all where it is dark. A viewer sees that sooner than grain. As in a Bregman iteration, the
blurred residual of a picture is added to the target, and the search goes on from there.
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt

from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.eye.blur import convolve, gaussian
from fastgrad.dithering.optimiser.loss import BlurredError

__all__ = ["RADIUS", "aimed", "blurred", "compensated", "missing"]

SIGMA = 2.0  # pixels over which colours are to be right
SHARE = 0.5  # of what is missing: all of it would be made up for by grain
RADIUS = len(gaussian(SIGMA)) // 2  # pixels as far as which it is handed back


def compensated(loss: BlurredError, indices: ByteArray, palette: FloatArray) -> BlurredError:
    """Return the loss of a picture that is brighter or darker where a dithered one is not true.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel of a picture that has been searched.
    palette : array, shape (K, channels)
        The colours in the space of the loss.

    Returns
    -------
    BlurredError
        The loss whose picture has half of the blurred residual added, where pixels count.

    References
    ----------
    S. Osher, M. Burger, D. Goldfarb, J. Xu and W. Yin, "An iterative regularization method for
    total variation-based image restoration", Multiscale Modeling and Simulation 4(2), 2005.

    Examples
    --------
    >>> loss = BlurredError(np.full((30, 30, 1), 0.3))
    >>> target = compensated(loss, np.zeros((30, 30), np.uint8), np.array([[0.2], [1.0]]))
    >>> round(float(target.planes[0, 15, 15]), 3)
    0.35
    """
    counted, colors = loss.weights > 0, np.asarray(palette, loss.dtype).T
    target = copy.copy(loss)
    residual = missing(loss.planes, counted, indices, colors)
    target.planes = aimed(loss.planes, counted, blurred(residual))
    return target


def missing(
    planes: FloatArray, counted: npt.NDArray[np.bool_], indices: ByteArray, colors: FloatArray
) -> FloatArray:
    """Return what a picture, or some rows of it, misses: 0 where pixels do not count.

    Parameters
    ----------
    planes : array, shape (channels, height, width)
        What it is to be, in the space of the loss.
    counted : array of bool, shape (height, width)
        Which pixels count.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    colors : array, shape (channels, K)
        The palette, planar.

    Returns
    -------
    array, shape (channels, height, width)
        The residual.

    Examples
    --------
    >>> counted = np.array([[True, False]])
    >>> missing(np.ones((1, 1, 2)), counted, np.zeros((1, 2), np.uint8), np.array([[0.75]]))
    array([[[0.25, 0.  ]]])
    """
    return (planes - colors[:, indices]) * counted


def blurred(residual: FloatArray) -> FloatArray:
    """Return the share of a residual, (channels, height, width), that is handed back."""
    return convolve(residual, SHARE**0.5 * gaussian(SIGMA))


def aimed(planes: FloatArray, counted: npt.NDArray[np.bool_], more: FloatArray) -> FloatArray:
    """Return the target: planes, (channels, height, width), and where pixels count, more."""
    return more * counted + planes
