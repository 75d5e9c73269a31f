"""What users pass as pictures and palettes: arrays, lists, images of Pillow's, colours as text."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, ByteArray
from fastgrad.dithering.eye.colour import unit_srgb
from fastgrad.dithering.pictures import palette_files, presets

__all__ = ["Colors", "Pixels", "Swatches", "colors_of", "pixels_of", "swatches_of"]

# A palette as users write it: an array or a list of colours, or a file.
Colors: TypeAlias = "ArrayLike | Sequence[str] | os.PathLike[str]"


class Pixels(NamedTuple):
    """A picture: its sRGB or grey values, and its opacity (None if nothing shines through).

    The values are uint8 or float in [0, 1], of shape (height, width, 3) or (height, width); the
    opacity is uint8 of shape (height, width), 255 for opaque.
    """

    values: Array
    alpha: ByteArray | None


class Swatches(NamedTuple):
    """The colours of a palette in sRGB, and those that a file gets in their places: uint8, (K, 3).

    Further the options of `fastgrad.dither` that suit them.
    """

    colors: ByteArray
    device: ByteArray
    options: dict[str, Any]


def pixels_of(image: object) -> Pixels:
    """Return the values and the opacity of whatever stands for a picture.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        An image of any mode but "F", turned upright and converted from the colour space of its
        profile as a file would be; or an array of shape (height, width), (height, width, 2) with
        opacity, (height, width, 3), or (height, width, 4) with opacity. Its values are floats in
        [0, 1], uint16 up to 65535, booleans, or other integers up to 255.

    Returns
    -------
    Pixels
        The values and the opacity.

    Raises
    ------
    TypeError, ValueError
        If it is no picture, or a value is out of range.

    Examples
    --------
    >>> import numpy as np
    >>> values, alpha = pixels_of(np.uint8([[[10, 20, 30, 0], [10, 20, 30, 255]]]))
    >>> values.shape, alpha.tolist()
    ((1, 2, 3), [[0, 255]])
    """
    if _is_pillow(image):
        return _of_pillow(image)
    if isinstance(image, (str, bytes, os.PathLike)):
        wanted = "an array or an image of Pillow's"
        raise TypeError(
            f"image must be {wanted}, got {image!r}: use fastgrad.dither_files for files"
        )
    array = _validate.array(image, "image")
    layers = array.shape[2] if array.ndim == 3 else 1
    if array.ndim not in (2, 3) or not 1 <= layers <= 4 or not array.size:
        wanted = "(height, width), (height, width, 3), or one layer more with opacity"
        raise ValueError(f"image must have shape {wanted}, got {array.shape}")
    values = _eight_bits(array)
    alpha: ByteArray | None = None
    if layers in (2, 4):
        opacity: Array = values[..., -1]
        values = values[..., :-1]
        if opacity.dtype != np.uint8:
            opacity = np.rint(255 * unit_srgb(opacity)).astype(np.uint8)
        alpha = None if opacity.min() == 255 else opacity
    if layers <= 2 and values.ndim == 3:
        values = values[..., 0]
    return Pixels(values, alpha)


def _is_pillow(image):
    """Return whether this is an image of Pillow's, without importing Pillow."""
    module = sys.modules.get("PIL.Image")
    return module is not None and isinstance(image, module.Image)


def _of_pillow(image):
    """Convert an image of Pillow's as one that comes from a file."""
    from fastgrad.dithering.pictures import frames

    if not image.width or not image.height:
        raise ValueError(f"image must have pixels, got {image.width} x {image.height}")
    try:
        frame = frames.from_pil(image)
    except ValueError as error:
        raise ValueError(f"image must be sRGB, grey or CMYK, got mode {image.mode}: {error}") from (
            None
        )
    return Pixels(frame.values, frame.alpha)


