"""What is twice in a picture looks the same twice: letters and icons, lines of gradients.

A search comes to a pixel of the second one when its neighbours are not as they were at the first.
Its few other choices are seen by nobody, but break the matches that Deflate finds.
"""

from __future__ import annotations

import copy

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.optimiser.drawn import codes_of
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.rate import frugal
from fastgrad.dithering.optimiser.search import Search

__all__ = ["periodic", "repeated", "tidied"]

PERIOD = 16  # lines of grain that are repeated: of fewer, some are seen as lines across
PASSES = 6  # sweeps in which lines that repeat are made to fit each other
ROUNDING = 1e-6  # by which lines that are alike may differ; a step of the darkest grey is 3e-4
AROUND = 2  # rows and columns on each side of a pixel that must be the same
FACTOR = 0x9E3779B97F4A7C15  # odd: the hash of surroundings is a polynomial of it, modulo 2^64


def tidied(problem: Problem, loss: BlurredError, indices: ByteArray, colors: FloatArray) -> bool:
    """Give a finished picture the same indices wherever it is the same, in place.

    What is drawn takes frequent ones, too, where these are nearly as good.

    Parameters
    ----------
    problem : Problem
        What was to be solved. With a previous frame nothing is done: that is what is repeated.
    loss : BlurredError
        The loss of those pixels that are not pinned.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    colors : array, shape (K, channels)
        The palette, in the space of the loss.

    Returns
    -------
    bool
        Whether some indices may be new.
    """
    if problem.previous is not None:
        return False
    if problem.drawn:
        cheap = frugal(loss, indices, colors)
        indices[...] = repeated(problem.rgb(), cheap, loss.weights > 0)
        return True
    found = periodic(loss, indices, colors)
    indices[...] = found
    return found is not indices


def repeated(image: ByteArray, indices: ByteArray, free: npt.NDArray[np.bool_]) -> ByteArray:
    """Give pixels with the same surroundings the same index, the one that most of them have.

    Grain along lines and across ramps stays: there, pixels beside each other are alike.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    free : array of bool, shape (height, width)
        The pixels that take part.

    Returns
    -------
    array of uint8, shape (height, width)
        The new indices.

    Examples
    --------
    >>> image, indices = np.zeros((5, 30, 3), np.uint8), np.zeros((5, 30), np.uint8)
    >>> image[2, [5, 15, 25]], indices[2, [5, 15, 25]] = 7, (3, 2, 3)
    >>> repeated(image, indices, image[..., 0] == 7)[2, [5, 15, 25]].tolist()
    [3, 3, 3]
    """
    if not free.any():
        return indices
    hashes, alone = np.zeros(free.shape, np.uint64), free.copy()
    hashes[free] = _hashes(codes_of(image), np.flatnonzero(free))
    for one, two in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        other = hashes[one] != hashes[two]
        alone[one] &= other
        alone[two] &= other
    group = np.unique(hashes[alone], return_inverse=True)[1].astype(np.int64).reshape(-1)
    votes, counts = np.unique(group * 256 + indices[alone], return_counts=True)
    order = np.lexsort((-counts, votes >> 8))  # of those with as many votes, the first index
    first = np.unique((votes >> 8)[order], return_index=True)[1]
    out = indices.copy()
    out[alone] = (votes & 255)[order][first][group]
    return out


def periodic(loss: BlurredError, indices: ByteArray, colors: FloatArray) -> ByteArray:
    """Repeat a few lines of grain where all rows, or all columns, of the original are alike.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture.
    indices : array of uint8, shape (height, width)
        The palette index of each pixel.
    colors : array, shape (K, channels)
        The palette, in the space of the loss.

    Returns
    -------
    array of uint8, shape (height, width)
        The new indices, whose loss is not larger; or the same array, if there are none.

    Examples
    --------
    >>> ramp = np.tile(np.linspace(0, 1, 40)[None, :, None], (400, 1, 1))
    >>> noisy = np.random.default_rng(0).random((400, 40)) < ramp[..., 0]
    >>> found = periodic(BlurredError(ramp), np.uint8(noisy), np.array([[0.0], [1.0]]))
    >>> bool((found[:-16] == found[16:]).all()), bool((found[:1] == found[:16]).all())
    (True, False)
    """
    axis = _same_along(loss)
    if axis is None:
        return indices
    size, margin = loss.shape[axis], -(-loss.radius // PERIOD) * PERIOD
    if size < 2 * (PERIOD + 2 * margin):
        return indices
    line = _fitting(loss, indices, colors, axis, margin)
    found = _cycled(line, size, axis)
    return found if loss.of(found, colors) <= loss.of(indices, colors) else indices


def _same_along(loss: BlurredError) -> int | None:
    """Return the axis along which nothing changes, neither pixels nor weights; None of two."""
    arrays = *loss.planes, loss.weights
    found = [axis for axis in (0, 1) if all(_even(array, axis) for array in arrays)]
    return found[0] if len(found) == 1 else None


def _even(array: Array, axis: int) -> bool:
    """Return whether all lines of an array are alike; of photographs, two of them say no."""
    two = array.take([0, array.shape[axis] // 2], axis)
    return all(np.ptp(lines, axis).max() <= ROUNDING for lines in (two, array))


def _fitting(loss, indices, colors, axis, margin):
    """Return as many lines as a period has, searched for between copies of themselves."""
    length, begin = PERIOD + 2 * margin, loss.shape[axis] // 2
    part = copy.copy(loss)
    part.__dict__.pop("pixels", None)  # which is counted once
    part.planes = np.ascontiguousarray(loss.planes.take(range(length), 1 + axis))
    part.weights = np.ascontiguousarray(loss.weights.take(range(length), axis))
    line = indices.take(range(begin, begin + PERIOD), axis)
    for _ in range(PASSES):
        strip = _cycled(line, length, axis)
        Search(part, strip, colors).sweep()
        new = strip.take(range(margin, margin + PERIOD), axis)
        if (new == line).all():
            break
        line = new
    return line


def _cycled(line: ByteArray, size: int, axis: int) -> ByteArray:
    """Return lines again and again, until there are as many as asked."""
    return np.ascontiguousarray(line.take(np.arange(size) % line.shape[axis], axis))


def _hashes(codes: Array, places: Array) -> npt.NDArray[np.uint64]:
    """Return a number for the surroundings of each of some pixels."""
    wide = np.pad(codes.astype(np.uint64), AROUND, mode="edge")
    across = wide.shape[1]
    row, column = np.divmod(places, codes.shape[1])
    corner, flat = row * across + column, wide.ravel()
    found = np.zeros(len(places), np.uint64)
    for down in range(2 * AROUND + 1):
        for right in range(2 * AROUND + 1):
            found *= np.uint64(FACTOR)
            found += flat[corner + (down * across + right)] + np.uint64(1)
    return found
