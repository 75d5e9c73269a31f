"""Indexed pictures as Pillow's images, and as files of every format that is written."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastgrad._typing import ByteArray
from fastgrad.dithering.pictures import animation
from fastgrad.dithering.pictures.file_errors import FileError

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["ENDINGS", "check_sides", "encode", "image"]

ENDINGS = tuple(animation.FORMATS)
SIDES = {".gif": (1 << 16) - 1, ".webp": (1 << 14) - 1}  # the most pixels of a side


def check_sides(size: tuple[int, int], ending: str, name: str = "the picture") -> None:
    """Refuse a width and height that files with this ending can not have.

    Examples
    --------
    >>> check_sides((16384, 1), ".webp")
    Traceback (most recent call last):
    fastgrad.dithering.pictures.file_errors.FileError: the picture: a .webp has at most 16383 pixels
    on a side, got 16384 x 1
    """
    if max(size) > SIDES.get(ending, math.inf):
        most = f"a {ending} has at most {SIDES[ending]} pixels on a side"
        raise FileError(f"{name}: {most}, got {size[0]} x {size[1]}")


def image(indices: ByteArray, palette: ByteArray, opacity: ByteArray | None = None) -> Image:
    """Return an indexed picture as an image of Pillow's.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        Palette indices.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque.

    Returns
    -------
    PIL.Image.Image
        An image of mode "P".

    Raises
    ------
    FileError
        If Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise FileError("Pillow is needed: pip install fastgrad[dither]") from None

    made = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
    made.putpalette(palette.tobytes())
    if opacity is not None:
        made.info["transparency"] = opacity.tobytes()
    return made


def encode(
    frames: Sequence[ByteArray],
    palette: ByteArray,
    opacity: ByteArray | None = None,
    *,
    ending: str = ".png",
    durations: Sequence[float] = (),
    plays: int = 1,
) -> bytes:
    """Encode indexed pictures as `fastgrad.dithering.pictures.animation.encode`, if Pillow can.

    Parameters
    ----------
    frames : sequence of array of uint8, shape (height, width)
        Palette indices. Several frames make an animation.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque.
    ending : str, optional
        One of `ENDINGS`. A WEBP is written without loss.
    durations : sequence of float, optional
        Time for which each frame is shown, in milliseconds.
    plays : int, optional
        Number of times that an animation is played; 0 for endless repetition.

    Returns
    -------
    bytes
        The contents of the file.

    Raises
    ------
    FileError
        If Pillow is not installed, or cannot write this format, or the format has no room for the
        picture.
    """
    image(frames[0][:1, :1], palette)  # says what is missing
    if ending == ".webp":
        from PIL import features

        if not features.check("webp"):
            raise FileError("this Pillow cannot write WEBP: take .png")
    check_sides(frames[0].shape[::-1], ending)
    return animation.encode(
        frames, palette, opacity, ending=ending, durations=durations, plays=plays
    )
