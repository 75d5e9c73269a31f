"""Frames of animated PNG and GIF files, put together as browsers do, from the files' own blocks.

Pillow decodes each block as a picture of its own; where it goes, how it is blended with what is
there, and what becomes of it afterwards is settled here.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.pictures.png_chunks import SIGNATURE, chunk, load

__all__ = ["PARTS", "covers", "frames", "gif_parts", "over", "png_parts"]

KEEP, CLEAR, RESTORE = 0, 1, 2  # what becomes of a rectangle when its time is over


class Part(NamedTuple):
    """A block of an animation: a picture file of its own, and what is done with it."""

    file: bytes
    x: int
    y: int
    width: int
    height: int
    dispose: int
    blend: bool  # whether it is laid over what is there, or replaces it
    duration: float  # in milliseconds


def frames(
    data: bytes, form: str, size: tuple[int, int], count: int
) -> Iterator[tuple[ByteArray, float]]:
    """Decode the frames of an animation, one after the other.

    Parameters
    ----------
    data : bytes
        The file.
    form : {"PNG", "GIF"}
        Its format.
    size : tuple of int
        The width and height of the picture.
    count : int
        The number of frames.

    Yields
    ------
    values : array of uint8, shape (height, width, 4)
        The frame: red, green, blue and opacity as the file has them. What no block has covered is
        transparent.
    duration : float
        How long it is shown, in milliseconds.

    Raises
    ------
    ValueError
        If the file is damaged, or has fewer frames.
    """
    width, height = size
    canvas, found = np.zeros((height, width, 4), np.uint8), 0
    for part in islice(PARTS[form](data), count):
        place = np.s_[part.y : part.y + part.height, part.x : part.x + part.width]
        region = canvas[place]
        before = region.copy()
        if region.size:
            values = _decoded(part.file, form)[: region.shape[0], : region.shape[1]]
            region[...] = over(values, region) if part.blend else values
        yield canvas.copy(), part.duration
        if part.dispose == CLEAR or (part.dispose == RESTORE and form == "PNG" and not found):
            region[...] = 0
        elif part.dispose == RESTORE:
            region[...] = before
        found += 1
    if found < count:
        raise ValueError(f"the file ends before frame {found + 1} of {count}")


def covers(data: bytes, size: tuple[int, int]) -> bool:
    """Return whether the first block of a GIF covers all of it.

    Parameters
    ----------
    data : bytes
        The file.
    size : tuple of int
        The width and height of the picture.

    Returns
    -------
    bool
        True as well if there is no block, so that there is nothing to put together.
    """
    part = next(gif_parts(data), None)
    return part is None or part[1:5] == (0, 0, *size)


def over(values: ByteArray, below: ByteArray) -> ByteArray:
    """Lay a picture over another one.

    Parameters
    ----------
    values, below : array of uint8, shape (height, width, 4)
        Both pictures: red, green, blue and opacity.

    Returns
    -------
    array of uint8, of the same shape
        What is seen.

    References
    ----------
    W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025: alpha channel
    processing.

    Examples
    --------
    >>> import numpy as np
    >>> over(np.uint8([[[200, 0, 0, 128]]]), np.uint8([[[255, 255, 255, 255]]])).tolist()
    [[[227, 127, 127, 255]]]
    """
    mine = values[..., 3:] / np.float32(255)
    its = below[..., 3:] / np.float32(255) * (1 - mine)
    alpha = mine + its
    colours = values[..., :3] * mine + below[..., :3] * its
    colours /= np.where(alpha > 0, alpha, 1)
    result = np.rint(np.concatenate([colours, 255 * alpha], axis=-1)).astype(np.uint8)
    return np.where(values[..., 3:] == 255, values, result)


def _decoded(file: bytes, form: str) -> Array:
    """Decode a picture to red, green, blue and opacity."""
    from PIL import Image

    with Image.open(io.BytesIO(file), formats=[form]) as image:
        load(image)
        if image.mode.startswith("I"):  # 16 bits
            grey = np.asarray(image)
            alpha = np.where(grey == image.info.get("transparency", -1), 0, 255)
            grey = (grey.astype(np.int64) + 128) // 257
            return np.stack([grey, grey, grey, alpha], axis=-1).astype(np.uint8)
        return np.asarray(image.convert("RGBA"))


def png_parts(data: bytes) -> Iterator[Part]:
    """Yield the frames of an animated PNG; a picture that is no part of the animation is left out.

    Parameters
    ----------
    data : bytes
        The file.

    Yields
    ------
    Part
        The next frame.

    Raises
    ------
    ValueError
        If a checksum is wrong, or a frame is not inside the picture.
    """
    header, tables = b"", []
    control: tuple[Any, ...] | None = None
    body: list[bytes] = []

    def part() -> Part:
        assert control is not None
        width, height, x, y, numerator, denominator, dispose, blend = control
        head = chunk(b"IHDR", struct.pack(">II", width, height) + header[8:])
        parts = [SIGNATURE, head, *tables, chunk(b"IDAT", b"".join(body)), chunk(b"IEND", b"")]
        duration = 1000 * numerator / (denominator or 100)
        return Part(b"".join(parts), x, y, width, height, dispose, blend == 1, duration)

    for kind, content in _chunks(data):
        if kind == b"IHDR":
            header = content
        elif kind in (b"PLTE", b"tRNS"):
            tables.append(chunk(kind, content))
        elif kind == b"IDAT" and control is not None:
            body.append(content)
        elif kind == b"fdAT":
            body.append(content[4:])
        elif kind == b"fcTL":
            if body:
                yield part()
            control, body = struct.unpack(">4x4I2H2B", content), []
            size = struct.unpack(">II", header[:8])
            inside = all(n > 0 and at + n <= m for n, at, m in zip(control, control[2:4], size))
            if not inside:
                raise ValueError("a frame that is not inside the picture")
        elif kind == b"IEND":
            break
    if body:
        yield part()


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield kind and content of the chunks of a PNG."""
    place = len(SIGNATURE)
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 8 + length
        kind, content = data[place + 4 : place + 8], data[place + 8 : end]
        if data[end : end + 4] != struct.pack(">I", zlib.crc32(kind + content)):
            raise ValueError(f"a broken chunk {kind!r}")
        yield kind, content
        place = end + 4


