"""What devices take: grey PNG, BMP, packed indices, a plane of bits for each ink, C arrays.

Firmware of panels and consoles often reads no indexed PNG, or none at all. In packed forms a row
begins with a new byte, and the first pixel of a byte is in its highest bits, as the drivers of
panels have it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Sequence
from typing import Literal, TypeAlias

import numpy as np

from fastgrad._typing import ByteArray
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.png import compress, least_bits, pack
from fastgrad.dithering.pictures.png_chunks import SIGNATURE, chunk

__all__ = ["ENDINGS", "FORMATS", "FormatName", "check", "encode", "planes"]

FormatName: TypeAlias = Literal[
    "grey1", "grey2", "grey4", "grey8", "bmp", "raw", "planes", "c", "c-planes"
]
FORMATS: dict[FormatName, str] = {
    "grey1": "grey PNG of 1 bit",
    "grey2": "of 2 bits",
    "grey4": "of 4 bits",
    "grey8": "of 8 bits",
    "bmp": "indexed BMP",
    "raw": "packed indices",
    "planes": "a plane of bits for each ink but white, 0 where it is",
    "c": "the packed indices as a C array",
    "c-planes": "the planes as C arrays",
}
ENDINGS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("grey1", "grey2", "grey4", "grey8"), (".png",)),
    **dict.fromkeys(("raw", "planes"), (".bin", ".raw")),
    **dict.fromkeys(("c", "c-planes"), (".h", ".c")),
    "bmp": (".bmp",),
}
GREY = 0  # the colour type of a PNG
ACROSS = 12  # bytes in a line of C


def encode(
    indices: ByteArray,
    palette: ByteArray,
    name: FormatName,
    *,
    codes: Sequence[int] | None = None,
    stem: str = "image",
) -> bytes:
    """Return a picture as a device takes it.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        Palette indices.
    palette : array of uint8, shape (K, 3)
        The colours of the device in sRGB.
    name : str
        A key of `FORMATS`.
    codes : sequence of int, optional
        The numbers by which the driver calls the colours; by default their indices.
    stem : str, optional
        From which names in C are made.

    Returns
    -------
    bytes
        The content of the file.

    Raises
    ------
    FileError
        If the format cannot hold the picture.

    Examples
    --------
    >>> import numpy as np
    >>> indices = np.uint8([[0, 1, 2, 3, 3]])
    >>> encode(indices, np.zeros((4, 3), np.uint8), "raw").hex()
    '1bc0'
    >>> inks = np.uint8([[0, 0, 0], [255, 255, 255], [255, 0, 0]])
    >>> encode(np.uint8([[0, 1, 2]]), inks, "planes").hex()  # black, then red
    '7fdf'
    """
    if name.startswith("grey"):
        return _grey(indices, palette, int(name.removeprefix("grey")))
    if name == "bmp":
        return _bmp(indices, palette)
    if name in ("planes", "c-planes"):
        parts = planes(indices, palette)
        if name == "planes":
            return b"".join(parts.values())
        return _c_source(indices, parts, stem, "1 bit a pixel, 0 where the ink is")
    numbers = np.arange(len(palette)) if codes is None else np.asarray(codes)
    bits = least_bits(int(numbers.max()) + 1)
    data = _packed(numbers.astype(np.uint8)[indices], bits).tobytes()
    if name == "raw":
        return data
    said = ", ".join(f"{n} #{bytes(c).hex()}" for n, c in zip(numbers, palette))
    return _c_source(indices, {"": data}, stem, f"{bits} bits a pixel: {said}")


def check(name: FormatName, palette: ByteArray) -> None:
    """Refuse a palette that a format does not hold, before there is a picture.

    Parameters
    ----------
    name : str
        A key of `FORMATS`.
    palette : array of uint8, shape (K, 3)
        The colours of the device.

    Raises
    ------
    FileError
        If it does not.

    Examples
    --------
    >>> check("grey2", np.uint8([[0, 0, 0], [255, 255, 255]]))
    """
    if name.startswith("grey"):
        _levels(palette, int(name.removeprefix("grey")))


def planes(indices: ByteArray, palette: ByteArray) -> dict[str, bytes]:
    """Return a plane of bits for each ink, 0 where a pixel has it, as panels of two inks take them.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        Palette indices.
    palette : array of uint8, shape (K, 3)
        The colours of the device in sRGB; the lightest is the paper, which has no plane.

    Returns
    -------
    dict of str to bytes
        The planes by the colours' names or hexadecimal digits, in the order of the palette; bits
        beyond the end of a row are 1.
    """
    paper = int(palette.astype(np.int64).sum(axis=1).argmax())
    made: dict[str, bytes] = {}
    for i, color in enumerate(palette):
        if i != paper:
            bits = np.packbits(indices == i, axis=1)
            digits = bytes(color).hex()
            made[NAMES.get(digits, digits)] = (~bits).tobytes()
    return made


NAMES = {"000000": "black", "ff0000": "red", "ffff00": "yellow", "0000ff": "blue"}
NAMES |= {"00ff00": "green", "ff8c00": "orange", "ffffff": "white"}


def _packed(indices: ByteArray, bits: int) -> ByteArray:
    """Return the rows of a picture, (height, bytes), as those of a PNG without their filters."""
    return np.frombuffer(pack(indices, bits), np.uint8).reshape(len(indices), -1)[:, 1:]


def _grey(indices: ByteArray, palette: ByteArray, bits: int) -> bytes:
    """Return a grey PNG, whose levels are the nearest to the greys of a palette."""
    levels = _levels(palette, bits)
    height, width = indices.shape
    header = struct.pack(">IIBBBBB", width, height, bits, GREY, 0, 0, 0)
    data = chunk(b"IDAT", compress(pack(levels[indices], bits)))
    return SIGNATURE + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def _levels(palette: ByteArray, bits: int) -> ByteArray:
    """Return the levels of a grey PNG that are the nearest to the greys of a palette."""
    if not (palette == palette[:, :1]).all():
        raise FileError("a grey PNG needs a palette of greys, such as --preset grey4")
    top = (1 << bits) - 1
    levels = np.rint(palette[:, 0] / 255 * top).astype(np.uint8)
    if len(np.unique(levels)) < len(np.unique(palette[:, 0])):
        verb = "bits do" if bits > 1 else "bit does"
        raise FileError(f"{bits} {verb} not hold {len(np.unique(palette[:, 0]))} greys")
    return levels


def _bmp(indices: ByteArray, palette: ByteArray) -> bytes:
    """Return an indexed BMP of 1, 4 or 8 bits, its rows from the bottom up."""
    height, width = indices.shape
    bits = next(bits for bits in (1, 4, 8) if len(palette) <= 1 << bits)
    packed = _packed(indices, bits)
    rows = np.zeros((height, -(-packed.shape[1] // 4) * 4), np.uint8)
    rows[:, : packed.shape[1]] = packed[::-1]
    colours = np.zeros((1 << bits, 4), np.uint8)
    colours[: len(palette), :3] = palette[:, ::-1]
    start = 54 + colours.size
    head = struct.pack("<2sIHHI", b"BM", start + rows.size, 0, 0, start)
    dots = 2835  # a metre, which is 72 dpi
    size = (40, width, height, 1, bits, 0, rows.size, dots, dots, len(palette), 0)
    return head + struct.pack("<IiiHHIIiiII", *size) + colours.tobytes() + rows.tobytes()


def _c_source(indices: ByteArray, parts: dict[str, bytes], stem: str, said: str) -> bytes:
    """Return C source of arrays, and of the picture's width and height."""
    name = re.sub("[^0-9a-z]+", "_", stem.lower()).strip("_")
    name = f"image_{name}".rstrip("_") if not name[:1].isalpha() else name
    height, width = indices.shape
    lines = [f"/* {width} x {height}, {said} */"]
    lines += [f"#define {name.upper()}_WIDTH {width}", f"#define {name.upper()}_HEIGHT {height}"]
    for part, data in parts.items():
        whole = f"{name}_{part}" if part else name
        lines.append(f"static const unsigned char {whole}[{len(data)}] = {{")
        numbers = [f"0x{byte:02x}," for byte in data]
        lines += ["  " + " ".join(numbers[i : i + ACROSS]) for i in range(0, len(data), ACROSS)]
        lines.append("};")
    return ("\n".join(lines) + "\n").encode("ascii")
