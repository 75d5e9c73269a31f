"""Files of palettes, read by what is in them and written by the ending of their names."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from fastgrad._typing import Array, ArrayLike
from fastgrad.dithering.pictures import output_files, palette_binaries, palette_texts
from fastgrad.dithering.pictures.file_errors import FileError

__all__ = ["READERS", "WRITERS", "encode", "read", "write"]

LARGEST = 1 << 20  # bytes of a file that may be a palette
# Endings that files of these formats mostly have.
READERS = (".gpl", ".hex", ".txt", ".json", ".act", ".aco", ".ase", ".pal", ".png", ".gif", ".bmp")
WRITERS = (".gpl", ".hex", ".txt", ".json", ".act", ".aco", ".ase", ".pal", ".png")
FOREIGN = (  # beginnings of files that are taken for palettes, and what they are
    (b"%PDF", "a PDF"),
    (b"%!PS", "PostScript"),
    (b"<", "XML or HTML, as an SVG is"),
    (b"\xff\xd8\xff", "a JPEG, which has no palette"),
    (b"PK\3\4", "an archive"),
)


def read(path: str | os.PathLike[str], least: int = 2) -> tuple[Array, Array]:
    """Read the colours of a palette file, in its order, each of them once.

    What is in the file decides how it is read; the ending of its name counts only where that does
    not say. These are read:

    - palettes of GIMP (.gpl), those with opacity that Aseprite writes too; of JASC, as Paint Shop
      Pro and Aseprite write them, and RIFF palettes of Windows (.pal); raw tables of 192 or 768
      bytes;
    - Adobe's colour tables (.act), colours (.aco) and swatches (.ase), in RGB, HSB, CMYK, Lab and
      grey;
    - lists of hexadecimal colours (.hex, .txt), as of Lospec and Paint.NET: with ``#``, ``0x`` or
      nothing before them, one or several to a line;
    - JSON: a list of colours ``"#rrggbb"`` or ``[r, g, b]``, or an object whose ``"colors"`` is
      such a list. Its optional ``"device"`` is a list of as many colours, those that a display's
      driver expects;
    - the palette of an indexed .png, .gif or .bmp, and the colours of any other .png or .bmp.

    Text is in UTF-8, UTF-16 or Latin-1. Colours that are fully transparent are left out. A table of
    768 bytes always has 256 colours, be it padded with black or not: .act says in four bytes more
    how many count.

    Parameters
    ----------
    path : str or path-like
        The file.
    least : int, optional
        How many colours there must be: one is enough where others are learned beside it.

    Returns
    -------
    colors : numpy.ndarray of uint8, shape (K, 3)
        The colours in sRGB.
    device : numpy.ndarray of uint8, shape (K, 3)
        The colours to write to a picture in their places: the same colours, unless a JSON file
        has others.

    Raises
    ------
    FileError
        If the file cannot be read, is no palette, has too few colours, more than 256, or some of
        eight digits of which it cannot be told whether opacity comes first or last.
    """
    path = Path(path)
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        found = _parse(data, path.suffix.lower())
        colors, device = found if isinstance(found, tuple) else (found, found)
        colors, device = (np.array(x, np.uint8).reshape(-1, 3) for x in (colors, device))
        if len(colors) != len(device):
            raise ValueError(f"{len(colors)} colours but {len(device)} of the device")
    except OSError as error:
        raise FileError("cannot read", path, error.strerror or error) from None
    except FileError:
        raise
    except struct.error:
        raise FileError("not a palette:", path, "it breaks off") from None
    except ValueError as error:
        raise FileError("not a palette:", path, error) from None
    first = np.sort(np.unique(colors, axis=0, return_index=True)[1])
    if not least <= len(first) <= 256:
        raise FileError(f"a palette must have {least} to 256 colours, got {len(first)}:", path)
    return colors[first], device[first]


def write(path: str | os.PathLike[str], palette: ArrayLike, *, name: str = "fastgrad") -> None:
    """Write a palette, in the format that the ending of the file's name stands for.

    Parameters
    ----------
    path : str or path-like
        The file, replaced if it exists, whose name ends in one of `WRITERS`.
    palette : array_like of uint8, shape (K, 3), or sequence of str
        The colours in sRGB, or as ``"#rrggbb"``: 2 to 256 of them.
    name : str, optional
        The palette's name, for formats that have one.

    Raises
    ------
    FileError
        If the ending is another one, or the file cannot be written.
    ValueError
        If the palette is none.

    Examples
    --------
    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = os.path.join(folder, "two.gpl")
    ...     write(file, ["#ff0000", "#000010"])
    ...     read(file)[0].tolist()
    [[255, 0, 0], [0, 0, 16]]
    """
    path = Path(path)
    try:
        colors = palette_texts.colours(palette)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise ValueError(f"palette must be a list of colours, got {error}") from None
    if not 2 <= len(colors) <= 256:
        raise ValueError(f"palette must have 2 to 256 colours, got {len(colors)}")
    output_files.check_targets([path], endings=WRITERS)
    output_files.replace(encode(colors, path.suffix.lower(), name=name), path)


def encode(
    colors: ArrayLike, ending: str, *, name: str = "fastgrad", device: ArrayLike | None = None
) -> bytes:
    """Encode a palette in the format that the ending of a file's name stands for.

    Parameters
    ----------
    colors : array_like of uint8, shape (K, 3)
        The colours in sRGB, up to 256.
    ending : str
        One of `WRITERS`.
    name : str, optional
        The palette's name, for formats that have one.
    device : array_like of uint8, shape (K, 3), optional
        The colours that a picture's file gets in their places, which only ``.json`` can hold.

    Returns
    -------
    bytes
        The content of the file. A PNG shows each colour as a square of 16 x 16 pixels.

    Examples
    --------
    >>> encode([[255, 0, 0], [0, 0, 16]], ".hex").decode().split()
    ['ff0000', '000010']
    """
    values = np.asarray(colors, np.uint8)
    if device is not None and ending == ".json":
        return palette_texts.write_json(values, name, np.asarray(device, np.uint8)).encode()
    if ending in palette_texts.WRITERS:
        return palette_texts.WRITERS[ending](values, name).encode()
    return palette_binaries.WRITERS[ending](values, name)


def _parse(data: bytes, ending: str) -> Any:
    """Read a palette by its content, or else as the ending says."""
    for start, kind in FOREIGN:
        if data.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(start):
            raise ValueError(f"it is {kind}")
    text = palette_texts.decode(data)
    if text is None:
        known = palette_binaries.recognise(data) or ending
        reader = palette_binaries.READERS.get(known)
        if reader is None:
            raise ValueError(
                f"none of {len(data)} bytes in any format that is read: {', '.join(READERS)}"
            )
        return reader(data)
    known = palette_texts.recognise(text)
    if known is not None:
        return palette_texts.READERS[known](text)
    try:
        return palette_texts.read_hex(text) or _as_named(data, text, ending)
    except ValueError:
        if ending in (".hex", ".txt"):
            raise
    return _as_named(data, text, ending)


def _as_named(data: bytes, text: str, ending: str) -> Any:
    """Read what could not be recognised as the ending says; its reader knows what is wrong."""
    if ending == ".pal" and len(data) not in palette_binaries.RAW:
        return palette_texts.READERS[".pal"](text)
    if ending in palette_binaries.READERS:
        return palette_binaries.READERS[ending](data)
    return palette_texts.READERS.get(ending, palette_texts.read_hex)(text)
