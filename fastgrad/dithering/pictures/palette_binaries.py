"""Palettes that are no text: colour tables, Adobe's swatches, and those of pictures.

A reader takes the content of a file and returns its colours, a sequence of triples from 0 to 255.
All raise `ValueError`, in words, if the content is not what it should be.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.pictures import frames
from fastgrad.dithering.pictures.colour_profiles import to_srgb
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.swatch_colours import SPACES, to_values

__all__ = ["READERS", "WRITERS", "recognise"]

LARGEST = 1 << 20  # pixels of a picture whose colours are a palette
RAW = (192, 768)  # bytes of raw tables: 64 colours of a NES, or 256
ASE_COLOUR, ASE_GLOBAL = 1, 0
ASE_MODELS = {b"RGB ": "RGB", b"CMYK": "CMYK", b"LAB ": "Lab", b"Gray": "Gray", b"GRAY": "Gray"}
ACO_MODELS = {0: "RGB", 1: "HSB", 2: "CMYK", 7: "Lab", 8: "Gray"}
PICTURES = ((b"\x89PNG", ".png"), (b"GIF8", ".gif"), (b"BM", ".bmp"))


def recognise(data: bytes) -> str | None:
    """Return which of `READERS` a file without text is for, by its content.

    Parameters
    ----------
    data : bytes
        The content of the file.

    Returns
    -------
    str or None
        The ending that such files mostly have, or None if the content does not say.

    """
    for start, ending in (*PICTURES, (b"ASEF", ".ase")):
        if data.startswith(start):
            return ending
    if data[:4] in (b"RIFF", b"RIFX") or len(data) in RAW:
        return ".pal"
    if len(data) == 772:
        return ".act"
    if len(data) >= 4:
        version, count = struct.unpack_from(">HH", data)
        long_enough = len(data) >= 4 + count * (10 if version == 1 else 14)
        if version in (1, 2) and count and long_enough:
            return ".aco"
    return None


# -- one format after the other ------------------------------------------------------------------


def _read_act(data: bytes) -> Array:
    if len(data) not in (768, 772):
        raise ValueError(f"{len(data)} bytes, neither 768 nor 772")
    count = int.from_bytes(data[768:770], "big") or 256
    found = np.frombuffer(data[:768], np.uint8).reshape(256, 3)[:count]
    transparent = int.from_bytes(data[770:], "big")  # 0 where a program did not think of it
    return np.delete(found, transparent, axis=0) if 0 < transparent < len(found) else found


def _write_act(colors: ByteArray, name: str) -> bytes:
    return colors.tobytes().ljust(768, b"\0") + struct.pack(">HH", len(colors), 0xFFFF)


def _read_pal(data: bytes) -> Array:
    """Read a raw table, or a RIFF palette as Windows and Paint Shop Pro write it."""
    if len(data) in RAW and not data.startswith(b"RIFF"):
        return np.frombuffer(data, np.uint8).reshape(-1, 3)
    if not data.startswith(b"RIFF"):
        raise ValueError(
            f"it does not begin with 'JASC-PAL' or 'RIFF', and a raw table has 192 or 768 bytes, "
            f"not {len(data)}"
        )
    if data[8:12] != b"PAL ":
        raise ValueError("a RIFF file, but no palette")
    position = 12
    while position + 8 <= len(data):
        kind, length = struct.unpack_from("<4sI", data, position)
        position += 8
        if kind == b"data":
            (count,) = struct.unpack_from("<H", data, position + 2)
            table = np.frombuffer(data[position + 4 : position + 4 + 4 * count], np.uint8)
            if len(table) < 4 * count:
                raise ValueError("it breaks off")
            return table.reshape(-1, 4)[:, :3]
        position += length + length % 2
    raise ValueError("a RIFF palette without colours")


def _read_ase(data: bytes) -> list[Sequence[int]]:
    if data[:4] != b"ASEF":
        sprite = data[4:6] == b"\xe0\xa5"
        hint = ", but a sprite of Aseprite: save its palette as .gpl or .png" if sprite else ""
        raise ValueError(f"no Adobe swatch exchange file{hint}")
    (blocks,), position, colors = struct.unpack(">I", data[8:12]), 12, []
    for _ in range(blocks):
        kind, length = struct.unpack_from(">HI", data, position)
        position += 6
        if kind == ASE_COLOUR:
            (characters,) = struct.unpack_from(">H", data, position)
            start = position + 2 + 2 * characters
            model = ASE_MODELS.get(data[start : start + 4])
            if model is None:
                name = data[start : start + 4].decode("ascii", "replace").strip()
                raise ValueError(f"a colour in {name!r}: only RGB, CMYK, Lab and Gray are read")
            numbers = list(struct.unpack_from(f">{SPACES[model]}f", data, start + 4))
            numbers[0] *= 100 if model == "Lab" else 1  # L* is a share here
            colors.append(to_values(model, numbers))
        position += length
    return colors


def _write_ase(colors: ByteArray, name: str) -> bytes:
    blocks = []
    for colour in colors:
        label = f"{bytes(colour).hex()}\0"
        body = struct.pack(">H", len(label)) + label.encode("utf-16-be") + b"RGB "
        body += struct.pack(">3fH", *(float(x) / 255 for x in colour), ASE_GLOBAL)
        blocks.append(struct.pack(">HI", ASE_COLOUR, len(body)) + body)
    return b"ASEF" + struct.pack(">HHI", 1, 0, len(blocks)) + b"".join(blocks)


def _read_aco(data: bytes) -> list[Sequence[int]]:
    """Read version 1, which version 2 may follow with the same colours and names, or that alone."""
    if len(data) < 4 or data[:2] not in (b"\0\1", b"\0\2"):
        raise ValueError("no Adobe colour file of version 1 or 2")
    version, count = struct.unpack_from(">HH", data)
    position, colors = 4, []
    for _ in range(count):
        space, *raw = struct.unpack_from(">5H", data, position)
        position += 10
        if version == 2:
            (characters,) = struct.unpack_from(">I", data, position)
            position += 4 + 2 * characters
        model = ACO_MODELS.get(space)
        if model is None:
            raise ValueError(f"a colour in space {space}: RGB, HSB, CMYK, Lab and Gray are read")
        colors.append(to_values(model, _aco_numbers(model, raw)))
    return colors


def _aco_numbers(model: str, raw: Sequence[int]) -> list[float]:
    """Scale four integers to the numbers of a model."""
    if model == "Lab":  # L* and signed a* and b*, in hundredths
        return [(x - 65536 if x > 32767 and i else x) / 100 for i, x in enumerate(raw[:3])]
    if model == "Gray":
        return [raw[0] / 10000]
    numbers = [x / 65535 for x in raw[: SPACES[model]]]
    return [1 - x for x in numbers] if model == "CMYK" else numbers  # 0 is all of an ink


def _write_aco(colors: ByteArray, name: str) -> bytes:
    rows = [struct.pack(">5H", 0, *(257 * int(x) for x in colour), 0) for colour in colors]
    labels = [f"{bytes(colour).hex()}\0" for colour in colors]
    named = [
        row + struct.pack(">I", len(label)) + label.encode("utf-16-be")
        for row, label in zip(rows, labels)
    ]
    heads = [struct.pack(">HH", version, len(colors)) for version in (1, 2)]
    return b"".join([heads[0], *rows, heads[1], *named])


def _read_picture(data: bytes) -> Array:
    """Read the palette of an indexed picture, or the colours of any other, without hidden ones."""
    try:
        from PIL import Image
    except ImportError:
        raise FileError("Pillow is needed: pip install fastgrad[dither]") from None
    kind = next((name for start, name in PICTURES if data.startswith(start)), ".png")
    kind = kind[1:].upper()
    try:
        with Image.open(io.BytesIO(data), formats=[kind]) as image:
            if image.width * image.height > LARGEST:
                raise ValueError(f"more than {LARGEST} pixels")
            profile = frames.color_profile(image)
            hidden = image.info.get("transparency")
            image.load()
            table = _table(image, data)
            if table is None:
                frame = frames.from_pil(image, profile)
                pixels = np.rint(frame.values * (255 if frame.values.dtype != np.uint8 else 1))
                seen = slice(None) if frame.alpha is None else frame.alpha.reshape(-1) > 0
                pixels = pixels.reshape(-1, 3).astype(np.uint8)[seen]
                return pixels[np.sort(np.unique(pixels, axis=0, return_index=True)[1])]
            shown = np.asarray(to_srgb(Image.fromarray(table[None]), profile))[0]
            if kind != "PNG":
                shown = _without_padding(shown, np.unique(np.asarray(image)))
            return np.delete(shown, list(_hidden(hidden, len(shown))), axis=0)
    except (OSError, SyntaxError, EOFError, struct.error, Image.DecompressionBombError):
        raise ValueError(f"no {kind} that Pillow can read") from None


def _table(image: Any, data: bytes) -> ByteArray | None:
    """Return all entries of an indexed picture; Pillow leaves out what it takes for grey."""
    if data.startswith(b"GIF8") and data[10] & 0x80:
        table = data[13 : 13 + 3 * (2 << (data[10] & 7))]
        return np.frombuffer(table[: len(table) // 3 * 3], np.uint8).reshape(-1, 3)
    if data.startswith(b"BM"):
        (size,) = struct.unpack_from("<I", data, 14)
        if size == 12:
            bits, width, used = struct.unpack_from("<H", data, 24)[0], 3, 0
        else:
            bits, width = struct.unpack_from("<H", data, 28)[0], 4
            (used,) = struct.unpack_from("<I", data, 46)
        if bits > 8:
            return None
        count = min(used or 1 << bits, 1 << bits)
        table = np.frombuffer(data[14 + size : 14 + size + count * width], np.uint8)
        return table[: len(table) // width * width].reshape(-1, width)[:, 2::-1]
    if image.mode != "P":
        return None
    return np.array(image.getpalette("RGB") or [], np.uint8).reshape(-1, 3)


def _without_padding(table: Array, used: Array) -> Array:
    """Leave out black entries at the end that only fill a table up to a power of two.

    Two of them are taken for that, and one where all other entries appear in the picture.
    """
    last = len(table)
    while last > 1 and not table[last - 1].any() and last - 1 not in used:
        last -= 1
    if len(table) - last == 1 and len(used) < last:
        last += 1
    return table[:last]


def _hidden(transparency: Any, count: int) -> Iterator[int]:
    """Yield the entries that are fully transparent."""
    if isinstance(transparency, bytes):
        yield from (i for i, opacity in enumerate(transparency[:count]) if opacity == 0)
    elif isinstance(transparency, int) and transparency < count:
        yield transparency


def _write_png(colors: ByteArray, name: str) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(np.repeat(np.repeat(colors[None], 16, axis=0), 16, axis=1)).save(file, "PNG")
    return file.getvalue()


READERS = {".act": _read_act, ".pal": _read_pal, ".ase": _read_ase, ".aco": _read_aco}
READERS |= dict.fromkeys((".png", ".gif", ".bmp"), _read_picture)
WRITERS = {".act": _write_act, ".ase": _write_ase, ".aco": _write_aco, ".png": _write_png}
