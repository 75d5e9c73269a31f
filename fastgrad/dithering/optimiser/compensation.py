"""What a picture misses of slow changes of colour, handed back to what it aims at.

The plain squared error of the loss, which keeps grain low, costs truth: pixels take colours that
are near rather than those whose mean is right, and over a few pixels' width colours are off, most
of all where it is dark. A viewer sees that sooner than grain. As in a Bregman iteration, the
blurred residual of a picture is added to the target, and the search goes on from there.
"""

from __future__ import annotations

import copy

import numpy as np

from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.eye.blur import convolve, gaussian, terms_of
from fastgrad.dithering.optimiser.diffusion import diffuse_rows, limits_of
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.residual import laid
from fastgrad.dithering.optimiser.search import Search, in_vectors
from fastgrad.kernels.dithering.optimiser import compensation as kernels
from fastgrad.kernels.dithering.optimiser.loss_rows import AIMED, COUNTED

__all__ = ["RADIUS", "Steering", "aimed", "blurred", "compensated", "steered"]

SIGMA = 2.0  # pixels over which colours are to be right
SHARE = 0.5  # of what is missing: all of it would be made up for by grain,
FEW = 8  # which is coarser with fewer colours, so that the share is less in proportion
SLOW = 4.0  # pixels over which the colours of a fixed palette are to be right in the mean, or less:
WIDER = 2.0  # times as many as those over which the eye, twice, blurs
KEPT = 0.7  # share of what was added up before a sweep that stays for the next
MOST = 0.15  # of the way from a pixel to the nearest colour: as much may be added up
ASLEEP = 0.1  # of that: where less comes to the sum at once, few pixels move for it
STEERED = 16  # sweeps of a steered search, at most
EVERY = 2  # rows and columns, of which one tells how far the nearest colours are
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
        The loss whose picture has half of the blurred residual added, or less if there are few
        colours, where pixels count.

    References
    ----------
    S. Osher, M. Burger, D. Goldfarb, J. Xu and W. Yin, "An iterative regularization method for
    total variation-based image restoration", Multiscale Modeling and Simulation 4(2), 2005.

    Examples
    --------
    >>> loss = BlurredError(np.full((30, 30, 1), 0.3))
    >>> target = compensated(loss, np.zeros((30, 30), np.uint8), np.array([[0.2], [1.0]]))
    >>> round(float(target.planes[0, 15, 15]), 4)
    0.3125
    """
    target = copy.copy(loss)
    target.planes = np.empty_like(loss.planes)
    given = (loss.weights, loss.planes), (terms_of(_taps(len(palette)), loss.dtype), 0.0)
    laid(indices, palette, *given, what=AIMED, out=target.planes, summed=False)
    return target


class Steering:
    """What a picture misses over some pixels' width, added up from sweep to sweep.

    With few colours a single move is too large for a small error that many pixels share, so that a
    search leaves it. Added up before each sweep, `steer` makes up for it. In nearly black places,
    though, it would take a dot for so many pixels that the eye sees dots and no tone: what is added
    up fades, and is never more than a share of what is to be mixed there.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture.
    palette : array, shape (K, channels)
        The colours in the space of the loss.

    Examples
    --------
    >>> loss = BlurredError(np.full((60, 60, 1), 0.3, np.float32))
    >>> steering = Steering(loss, np.float32([[0.2], [1.0]]))
    >>> more = steering.more(np.zeros((60, 60), np.uint8))
    >>> round(float(more[0, 30, 30]), 3)
    -0.015
    """

    def __init__(self, loss: BlurredError, palette: FloatArray) -> None:
        self._loss, self._palette = loss, np.ascontiguousarray(palette, loss.dtype)
        slow = min(SLOW, max(1.0, WIDER * _spread(loss)))
        self._most = _limits(loss, self._palette, slow)
        # Of greys all is visited: they move for less, and take little time.
        self._asleep = loss.dtype(ASLEEP) * self._most if len(loss.planes) > 1 else None
        self._taps = terms_of(gaussian(slow), loss.dtype)
        self._sum, self._off = np.zeros_like(loss.planes), np.empty_like(loss.planes)

    def more(self, indices: ByteArray) -> FloatArray:
        """Return what comes to the sum before the next sweep.

        Parameters
        ----------
        indices : array of uint8, shape (height, width)
            The palette index of each pixel of the picture as it is.

        Returns
        -------
        array, shape (channels, height, width)
            By how much less than before the search is to aim at; it is overwritten by the next.
        """
        loss, off = self._loss, self._off
        given = (loss.weights, loss.planes), (self._taps, 0.0)
        laid(indices, self._palette, *given, what=COUNTED, out=off, summed=False)
        kernels.add_up(self._sum, off, self._most, loss.dtype(KEPT))
        return off

    def steer(self, search: Search) -> None:
        """Have a search aim at the picture and what it has missed until now."""
        search.steer(self.more(search.indices), self._asleep)

    def end(self, search: Search) -> None:
        """Have a search aim at the picture again, and visit every pixel."""
        np.negative(self._sum, out=self._off)
        search.steer(self._off)


def steered(loss: BlurredError, sweeps: int) -> tuple[int, int, int]:
    """Return the sweeps before a search is steered, those that are, and those after: more of greys.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture.
    sweeps : int
        Sweeps that an unsteered search would have.

    Returns
    -------
    tuple of int
        Their numbers.

    Examples
    --------
    >>> steered(BlurredError(np.zeros((9, 9, 3))), 6), steered(BlurredError(np.zeros((9, 9, 1))), 6)
    ((1, 7, 4), (2, 16, 4))
    """
    more, extra = (2, 3) if len(loss.planes) == 1 else (1, 6)
    steps = min(more * (sweeps + sweeps // extra), STEERED)
    return (more if sweeps > 2 else 1), steps, max(1, 2 * sweeps // 3)


def _spread(loss: BlurredError) -> float:
    """Return the standard deviation, in pixels, of what a loss blurs by."""
    across = loss.table.sum(axis=0, dtype=np.float64)
    square = np.square(np.arange(across.size) - across.size // 2) @ across
    return float(np.sqrt(square / across.sum()))


def _limits(loss: BlurredError, palette: FloatArray, slow: float) -> FloatArray:
    """Return how much may be added up, (height, width): a share of the way to the nearest colour.

    Since that is blurred, a few of the pixels are enough.
    """
    planes = np.ascontiguousarray(loss.planes[:, ::EVERY, ::EVERY])
    height, width = planes.shape[1:]
    nearest: ByteArray = np.empty((height, width), np.uint8)
    nothing = np.zeros((height, width), loss.dtype)  # no error is handed on
    diffuse_rows(nearest, planes, nothing, (in_vectors(palette), limits_of(palette)), width)
    apart = np.zeros((height, width), loss.dtype)
    for plane, colours in zip(planes, palette.T):
        apart += np.square(colours[nearest] - plane)
    apart *= loss.weights[::EVERY, ::EVERY] > 0
    most = convolve(loss.dtype(MOST) * np.sqrt(apart)[None], gaussian(slow / EVERY))[0]
    rows, columns = loss.shape
    return np.ascontiguousarray(most.repeat(EVERY, 0).repeat(EVERY, 1)[:rows, :columns])


def _taps(colors: int) -> FloatArray:
    """Return the taps, for rows and columns alike, of a blur times the share handed back."""
    return (SHARE * min(1.0, colors / FEW)) ** 0.5 * gaussian(SIGMA)


def blurred(error: FloatArray, colors: int) -> FloatArray:
    """Return the share of an error, (channels, height, width), that is handed back."""
    return convolve(error, _taps(colors))


def aimed(planes: FloatArray, counted: FloatArray, shared: FloatArray) -> FloatArray:
    """Return the target where what is handed back is known.

    Parameters
    ----------
    planes : array, shape (channels, height, width)
        The picture in the space of the loss.
    counted : array, shape (height, width)
        1 where pixels count, else 0.
    shared : array, shape (channels, height, width)
        What `blurred` makes of the error of a dithered picture, which is 0 where pixels do not
        count. It may be overwritten.

    Returns
    -------
    array, shape (channels, height, width)
        The target.

    Examples
    --------
    >>> aimed(np.ones((1, 1, 2)), np.array([[1.0, 0.0]]), np.full((1, 1, 2), 0.25))
    array([[[0.75, 1.  ]]])
    """
    target = np.ascontiguousarray(shared)  # of a large picture, new memory takes longer than sums
    target *= counted
    np.subtract(planes, target, out=target)
    return target
