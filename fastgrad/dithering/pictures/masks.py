"""Masks: picture files that say which pixels are meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastgrad.dithering.eye.colour import LUMINANCE, unit_srgb
from fastgrad.dithering.pictures.images import Picture

__all__ = ["read"]


def read(path: Path) -> npt.NDArray[np.bool_]:
    """Read a mask.

    Parameters
    ----------
    path : pathlib.Path
        A picture file.

    Returns
    -------
    array of bool, shape (height, width)
        True where the picture is nearer to white than to black, and at least half opaque.

    Raises
    ------
    fastgrad.dithering.pictures.images.FileError
        If it cannot be read.
    """
    frame = next(Picture(path).frames())
    values = unit_srgb(frame.values)
    light = values if values.ndim == 2 else values @ np.array(LUMINANCE)
    mask = light >= 0.5
    return mask if frame.alpha is None else mask & (frame.alpha >= 128)
