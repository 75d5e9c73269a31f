"""The C library libimagequant 2 or newer, with its speeds, which its Python package does not set.

It is found as the system's shared library (Debian: libimagequant0).
"""

import ctypes
import ctypes.util

import numpy as np


class Palette(ctypes.Structure):
    """What `liq_get_palette` points to."""

    _fields_ = (("count", ctypes.c_uint), ("entries", ctypes.c_ubyte * 4 * 256))


def library():
    """Return the library; ImportError where there is none."""
    name = ctypes.util.find_library("imagequant")
    if name is None:
        raise ImportError("libimagequant is not installed")
    found = ctypes.CDLL(name)
    for function in ("liq_attr_create", "liq_image_create_rgba"):
        getattr(found, function).restype = ctypes.c_void_p
    found.liq_get_palette.restype = ctypes.POINTER(Palette)
    return found


def quantize(image, colors, *, speed=4):
    """Dither a picture at full strength.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        sRGB values.
    colors : int
        Number of colours.
    speed : int, optional
        From 1, slow and good, to 10, fast; 4 is the library's own default.

    Returns
    -------
    array of uint8, shape (height, width, 3)
        The dithered picture.
    """
    liq, pointer = library(), ctypes.c_void_p
    height, width = image.shape[:2]
    rgba = np.concatenate([image, np.full((height, width, 1), 255, np.uint8)], axis=2)
    attributes, result = pointer(liq.liq_attr_create()), pointer()
    liq.liq_set_max_colors(attributes, colors)
    liq.liq_set_speed(attributes, speed)
    gamma = ctypes.c_double(0)  # that of sRGB
    source = pointer(
        liq.liq_image_create_rgba(attributes, pointer(rgba.ctypes.data), width, height, gamma)
    )
    status = liq.liq_image_quantize(source, attributes, ctypes.byref(result))
    if status:
        raise RuntimeError(f"liq_image_quantize returned {status}")
    liq.liq_set_dithering_level(result, ctypes.c_float(1))
    indices = np.empty((height, width), np.uint8)
    size = ctypes.c_size_t(indices.size)
    liq.liq_write_remapped_image(result, source, pointer(indices.ctypes.data), size)
    found = liq.liq_get_palette(result).contents
    palette = np.array(found.entries, np.uint8)[:, :3].copy()
    for free, what in (("result", result), ("image", source), ("attr", attributes)):
        getattr(liq, f"liq_{free}_destroy")(what)
    return np.take(palette, indices, axis=0)