def gif_parts(data: bytes) -> Iterator[Part]:
    """Yield the images of a GIF.

    Parameters
    ----------
    data : bytes
        The file.

    Yields
    ------
    Part
        The next image.

    Raises
    ------
    ValueError
        If the file is too short for its header.
    """
    if len(data) < 13:
        raise ValueError("the file ends in its header")
    flags = data[10]
    place = 13 + (6 << (flags & 7) if flags & 0x80 else 0)
    table, nothing = data[13:place], (0, 0, 0)
    control = nothing  # flags, hundredths of a second, transparent index
    while place < len(data) and data[place] != 0x3B:
        kind = data[place]
        if kind == 0x21:
            end = _blocks(data, place + 2)
            if data[place + 1 : place + 3] == b"\xf9\x04" and len(data) >= place + 7:
                control = struct.unpack_from("<BHB", data, place + 3)
            place = end
        elif kind == 0x2C and len(data) >= place + 10:
            x, y, width, height, local = struct.unpack_from("<4HB", data, place + 1)
            start = place + 10
            end = _blocks(data, start + (6 << (local & 7) if local & 0x80 else 0) + 1)
            screen = struct.pack("<HHBBB", width, height, flags, 0, 0)
            clear = b"!\xf9\x04" + struct.pack("<BHBB", control[0] & 1, 0, control[2], 0)
            image = b"," + struct.pack("<4HB", 0, 0, width, height, local) + data[start:end]
            file = b"".join([b"GIF89a", screen, table, clear, image, b";"])
            dispose = {2: CLEAR, 3: RESTORE}.get(control[0] >> 2 & 7, KEEP)
            yield Part(file, x, y, width, height, dispose, True, 10.0 * control[1])
            place, control = end, nothing
        else:
            place += 1


def _blocks(data: bytes, place: int) -> int:
    """Return where a run of blocks that begins somewhere in a GIF ends."""
    while place < len(data) and data[place]:
        place += 1 + data[place]
    return min(place + 1, len(data))


PARTS = {"PNG": png_parts, "GIF": gif_parts}
