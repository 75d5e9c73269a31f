"""Colours of swatches, in the models that Adobe's programs have, as sRGB."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

from fastgrad.dithering.eye.colour import to_srgb
from fastgrad.dithering.pictures import colour_profiles

__all__ = ["SPACES", "to_values"]

SPACES = {"RGB": 3, "HSB": 3, "CMYK": 4, "Lab": 3, "Gray": 1}  # and their numbers of channels
DELTA = 6 / 29  # of CIE L*a*b*, below which its curve is straight


def to_values(model: str, numbers: Sequence[float]) -> tuple[int, ...]:
    """Convert a colour to values of sRGB.

    Parameters
    ----------
    model : str
        One of `SPACES`.
    numbers : sequence of float
        As many numbers as the model has channels: from 0 to 1, but for L* from 0 to 100, a* and b*,
        which are relative to D50. CMYK counts inks, which multiply as if they were filters, since
        a swatch does not say on which paper they are printed.

    Returns
    -------
    tuple of int
        Red, green and blue from 0 to 255. Colours of Lab outside sRGB lose what is outside.

    Raises
    ------
    ValueError
        If a number is out of range.

    Examples
    --------
    >>> to_values("CMYK", (0, 1, 1, 0.2)), to_values("Lab", (53.585, 0, 0))
    ((204, 0, 0), (128, 128, 128))
    """
    x = [float(number) for number in numbers]
    if model == "Lab":
        if not (0 <= x[0] <= 100 and np.all(np.abs(x[1:]) <= 128)):
            raise ValueError(f"a colour out of range: {tuple(x)}")
        y = (x[0] + 16) / 116
        f = np.array([y + x[1] / 500, y, y - x[2] / 200])
        relative = np.where(f > DELTA, f**3, 3 * DELTA**2 * (f - 4 / 29))
        columns = colour_profiles.colorants(colour_profiles.PRIMARIES[1])
        assert columns is not None
        linear = np.linalg.solve(columns, relative * colour_profiles.D50)
        return tuple(int(value) for value in to_srgb(np.clip(linear, 0, 1)))
    if not all(0 <= one <= 1 for one in x):
        raise ValueError(f"a colour out of range: {tuple(x)}")
    if model == "HSB":
        x = list(colorsys.hsv_to_rgb(*x))
    elif model == "CMYK":
        x = [(1 - ink) * (1 - x[3]) for ink in x[:3]]
    elif model == "Gray":
        x *= 3
    return tuple(int(255 * one + 0.5) for one in x)
