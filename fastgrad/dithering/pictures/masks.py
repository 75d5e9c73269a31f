"""Masks: picture files that say which pixels are meant."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fastgrad.dithering.eye.colour import LUMINANCE, unit_srgb
from fastgrad.dithering.pictures import images, large
from fastgrad.dithering.pictures.inputs import Pixels
from fastgrad.dithering.pictures.sources import ROWS

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
    fastgrad.dithering.pictures.file_errors.FileError
        If it cannot be read.
    """
    try:
        frame = next(images.Picture(path, largest=images.MAX_PIXELS).frames())
        return _white(Pixels(frame.values, frame.alpha))
    except images.TooManyPixels:
        with large.find(path).rows() as source:
            mask = np.empty(source.shape, bool)
            for top in range(0, len(mask), ROWS):
                bottom = min(top + ROWS, len(mask))
                mask[top:bottom] = _white(source.read(top, bottom))
        return mask


def _white(pixels: Pixels) -> npt.NDArray[np.bool_]:
    """Return where pixels are nearer to white than to black, and at least half opaque."""
    values = unit_srgb(pixels.values)
    light = values if values.ndim == 2 else values @ np.array(LUMINANCE)
    mask = light >= 0.5
    return mask if pixels.alpha is None else mask & (pixels.alpha >= 128)
