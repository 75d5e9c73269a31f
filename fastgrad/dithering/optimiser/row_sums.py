"""The figures of some rows of a dithered picture."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, ByteArray, FloatArray
from fastgrad.dithering.optimiser import diffusion
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.kernels.dithering.optimiser import loss_rows as kernels

__all__ = ["row_sums"]


def row_sums(
    loss: BlurredError,
    labels: ByteArray,
    weights: FloatArray,
    planes: FloatArray,
    colors: FloatArray,
    *,
    own: slice,
    columns: tuple[int, int],
) -> FloatArray:
    """Return the figures of some rows, of which others lie above and below.

    Parameters
    ----------
    loss : BlurredError
        Any loss whose blur and whose ``nu`` are those of the picture.
    labels : array of uint8, shape (rows, width)
        The palette index of each pixel.
    weights : array, shape (rows, width)
        The weights of the pixels.
    planes : array, shape (channels, rows or more, width)
        Their colours in the space of the loss.
    colors : array, shape (channels, K)
        The palette, planar.
    own : slice
        The rows that are asked for. All are there that the blur brings into them.
    columns : tuple of int
        The first column that counts, and the one after the last. Of more than `WIDE`, sums are
        those of spans of so many, added from left to right.

    Returns
    -------
    array of float64, shape (rows that are asked for, 4)
        What `Settled.sums` holds.

    Examples
    --------
    >>> loss = BlurredError(np.zeros((1, 1, 1), np.float32), nu=0.0)
    >>> black, ones = np.zeros((20, 9), np.uint8), np.ones((20, 9), np.float32)
    >>> what = black, ones, np.ones((1, 20, 9), np.float32), np.float32([[0.0, 1.0]])
    >>> row_sums(loss, *what, own=slice(10, 11), columns=(4, 5)).round(2).tolist()
    [[1.0, 1.0, 1.0, 1.0]]
    """
    counted = (weights > 0).astype(loss.dtype)
    error = np.empty((len(loss.planes), *labels.shape), loss.dtype)
    sums, (left, right) = np.empty((len(labels), 2)), columns
    out = np.zeros((own.stop - own.start, 4))
    for column, share in ((0, weights), (1, counted)):
        kernels.errors(error, labels, share, planes, colors)
        field, found = loss.field(error), np.zeros((len(out), 2))
        for start in range(left, right, diffusion.WIDE):
            part = slice(start, min(start + diffusion.WIDE, right))
            given = (_columns(a, part, len(labels)) for a in (labels, share, planes))
            field_there = _columns(field, part, len(labels))
            kernels.energies(sums, *given, colors, field_there, 0)
            found += sums[own]
        out[:, column : column + 2] = found
    out[:, 3] = counted[own, left:right].sum(axis=1, dtype=np.float64)
    return out


def _columns(planes: Array, part: slice, rows: int) -> Array:
    """Return some columns of some rows, in C order."""
    if part == slice(0, planes.shape[-1]):
        return planes
    return np.ascontiguousarray(planes[..., :rows, part])
