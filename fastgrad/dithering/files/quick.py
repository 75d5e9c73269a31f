"""A picture that Pillow dithers in a moment: what an interrupt leaves at least."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.optimiser.flat import codes_of, rgb_of
from fastgrad.dithering.pictures import other_tools

__all__ = ["Quick", "quickly"]


class Quick(NamedTuple):
    """A picture that another tool has dithered, as far as it is like a `Dithering`."""

    indices: Array
    palette: Array
    loss: tuple[float, ...] = (float("nan"),)


def quickly(
    values: Array,
    colors: int,
    palette: ByteArray | None = None,
    *,
    locked: ByteArray | None = None,
) -> Quick:
    """Let Pillow dither a picture.

    Parameters
    ----------
    values : array, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    colors : int
        Number of colours of a learned palette.
    palette : array of uint8, shape (K, 3), optional
        A palette; by default one is learned.
    locked : array of uint8, shape (N, 3), optional
        Colours with which a learned palette begins; they are some of its number.

    Returns
    -------
    Quick
        The picture.

    Examples
    --------
    >>> made = quickly(np.zeros((2, 3, 3), np.uint8), 2, locked=np.uint8([[255, 255, 255]]))
    >>> made.palette[made.indices].max()
    np.uint8(0)
    """
    if values.dtype != np.uint8:
        values = np.rint(255 * values).astype(np.uint8)
    if palette is None:
        count = colors - (0 if locked is None else len(locked))
        learned = rgb_of(np.unique(codes_of(other_tools.pillow(values, count))))
        palette = learned if locked is None else np.concatenate([locked, learned])
    codes = codes_of(other_tools.pillow(values, len(palette), palette))
    order = np.argsort(codes_of(palette), kind="stable")
    places = np.searchsorted(codes_of(palette)[order], codes)
    return Quick(order[places].astype(np.uint8), palette)
