"""Files of palettes: GIMP, hexadecimal, Adobe (two kinds), JASC, PNG and JSON."""

import io
import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from fastgrad._typing import Array, ArrayLike
from fastgrad.dithering.pictures.images import FileError

LARGEST = 1 << 20  # bytes of a file that may be a palette
ASE_COLOUR, ASE_GLOBAL = 1, 0


def read(path: Path) -> tuple[Array, Array]:
    """Read the colours of a palette file, in its order, each of them once.

    Parameters
    ----------
    path : pathlib.Path
        A file whose ending is one of `READERS`: ``.gpl`` (GIMP), ``.hex`` (a colour a line),
        ``.act`` (Adobe colour table), ``.pal`` (JASC), ``.ase`` (Adobe swatch exchange), ``.png``
        (the palette of an indexed picture, or the colours of any other) or ``.json``: a list of
        colours ``"#rrggbb"`` or ``[r, g, b]``, or an object whose ``"colors"`` is such a list. Its
        optional ``"device"`` is a list of as many colours, those that a display's driver expects.

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
        If the file cannot be read, is not what its ending says, or has not 2 to 256 colours.
    """
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise FileError(f"a palette's name must end in one of {', '.join(READERS)}: {path}")
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        found = reader(data)
        colors, device = found if isinstance(found, tuple) else (found, found)
        colors, device = _checked(colors), _checked(device)
        if len(colors) != len(device):
            raise ValueError(f"{len(colors)} colours but {len(device)} of the device")
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror or error}") from None
    except FileError:
        raise
    except (ValueError, KeyError, TypeError, struct.error, RecursionError) as error:
        raise FileError(f"not a palette: {path}: {error}") from None
    first = np.sort(np.unique(colors, axis=0, return_index=True)[1])
    if not 2 <= len(first) <= 256:
        raise FileError(f"a palette must have 2 to 256 colours, got {len(first)}: {path}")
    return colors[first], device[first]


def encode(colors: ArrayLike, ending: str, *, name: str = "fastgrad") -> bytes:
    """Encode a palette in the format that the ending of a file's name stands for.

    Parameters
    ----------
    colors : array_like of uint8, shape (K, 3)
        The colours in sRGB, up to 256.
    ending : str
        One of `WRITERS`.
    name : str, optional
        The palette's name, for formats that have one.

    Returns
    -------
    bytes
        The content of the file. A PNG shows each colour as a square of 16 x 16 pixels.

    Examples
    --------
    >>> encode([[255, 0, 0], [0, 0, 16]], ".hex").decode().split()
    ['ff0000', '000010']
    """
    return WRITERS[ending](np.asarray(colors, np.uint8), name)


def _checked(colors):
    """Turn a list of colours into an array."""
    rows = [_colour(c) if isinstance(c, str) else tuple(map(_integer, c)) for c in colors]
    if any(len(row) != 3 or not all(0 <= x <= 255 for x in row) for row in rows):
        raise ValueError("a colour that is not three numbers from 0 to 255")
    return np.array(rows, np.uint8).reshape(-1, 3)


def _colour(text):
    """Read #rrggbb, rrggbb or #rgb; of aarrggbb, the colour."""
    digits = text.strip().removeprefix("#")
    if re.fullmatch("[0-9a-fA-F]{3}", digits):
        digits = "".join(2 * digit for digit in digits)
    if not re.fullmatch("(?:[0-9a-fA-F]{2})?[0-9a-fA-F]{6}", digits):
        raise ValueError(f"not a colour: {text.strip()[:20]!r}")
    return tuple(bytes.fromhex(digits[-6:]))


def _integer(value):
    """Read plain digits: `int` would also take underscores and other scripts."""
    text = str(value)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"not a number from 0 to 255: {text[:20]!r}")
    return int(text)


def _lines(data):
    """Split text into lines that are not empty."""
    return [line.strip() for line in data.decode("utf-8-sig").splitlines() if line.strip()]


# -- one format after the other ------------------------------------------------------------------


def _read_gpl(data):
    head, *lines = _lines(data) or [""]
    if head != "GIMP Palette":
        raise ValueError("the first line is not 'GIMP Palette'")
    rows = [line for line in lines if not re.match("#|name:|columns:", line, re.IGNORECASE)]
    return [row.split()[:3] for row in rows]


def _write_gpl(colors, name):
    rows = [f"{r:3d} {g:3d} {b:3d}\t{r:02x}{g:02x}{b:02x}" for r, g, b in colors]
    return "\n".join(["GIMP Palette", f"Name: {name}", "Columns: 0", "#", *rows, ""]).encode()


