"""Pictures as other tools dither them, for comparisons."""

from __future__ import annotations

import io
import shutil
import subprocess
from collections.abc import Callable

import numpy as np

from fastgrad._typing import ByteArray

__all__ = ["RIVALS", "imagequant", "pillow", "pngquant"]


def pillow(values: ByteArray, colors: int, palette: ByteArray | None = None) -> ByteArray:
    """Dither by Pillow: a palette by maximum coverage, then Floyd-Steinberg.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        sRGB values.
    colors : int
        Number of colours.
    palette : array of uint8, shape (K, 3), optional
        Palette to use instead of Pillow's own.

    Returns
    -------
    array of uint8, shape (height, width, 3)
        The dithered picture in sRGB.
    """
    from PIL import Image

    image = Image.fromarray(values)
    if palette is None:
        chosen = image.quantize(colors, method=Image.Quantize.MAXCOVERAGE)
    else:
        chosen = Image.new("P", (1, 1))
        full = np.tile(palette, (256, 1))[:256]  # else what is missing counts as black
        chosen.putpalette(full.tobytes())
    dithered = image.quantize(palette=chosen, dither=Image.Dither.FLOYDSTEINBERG)
    return np.asarray(dithered.convert("RGB"))


def imagequant(
    values: ByteArray, colors: int, palette: ByteArray | None = None, *, level: float = 1.0
) -> ByteArray | None:
    """Dither by libimagequant, by default at full strength.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        sRGB values.
    colors : int
        Number of colours.
    palette : array of uint8, shape (K, 3), optional
        A palette, which libimagequant cannot use.
    level : float, optional
        Strength of dithering, 0 to 1.

    Returns
    -------
    array of uint8, shape (height, width, 3), or None
        The dithered picture in sRGB; None if the package is not installed or there is a palette.
    """
    if palette is not None:
        return None
    try:
        import imagequant  # pyright: ignore[reportMissingImports]
    except ImportError:
        return None
    height, width = values.shape[:2]
    opaque = np.full((height, width, 1), 255, np.uint8)
    data = np.concatenate([values, opaque], axis=2).tobytes()
    indices, chosen = imagequant.quantize_raw_rgba_bytes(
        data, width, height, dithering_level=level, max_colors=colors
    )
    chosen = np.array(chosen, np.uint8).reshape(-1, 4)[:, :3]
    return chosen[np.frombuffer(indices, np.uint8)].reshape(values.shape)


def pngquant(values: ByteArray, colors: int, palette: ByteArray | None = None) -> ByteArray | None:
    """Dither by the program pngquant, at its slowest.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        sRGB values.
    colors : int
        Number of colours.
    palette : array of uint8, shape (K, 3), optional
        A palette, which pngquant takes only from a picture.

    Returns
    -------
    array of uint8, shape (height, width, 3), or None
        The dithered picture in sRGB; None if the program is not installed or there is a palette.
    """
    from PIL import Image

    program = shutil.which("pngquant")
    if program is None or palette is not None:
        return None
    data = io.BytesIO()
    Image.fromarray(values).save(data, "PNG", compress_level=1)
    command = [program, "--speed", "1", str(colors), "-"]
    done = subprocess.run(command, input=data.getvalue(), capture_output=True, check=False)
    if done.returncode:
        return None
    return np.asarray(Image.open(io.BytesIO(done.stdout)).convert("RGB"))


RIVALS: dict[str, Callable[..., ByteArray | None]] = {"Pillow": pillow, "imagequant": imagequant}
