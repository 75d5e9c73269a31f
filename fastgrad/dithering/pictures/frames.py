"""Frames: what is dithered of an image of Pillow, whatever its mode and its colours are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from fastgrad._typing import Array
from fastgrad.dithering.pictures import colour_profiles, png_chunks, sixteen_bits

__all__ = ["Frame", "color_profile", "from_pil", "of_16_bits"]

GREY = ("1", "L", "LA", "La")


@dataclass(frozen=True)
class Frame:
    """A picture, or one of an animation.

    Attributes
    ----------
    values : numpy.ndarray, shape (height, width, 3)
        sRGB values: uint8, or float32 in [0, 1] where the file has 16 bits that matter.
    alpha : numpy.ndarray of uint8, shape (height, width), or None
        Opacity, 255 where nothing shines through; None if that is everywhere.
    duration : float
        How long it is shown, in milliseconds.
    """

    values: Array
    alpha: Array | None = None
    duration: float = 0


INTEROPERABILITY = 0xA005  # the directory in Exif data; R03 in it is Adobe RGB, by DCF 2.0
ADOBE_GAMMA = (563 / 256,)
ADOBE_RGB = ((0.3127, 0.3290), (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))  # white, red, green, blue


def color_profile(image: Any) -> bytes:
    """Return the ICC profile that the values of an image have.

    What counts is, in this order, the chunk cICP of a PNG, an ICC profile, the statement that the
    values are sRGB, and gamma with chromaticities. Cameras have no profile for Adobe RGB: they say
    it in the Exif data, by the name of a rule for file names.

    Parameters
    ----------
    image : PIL.Image.Image
        Any image. The chunk cICP, which Pillow does not keep, is found only as long as the image's
        pixels have not been loaded.

    Returns
    -------
    bytes
        The profile, or nothing if the values are sRGB, or are not described.
    """
    grey = image.mode in GREY or image.mode.startswith("I")
    for _, data in png_chunks.of_image(image, [b"cICP"], until=b"IDAT"):
        if len(data) == 4 and data[2] == 0:  # no matrix: RGB or grey
            profile = colour_profiles.from_code_points(data[0], data[1], bool(data[3]), grey=grey)
            if profile:
                return profile
    info = image.info
    if info.get("icc_profile"):
        return info["icc_profile"]
    if info.get("exif") and image.getexif().get_ifd(INTEROPERABILITY).get(1) == "R03":
        return colour_profiles.build(ADOBE_GAMMA, None if grey else ADOBE_RGB)
    if "srgb" in info or ("gamma" not in info and "chromaticity" not in info):
        return b""
    return colour_profiles.from_gamma(info.get("gamma"), info.get("chromaticity"), grey=grey)


def from_pil(image: Any, profile: bytes | None = None, *, file: Any = None) -> Frame:
    """Turn an image of any mode into a frame: upright, in sRGB, and with its opacity.

    Parameters
    ----------
    image : PIL.Image.Image
        An image, opened from a file or made in memory. Its pixels are loaded, and it gets the
        transparent colour that these have.
    profile : bytes, optional
        The ICC profile of its values, which is empty for sRGB. By default that of
        `color_profile`.
    file : PIL.Image.Image, optional
        The image from which this one was made, which says what its grey values mean.

    Returns
    -------
    Frame
        Its pixels. A picture of 16 bits whose values have 8 bits is one of 8 bits.

    Raises
    ------
    ValueError
        If the values are floating-point numbers, or need more than 16 bits.

    Examples
    --------
    >>> from PIL import Image
    >>> frame = from_pil(Image.new("LA", (1, 1), (128, 51)))
    >>> frame.values.tolist(), frame.alpha.tolist()
    ([[[128, 128, 128]]], [[51]])
    """
    from PIL import ImageOps

    if profile is None:
        profile = color_profile(image)
    deep, file = sixteen_bits.channels(image), image if file is None else file
    png_chunks.load(image)  # before which a WEBP says no duration
    duration = float(image.info.get("duration") or 0)
    image = ImageOps.exif_transpose(image)
    if image.mode == "F":
        raise ValueError("floating-point values, whose white is not known")
    if image.mode.startswith("I"):
        deep = sixteen_bits.greys(file, np.asarray(image))[..., None]
        if deep.min() < 0 or deep.max() > 65535:
            raise ValueError("grey values of more than 16 bits")
    if deep is None:
        image, alpha = _split(image)
        values = np.asarray(colour_profiles.to_srgb(image, profile))
    else:
        values, alpha = of_16_bits(deep, image.info.get("transparency"), profile)
    if values.ndim == 2:
        values = np.repeat(values[..., None], 3, axis=2)
    if alpha is not None and alpha.min() == 255:
        alpha = None
    return Frame(values, alpha, duration)


def of_16_bits(deep: Array, hidden: Any, profile: bytes) -> tuple[Array, Array | None]:
    """Return the values, and the opacity, of 1 to 4 channels of 16 bits.

    Parameters
    ----------
    deep : array of uint16, shape (height, width, channels)
        Grey or colours, with opacity or not.
    hidden : tuple of int or None
        The colour that is transparent.
    profile : bytes
        The ICC profile of the values, empty for sRGB.

    Returns
    -------
    values : array
        sRGB or grey values: float32 in [0, 1], or uint8 if they have no more than 8 bits.
    alpha : array of uint8 or None
        Opacity.
    """
    alpha = None
    if deep.shape[-1] in (2, 4):
        alpha = np.rint(deep[..., -1] / 257).astype(np.uint8)
        deep = deep[..., :-1]
    elif hidden is not None:
        alpha = np.where(np.all(deep == hidden, axis=-1), 0, 255).astype(np.uint8)
    if deep.shape[-1] == 1:
        return sixteen_bits.convert_grey(deep[..., 0], profile), alpha
    return sixteen_bits.convert(deep, profile), alpha


def _split(image: Any) -> tuple[Any, Array | None]:
    """Return an image of a mode that has a profile, and the opacity."""
    if image.mode in ("La", "RGBa"):  # colours that are multiplied by the opacity
        image = image.convert("LA" if image.mode == "La" else "RGBA")
    grey, alpha = image.mode in GREY, None
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = np.array(image.getchannel("A"))
    if grey:
        return image.convert("L") if alpha is None else image.getchannel("R"), alpha
    return image if image.mode in ("RGB", "CMYK", "LAB") else image.convert("RGB"), alpha
