"""Dot gain: what is seen of a pixel where the dots of a printer reach into their neighbours."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import SPACES, to_linear
from fastgrad.dithering.optimiser.diffusion import diffuse_rows, limits_of
from fastgrad.dithering.optimiser.search import in_vectors

__all__ = ["DotGain"]

CODES = 512  # patterns of nine dots
GRID = 512  # points down and across a pixel, where it is seen which dots cover them
DENSITIES, PATCH = 33, (128, 64)  # what is printed to see how dark it is: rows of one band
LEAST, MOST = 0.5, 1.5  # radii of round dots: they touch, they end where the eight neighbours do


@dataclass(frozen=True, eq=False)
class DotGain:
    """How much of a pixel is covered, given its own dot and the eight around it.

    Dots of printers and engravers are larger than pixels: a black one covers parts of the white
    pixels beside it. So a picture comes out darker than its dots are dense, and by how much depends
    on how they lie. Light is averaged over a pixel's area: one that is covered to the share s is
    seen as ``paper + s (ink - paper)`` in linear light.

    Parameters
    ----------
    table : array_like, shape (512,)
        The share of a pixel that is seen as covered, 0 to 1, for each pattern of dots: bit
        ``3 (dy + 1) + dx + 1`` of the pattern stands for the dot at (dy, dx), down and to the
        right, so that 16 is a dot alone. It may be computed, see `grown` and `round`, or measured.
    dots : {"dark", "light"}, optional
        Which of the two colours the dots have; "light" is for engraving what is dark.

    Raises
    ------
    TypeError, ValueError
        If the table has another type or shape, or is out of range.

    References
    ----------
    T. N. Pappas and D. L. Neuhoff, "Printer models and error diffusion", IEEE Transactions on Image
    Processing 4(1), 1995.

    T. N. Pappas, C.-K. Dong and D. L. Neuhoff, "Measurement of printer parameters for model-based
    halftoning", Journal of Electronic Imaging 2(3), 1993: measured tables.

    Examples
    --------
    >>> gain = DotGain.grown(20)
    >>> board = np.indices((64, 64)).sum(axis=0) % 2 == 0
    >>> round(float(gain.cover(board)[8:-8, 8:-8].mean()), 2)
    0.7
    """

    table: ArrayLike
    dots: Literal["dark", "light"] = "dark"

    def __post_init__(self) -> None:
        """Refuse what is out of range, and keep a copy of the table."""
        table = _validate.real_array(self.table, "table").astype(np.float64)
        if table.shape != (CODES,):
            raise ValueError(f"table must have shape ({CODES},), got {table.shape}")
        outside = ~((table >= 0) & (table <= 1))
        if outside.any():
            raise ValueError(f"table must be from 0 to 1, got {table[outside][0]}")
        _validate.choice(self.dots, "dots", ("dark", "light"))
        table.setflags(write=False)
        object.__setattr__(self, "table", table)

    @classmethod
    def grown(cls, percent: float, dots: Literal["dark", "light"] = "dark") -> DotGain:
        """Return the response of square dots whose edges are moved outwards, corners rounded.

        Parameters
        ----------
        percent : float
            How much more of a chequered field is covered than the half of it, in percent of the
            whole: what printers call the dot gain of a middle tone, 0 to 50.
        dots : {"dark", "light"}, optional
            Which of the two colours the dots have.

        Returns
        -------
        DotGain
            The response. With 0 each dot is its pixel.

        Examples
        --------
        >>> alone = DotGain.grown(0).table
        >>> int(alone[16]), int(alone[511 - 16])
        (1, 0)
        """
        share = _validate.number(percent, "percent", 0, 50) / 100
        edge = (1 - (1 - 2 * share) ** 0.5) / 2  # (1 - 2 edge)^2 of each white field is left

        def covers(y: FloatArray, x: FloatArray) -> npt.NDArray[np.bool_]:
            away = np.square(np.maximum(np.abs(y) - 0.5, 0)), np.square(np.maximum(abs(x) - 0.5, 0))
            return away[0] + away[1] <= edge * edge

        return cls(_table(covers), dots)

    @classmethod
    def round(cls, radius: float, dots: Literal["dark", "light"] = "dark") -> DotGain:
        """Return the response of round dots: the hard circular model of Pappas and Neuhoff.

        Parameters
        ----------
        radius : float
            The radius of a dot as a multiple of the distance of pixels, 0.5 to 1.5. From 0.708 on,
            dots leave nothing between them.
        dots : {"dark", "light"}, optional
            Which of the two colours the dots have.

        Returns
        -------
        DotGain
            The response.

        Examples
        --------
        >>> table = DotGain.round(0.5).table
        >>> round(4 * float(table[16]), 2)
        3.14
        """
        square = _validate.number(radius, "radius", LEAST, MOST) ** 2
        return cls(_table(lambda y, x: y * y + x * x <= square), dots)

    def ink(self, palette: ByteArray) -> int:
        """Return which of two colours in sRGB, (2, 3), the dots have."""
        light = SPACES["opponent"].into(to_linear(palette))[:, 0]
        return int(light.argmin() if self.dots == "dark" else light.argmax())

    @staticmethod
    def codes(dots: Array) -> npt.NDArray[np.uint16]:
        """Return the pattern around each pixel; outside the picture there are no dots.

        Parameters
        ----------
        dots : array of bool, shape (height, width)
            Where there are dots.

        Returns
        -------
        array of uint16, shape (height, width)
            Indices of `table`.
        """
        height, width = dots.shape
        wide = np.pad(np.asarray(dots, np.uint16), 1)
        codes = np.zeros(dots.shape, np.uint16)
        for bit in range(9):
            codes |= wide[bit // 3 : bit // 3 + height, bit % 3 : bit % 3 + width] << bit
        return codes

    def cover(self, dots: Array) -> FloatArray:
        """Return how much of each pixel is covered.

        Parameters
        ----------
        dots : array of bool, shape (height, width)
            Where there are dots.

        Returns
        -------
        array of float64, shape (height, width)
            Shares from 0 to 1.
        """
        return np.asarray(self.table)[self.codes(dots)]

    @cached_property
    def tones(self) -> tuple[FloatArray, FloatArray]:
        """The covers of fields by error diffusion, ascending, and how many dots they have."""
        densities = np.linspace(0, 1, DENSITIES, dtype=np.float32)
        rows, columns = PATCH
        planes = np.repeat(densities, rows * columns).reshape(1, -1, columns)
        palette, labels = np.eye(1, 2, 1, dtype=np.float32).T, np.empty(planes.shape[1:], np.uint8)
        colours = in_vectors(palette), limits_of(palette)
        diffuse_rows(labels, planes, np.ones_like(planes[0]), colours, columns)
        fields = labels.reshape(DENSITIES, rows, columns)
        inside = slice(1, -1), slice(1, -1)  # beyond the border of a field there is another
        covers = [float(self.cover(field)[inside].mean()) for field in fields]
        return np.maximum.accumulate(covers), densities


def _table(covers: Callable[[FloatArray, FloatArray], npt.NDArray[np.bool_]]) -> FloatArray:
    """Return the table of dots that cover what is at (y, x) from their centres where `covers` is.

    A point of the pixel is covered if one of the dots that reach it is there.
    """
    y, x = np.meshgrid(*[(np.arange(GRID) + 0.5) / GRID - 0.5] * 2, indexing="ij")
    codes = np.zeros(y.shape, np.int64)
    for bit in range(9):
        codes |= covers(y - (bit // 3 - 1), x - (bit % 3 - 1)).astype(np.int64) << bit
    counts = np.bincount(codes.reshape(-1), minlength=CODES)
    found = np.flatnonzero(counts)
    met = (np.arange(CODES)[:, None] & found) > 0
    return met @ counts[found] / GRID**2
