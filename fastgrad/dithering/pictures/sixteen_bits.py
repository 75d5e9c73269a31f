"""Colours of 16 bits, of which Pillow keeps the upper 8: the lower ones, and what both make."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np

from fastgrad._typing import Array
from fastgrad.dithering.pictures.colour_profiles import to_srgb

__all__ = ["channels", "convert", "convert_grey", "greys"]

# Pillow's unpackers that keep the upper byte of each channel, and what unpacks the lower: those
# of the other order of bytes. Grey and opacity have four bytes, which are unpacked as they are.
ORDERS = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}
GREY = "LA;16B"
BITS_PER_SAMPLE, PHOTOMETRIC = 258, 262  # tags of a TIFF; a photometric of 0 says that 0 is white
OTHERS = {GREY: "RGBA"}
OTHERS |= {f"{m};16{o}": f"{m};16{p}" for m in ("RGB", "RGBA", "RGBX") for o, p in ORDERS.items()}


def channels(image: Any) -> Array | None:
    """Decode all bits of an image of which Pillow would keep the upper byte of each channel.

    Parameters
    ----------
    image : PIL.Image.Image
        An image that has been opened from a file. Its pixels are loaded.

    Returns
    -------
    array of uint16, shape (height, width, 2, 3 or 4), or None
        Grey and opacity, or colours, with opacity or not, upright. None if Pillow keeps all bits;
        if the image is a frame of an animation, of which Pillow composes 8 bits; or if its pixels
        have been loaded before, so that it is no longer a file.
    """
    from PIL import Image, ImageOps

    file, tiles = getattr(image, "fp", None), getattr(image, "tile", None)
    if not tiles or file is None or getattr(file, "closed", False):
        return None
    if getattr(image, "is_animated", False) and image.format == "PNG":
        return None
    kinds = {_unpacker(tile) for tile in tiles}
    if not kinds <= set(OTHERS):
        return None
    place = file.tell()
    try:
        file.seek(0)
        data = io.BytesIO(file.read())
    finally:
        file.seek(place)
    lower = Image.open(data, formats=[image.format])
    lower.tile = [_replaced(tile) for tile in lower.tile]
    low = np.asarray(ImageOps.exif_transpose(lower)).astype(np.uint16)
    if kinds == {GREY}:
        return low[..., ::2] * 256 + low[..., 1::2]
    return np.asarray(ImageOps.exif_transpose(image)).astype(np.uint16) * 256 + low


def greys(image: Any, values: Array) -> Array:
    """Return the greys of an image in full range, black 0: it may have them otherwise.

    Parameters
    ----------
    image : PIL.Image.Image
        An image of whole numbers. Of a TIFF Pillow gives 12 bits as they are, which are a sixteenth
        of the range, and 16 bits as they are where 0 is white. One made in memory of 8 bits, as by
        ``convert("I")``, has values up to 255.
    values : array of integers, shape (height, width)
        Its values.

    Returns
    -------
    array of integers, shape (height, width)
        The values from 0 for black, to 65535 for white if they have 12 or 16 bits.
    """
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    if tags.get(BITS_PER_SAMPLE) == (12,):
        values = values.astype(np.uint32) * 65535 // 4095
    if tags.get(PHOTOMETRIC) == 0 and tags.get(BITS_PER_SAMPLE) == (16,):
        values = 65535 - values
    if image.format is None and values.min() >= 0 and values.max() <= 255:
        values = values * 257
    return values


def _unpacker(tile: Any) -> str:
    """Return the name of what unpacks the bytes of a tile."""
    given = tile[3]
    return str(given if isinstance(given, str) else given[0] if given else "")


def _replaced(tile: Any) -> Any:
    """Return a tile of which the lower bytes are unpacked."""
    name, given = OTHERS[_unpacker(tile)], tile[3]
    given = name if isinstance(given, str) else (name, *given[1:])
    return tile._replace(args=given) if hasattr(tile, "_replace") else (*tile[:3], given)


def convert(values: Array, profile: bytes) -> Array:
    """Convert colours of 16 bits to sRGB.

    LittleCMS converts colours of 8 bits; between them the conversion is taken to be linear in each
    channel.

    Parameters
    ----------
    values : array of uint16, shape (height, width, 3)
        The colours.
    profile : bytes
        As in `to_srgb`.

    Returns
    -------
    array, shape (height, width, 3)
        sRGB values: float32 in [0, 1], or uint8 if the colours have no more than 8 bits.
    """
    from PIL import Image

    def converted(colors):
        return np.asarray(to_srgb(Image.fromarray(colors), profile))

    coarse = (values // 257).astype(np.uint8)
    rest = values - coarse.astype(np.uint16) * 257
    image = Image.fromarray(coarse)
    base = to_srgb(image, profile)
    if not rest.any():
        return np.asarray(base)
    if base is image:
        return (values / 65535).astype(np.float32)
    base = np.asarray(base).astype(np.float32)
    result = base.copy()
    for channel in range(3):
        next_one = coarse.copy()
        next_one[..., channel] += rest[..., channel] > 0  # which is below 255 there
        share = rest[..., channel, None] / np.float32(257)
        result += share * (converted(next_one) - base)
    return np.clip(result / 255, 0, 1)


def convert_grey(values: Array, profile: bytes) -> Array:
    """Convert greys of 16 bits to sRGB.

    Parameters
    ----------
    values : array of integers from 0 to 65535, shape (height, width)
        The greys.
    profile : bytes
        As in `to_srgb`.

    Returns
    -------
    array, shape (height, width)
        sRGB values: float32 in [0, 1], or uint8 if the greys have no more than 8 bits.
    """
    from PIL import Image

    coarse = values // 257
    if np.array_equal(coarse * 257, values):
        found = np.asarray(to_srgb(Image.fromarray(coarse.astype(np.uint8)), profile))
        return found if found.ndim == 2 else found[..., 0]
    found = to_srgb(Image.fromarray(values.astype(np.uint16)), profile)
    return (np.asarray(found) / 65535).astype(np.float32)