def _read_hex(data):
    return [line for line in _lines(data) if not line.startswith((";", "//"))]


def _write_hex(colors, name):
    return "".join(f"{r:02x}{g:02x}{b:02x}\n" for r, g, b in colors).encode()


def _read_act(data):
    if len(data) not in (768, 772):
        raise ValueError(f"{len(data)} bytes, neither 768 nor 772")
    count = int.from_bytes(data[768:770], "big") or 256
    return np.frombuffer(data[:768], np.uint8).reshape(256, 3)[:count]


def _write_act(colors, name):
    return colors.tobytes().ljust(768, b"\0") + struct.pack(">HH", len(colors), 0xFFFF)


def _read_pal(data):
    lines = _lines(data)
    if lines[:2] != ["JASC-PAL", "0100"] or len(lines) < 3:
        raise ValueError("it does not begin with 'JASC-PAL' and '0100'")
    rows = [line.split()[:3] for line in lines[3:]]
    if len(rows) != _integer(lines[2]):
        raise ValueError(f"{len(rows)} colours, not the {lines[2]} that it claims")
    return rows


def _write_pal(colors, name):
    rows = [f"{r} {g} {b}" for r, g, b in colors]
    return "\r\n".join(["JASC-PAL", "0100", str(len(rows)), *rows, ""]).encode()


def _read_ase(data):
    if data[:4] != b"ASEF":
        raise ValueError("no Adobe swatch exchange file")
    (blocks,), position, colors = struct.unpack(">I", data[8:12]), 12, []
    for _ in range(blocks):
        kind, length = struct.unpack_from(">HI", data, position)
        position += 6
        if kind == ASE_COLOUR:
            (characters,) = struct.unpack_from(">H", data, position)
            start = position + 2 + 2 * characters
            model = data[start : start + 4].decode("ascii", "replace").strip()
            if model not in ("RGB", "Gray"):
                raise ValueError(f"a colour in {model!r}: only RGB and Gray are read")
            values = struct.unpack_from(">3f" if model == "RGB" else ">f", data, start + 4)
            if not all(0 <= x <= 1 for x in values):
                raise ValueError(f"a colour out of range: {values}")
            colors.append([round(255 * x) for x in values] * (3 // len(values)))
        position += length
    return colors


def _write_ase(colors, name):
    blocks = []
    for colour in colors:
        label = f"{bytes(colour).hex()}\0"
        body = struct.pack(">H", len(label)) + label.encode("utf-16-be") + b"RGB "
        body += struct.pack(">3fH", *(float(x) / 255 for x in colour), ASE_GLOBAL)
        blocks.append(struct.pack(">HI", ASE_COLOUR, len(body)) + body)
    return b"ASEF" + struct.pack(">HHI", 1, 0, len(blocks)) + b"".join(blocks)


def _read_png(data):
    try:
        from PIL import Image
    except ImportError:
        raise FileError("Pillow is needed: pip install fastgrad[dither]") from None
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > LARGEST:
                raise ValueError(f"more than {LARGEST} pixels")
            if image.mode == "P":
                return np.reshape(image.getpalette("RGB") or [], (-1, 3))
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
    except (OSError, SyntaxError, Image.DecompressionBombError):
        raise ValueError("no PNG that Pillow can read") from None
    first = np.sort(np.unique(pixels, axis=0, return_index=True)[1])
    return pixels[first]


def _write_png(colors, name):
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.repeat(np.repeat(colors[None], 16, axis=0), 16, axis=1)).save(file, "PNG")
    return file.getvalue()


def _read_json(data):
    found = json.loads(data)
    if not isinstance(found, dict):
        return found
    return found["colors"], found.get("device", found["colors"])


def _write_json(colors, name):
    rows = [f"#{bytes(colour).hex()}" for colour in colors]
    return (json.dumps({"name": name, "colors": rows}, indent=2) + "\n").encode()


READERS: dict[str, Callable[[bytes], Any]] = {
    ".gpl": _read_gpl,
    ".hex": _read_hex,
    ".act": _read_act,
    ".pal": _read_pal,
    ".ase": _read_ase,
    ".png": _read_png,
    ".json": _read_json,
}
WRITERS: dict[str, Callable[[Array, str], bytes]] = {
    ".gpl": _write_gpl,
    ".hex": _write_hex,
    ".act": _write_act,
    ".pal": _write_pal,
    ".ase": _write_ase,
    ".png": _write_png,
    ".json": _write_json,
}