def _eight_bits(array):
    """Return uint8 values, or float ones where 8 bits do not hold them."""
    kind = array.dtype.kind
    if kind == "b":
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        small, rest = np.divmod(array, 257)
        if not rest.any():  # 8 bits that were widened
            return small.astype(np.uint8)
        return array.astype(np.float32) / np.float32(65535)
    if kind in "iu":
        return _bytes(array, "image")
    if kind != "f":
        raise TypeError(f"image must hold numbers, got dtype {array.dtype}")
    return array


def _bytes(array, name):
    """Return integers as uint8."""
    if array.dtype == np.uint8:
        return array
    low, high = array.min(initial=0), array.max(initial=0)
    if low < 0 or high > 255:
        raise ValueError(f"{name} must be from 0 to 255, got {low if low < 0 else high}")
    return array.astype(np.uint8)


def colors_of(palette: Colors, name: str = "palette") -> ByteArray:
    """Return the colours of whatever stands for a palette.

    Parameters
    ----------
    palette : array_like of integers from 0 to 255, shape (K, 3), or sequence of str or colours
        Colours in sRGB. Text is ``"#rrggbb"`` or ``"#rgb"``, with the mark or without.
    name : str, optional
        Name of the argument in error messages.

    Returns
    -------
    array of uint8, shape (K, 3)
        The colours, as many and in the same order.

    Raises
    ------
    TypeError, ValueError
        If there is something else among them.

    Examples
    --------
    >>> colors_of(["#102030", "fff", (1, 2, 3)]).tolist()
    [[16, 32, 48], [255, 255, 255], [1, 2, 3]]
    """
    given: Any = palette
    if isinstance(given, (list, tuple)):
        given = [_named(c, name) if isinstance(c, str) else c for c in given]
    array = _validate.array(given, name)
    if array.dtype.kind == "U" and array.ndim == 1:
        array = np.array([_named(str(c), name) for c in array])
    if array.dtype.kind not in "iu":
        raise TypeError(
            f"{name} must be uint8 or other integers from 0 to 255, or text like '#rrggbb', "
            f"got dtype {array.dtype}"
        )
    return _bytes(array, name)


def _named(text, name):
    """Read #rrggbb or #rgb."""
    digits = text.strip().removeprefix("#")
    if re.fullmatch("[0-9a-fA-F]{3}", digits):
        digits = "".join(2 * digit for digit in digits)
    if not re.fullmatch("[0-9a-fA-F]{6}", digits):
        raise ValueError(f"{name} must hold colours like '#rrggbb', got {text[:40]!r}")
    return tuple(bytes.fromhex(digits))


def swatches_of(
    palette: Colors | Swatches | None, preset: str | presets.Preset | None
) -> Swatches | None:
    """Return the given colours: those of a palette, of its file, or of a preset.

    Parameters
    ----------
    palette : array_like, sequence, path-like or Swatches, optional
        A palette, as in `colors_of`, or a file, as a `pathlib.Path`; swatches stay as they are.
    preset : str or Preset, optional
        The name of one of `fastgrad.presets.PRESETS`, or another one.

    Returns
    -------
    Swatches or None
        The colours; None if neither is given.

    Raises
    ------
    TypeError, ValueError
        If both are given, the palette is none, or nothing has that name.
    """
    if isinstance(palette, Swatches):
        return palette
    if preset is not None:
        if palette is not None:
            raise ValueError(f"palette must be None with a preset, got {palette!r}")
        found = presets.find(preset)
        return Swatches(found.colors, found.device, dict(found.options))
    if palette is None:
        return None
    if isinstance(palette, os.PathLike):
        colors, device = palette_files.read(Path(palette), least=1)  # if it is locked
        return Swatches(colors, device, {})
    if isinstance(palette, str):
        hint = f"preset={palette!r}" if palette.lower() in presets.PRESETS else "a pathlib.Path"
        raise TypeError(f"palette must be an array or a list of colours, got text: use {hint}")
    colors = colors_of(palette)
    return Swatches(colors, colors, {})
