"""How a picture is laid on a screen of another size: turned, cropped, or with margins."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.pictures import transparency

__all__ = ["PLACEMENTS", "TURNS", "Placement", "placed", "target_size"]

Placement: TypeAlias = Literal["stretch", "cover", "contain"]
PLACEMENTS: tuple[Placement, ...] = ("stretch", "cover", "contain")
TURNS = (0, 90, 180, 270)


def target_size(
    size: tuple[int | None, int | None] | None, width: int, height: int
) -> tuple[int, int]:
    """Return the size that is asked for, the proportions kept where one side is left open."""
    new_width, new_height = size or (width, height)
    if new_width is None:
        new_width = max(1, round(width * (new_height or height) / height))
    if new_height is None:
        new_height = max(1, round(height * new_width / width))
    return new_width, new_height


def placed(
    values: Array,
    alpha: ByteArray | None,
    size: tuple[int, int],
    placement: Placement = "stretch",
    turn: int = 0,
) -> tuple[Array, ByteArray | None]:
    """Turn a picture and bring it to a size.

    Parameters
    ----------
    values : array, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    alpha : array of uint8, shape (height, width), or None
        Opacity.
    size : tuple of int
        The width and height of the result in pixels.
    placement : {"stretch", "cover", "contain"}, optional
        Where the proportions differ: change them, crop what does not fit, or leave margins of
        white, or transparent ones if there is opacity.
    turn : {0, 90, 180, 270}, optional
        By how many degrees the picture is turned clockwise.

    Returns
    -------
    values : array, shape (size[1], size[0], 3)
        sRGB values; of the same dtype if only turned or cropped, else float32.
    alpha : array of uint8 or None
        Opacity.

    Examples
    --------
    >>> values = np.zeros((20, 40, 3), np.uint8)
    >>> made, _ = placed(values, None, (30, 30), "contain")
    >>> made[:, 0, 0].round(2).tolist() == 7 * [1.0] + 15 * [0.0] + 8 * [1.0]
    True
    """
    values = np.rot90(values, -turn // 90)
    alpha = None if alpha is None else np.rot90(alpha, -turn // 90)
    height, width = values.shape[:2]
    new_width, new_height = size
    if placement == "cover":
        share = min(width / new_width, height / new_height)
        across, down = max(1, round(new_width * share)), max(1, round(new_height * share))
        top, left = (height - down) // 2, (width - across) // 2
        window = np.s_[top : top + down, left : left + across]
        values, alpha = values[window], None if alpha is None else alpha[window]
    elif placement == "contain":
        share = min(new_width / width, new_height / height)
        inner = max(1, round(width * share)), max(1, round(height * share))
        values, alpha = _resized(values, alpha, inner)
        top, left = (new_height - inner[1]) // 2, (new_width - inner[0]) // 2
        window = np.s_[top : top + inner[1], left : left + inner[0]]
        white = 255 if values.dtype == np.uint8 else 1
        whole = np.full((new_height, new_width, 3), white, values.dtype)
        whole[window] = values
        if alpha is not None:
            opacity = np.zeros((new_height, new_width), np.uint8)
            opacity[window] = alpha
            alpha = opacity
        return whole, alpha
    return _resized(values, alpha, size)


def _resized(
    values: Array, alpha: ByteArray | None, size: tuple[int, int]
) -> tuple[Array, ByteArray | None]:
    """Change the size of a picture, if it has another one."""
    if values.shape[:2] == size[::-1]:
        return np.ascontiguousarray(values), alpha
    return transparency.resize(values, alpha, size)
