"""Weights of the pixels of a large picture, read part by part."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.dithering.optimiser.weights import LEAST, MOST
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import ROWS, Source

__all__ = ["WeightSource"]


class WeightSource(Source):
    """The weights of pixels as a source: they are looked through once, for the largest.

    Parameters
    ----------
    weights : array_like, shape (height, width)
        The weights, real or boolean, 0 to 1e6, in whatever is sliced like an array.
    shape : tuple of int
        Height and width of the picture.

    Raises
    ------
    TypeError, ValueError
        If their type, their shape or one of them is wrong.

    Examples
    --------
    >>> source = WeightSource(np.array([[0.0, 1e-9, 4.0]]), (1, 3))
    >>> source.read(0, 1).values.round(3).tolist()
    [[0.0, 0.004000000189989805, 4.0]]
    """

    name = "weights"
    opaque = True
    eight_bits = False

    def __init__(self, weights: Any, shape: tuple[int, int]) -> None:
        self._array = weights if hasattr(weights, "shape") else np.asarray(weights)
        if tuple(self._array.shape) != shape:
            raise ValueError(f"weights must have shape {shape}, got {tuple(self._array.shape)}")
        self.shape, self._least = shape, 0.0
        most = max(
            float(self._checked(top, top + ROWS, 0, shape[1]).max())
            for top in range(0, shape[0], ROWS)
        )
        if 0 < most < 1 / MOST:
            raise ValueError(
                f"weights must be at least {1 / MOST:g} somewhere, or all 0, got {most}"
            )
        self._least = LEAST * most

    def read(self, top: int, bottom: int, left: int = 0, right: int | None = None) -> Pixels:
        """Return the weights of some rows, and of some columns of them, as float32 values."""
        given = self._checked(top, bottom, left, right)
        raised = np.where(given > 0, np.maximum(given, given.dtype.type(self._least)), 0)
        return Pixels(raised.astype(np.float32), None)

    def _checked(self, top: int, bottom: int, left: int, right: int | None) -> FloatArray:
        """Return some weights as they were given."""
        block = np.asarray(self._array[top:bottom, left:right])
        dtype = np.dtype(np.float32 if block.dtype == np.float32 else np.float64)
        given = _validate.like(block, block.shape, dtype, "weights")
        outside = ~((given >= 0) & (given <= MOST))
        if outside.any():
            raise ValueError(f"weights must be from 0 to {MOST:g}, got {given[outside][0]}")
        return given
