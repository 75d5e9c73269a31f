"""Chunks of PNG files: those that Pillow does not read, and those that a copy should keep."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, TypeAlias

__all__ = ["Chunk", "chunk", "density", "insert", "kept", "load", "of_image"]
__all__ += ["read", "turned"]

Chunk: TypeAlias = tuple[bytes, bytes]  # a type such as b"pHYs", and the data
SIGNATURE = b"\x89PNG\r\n\x1a\n"
LARGEST = 1 << 16  # bytes of a chunk that is kept
INCHES = 0.0254  # metres
TEXTS = (b"tEXt", b"zTXt", b"iTXt")
# Pillow's unpackers of greys: how many there are in the file, and the step between those made.
GREYS = {"L;2": (4, 85), "L;4": (16, 17), "L": (256, 1)}
# Texts that describe the pixels of the file before: orientation, profiles and more.
ABOUT_PIXELS = (b"XML:com.adobe.xmp", b"Raw profile type")


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a chunk of a PNG: its length, kind, data and checksum.

    Parameters
    ----------
    kind : bytes
        Its four letters.
    data : bytes
        Its content.

    Returns
    -------
    bytes
        All of it.

    Examples
    --------
    >>> chunk(b"IEND", b"").hex()
    '0000000049454e44ae426082'
    """
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def read(file: BinaryIO, wanted: Iterable[bytes], until: bytes = b"IEND") -> Iterator[Chunk]:
    """Read chunks of some types from a PNG file.

    Parameters
    ----------
    file : binary file
        A file that can seek, at the PNG signature. It is left anywhere.
    wanted : iterable of bytes
        The types of the chunks that are read; others are skipped, and so are damaged ones and those
        of more than 65,536 bytes.
    until : bytes, optional
        The type of the first chunk at which reading stops.

    Yields
    ------
    type : bytes
        The type of a chunk.
    data : bytes
        Its data.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> file = io.BytesIO()
    >>> Image.new("L", (1, 1)).save(file, "PNG", dpi=(100, 100))
    >>> place = file.seek(0)
    >>> [(kind, len(data)) for kind, data in read(file, [b"pHYs"])]
    [(b'pHYs', 9)]
    """
    wanted = frozenset(wanted)
    if file.read(8) != SIGNATURE:
        return
    while len(head := file.read(8)) == 8:
        length, kind = struct.unpack(">I4s", head)
        if kind == until:
            return
        if kind not in wanted or length > LARGEST:
            file.seek(length + 4, 1)
            continue
        rest = file.read(length + 4)
        if head + rest == chunk(kind, rest[:length]):
            yield kind, rest[:length]


def of_image(image: Any, wanted: Iterable[bytes], until: bytes = b"IEND") -> list[Chunk]:
    """Read chunks of the file from which Pillow has opened an image.

    Parameters
    ----------
    image : PIL.Image.Image
        Any image.
    wanted, until
        As in `read`.

    Returns
    -------
    list of (type, data)
        The chunks; none if the image is not from a PNG file, or its file is closed, as is the case
        once its pixels have been loaded.
    """
    file = getattr(image, "fp", None)
    if image.format != "PNG" or file is None or getattr(file, "closed", False):
        return []
    try:
        place = file.tell()
        try:
            file.seek(0)
            return list(read(file, wanted, until))
        finally:
            file.seek(place)
    except (OSError, ValueError):  # it cannot seek
        return []


def load(image: Any) -> None:
    """Load the pixels of an image, and give it the transparent colour as they have it.

    Pillow makes 8 bits of greys of 2 and 4 bits, and of colours of 16 bits, but gives the colour
    of the chunk tRNS in the bits that the file has.

    Parameters
    ----------
    image : PIL.Image.Image
        Any image. How many bits its file has is known as long as its pixels have not been loaded.
    """
    color, tiles = image.info.get("transparency"), getattr(image, "tile", None)
    packed = tiles[0][3] if tiles and image.format == "PNG" else None
    if isinstance(color, int) and packed in GREYS:
        count, step = GREYS[packed]
        image.info["transparency"] = color % count * step  # the upper bits mean nothing
    elif isinstance(color, tuple) and packed == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in color)
    image.load()


def kept(image: Any) -> tuple[Chunk, ...]:
    """Return the chunks that a PNG made from an image should have: its density and its texts.

    Texts that describe the old pixels, such as XMP, are left out.

    Parameters
    ----------
    image : PIL.Image.Image
        An image that has just been opened: once it is asked for its EXIF data, its file is closed.

    Returns
    -------
    tuple of (type, data)
        Chunks for `insert`.
    """
    found = of_image(image, (b"pHYs", *TEXTS))
    texts = [each for each in found if each[0] in TEXTS]
    sizes = [data for kind, data in found if kind == b"pHYs" and len(data) == 9]
    if not sizes and image.format != "PNG":
        sizes = density(image.info.get("dpi"))
    texts = [each for each in texts if not each[1].startswith(ABOUT_PIXELS)]
    return (*((b"pHYs", data) for data in sizes[:1]), *texts)


def density(dpi: Any) -> list[bytes]:
    """Return the data of a chunk pHYs for a number of pixels per inch, if that is one.

    Parameters
    ----------
    dpi : (float, float) or None
        Pixels per inch, across and down, as Pillow notes them.

    Returns
    -------
    list of bytes
        One element, or none where the numbers make no sense.

    Examples
    --------
    >>> density((300, 300))[0].hex()
    '00002e2300002e2301'
    >>> density((0, 0))
    []
    """
    try:
        x, y = (round(float(value) / INCHES) for value in dpi)
    except (TypeError, ValueError, OverflowError, ZeroDivisionError):
        return []
    return [struct.pack(">IIB", x, y, 1)] if 0 < x < 1 << 31 and 0 < y < 1 << 31 else []


def turned(chunks: Iterable[Chunk]) -> tuple[Chunk, ...]:
    """Return the chunks of a picture whose width and height have changed places.

    Parameters
    ----------
    chunks : iterable of (type, data)
        The chunks of the picture as it was stored.

    Returns
    -------
    tuple of (type, data)
        The same, but for the density.
    """
    return tuple(
        (kind, data[4:8] + data[:4] + data[8:]) if kind == b"pHYs" else (kind, data)
        for kind, data in chunks
    )


def insert(data: bytes, chunks: Iterable[Chunk]) -> bytes:
    """Insert chunks into a PNG, directly after its header.

    Parameters
    ----------
    data : bytes
        The PNG.
    chunks : iterable of (type, data)
        The chunks.

    Returns
    -------
    bytes
        The new PNG.
    """
    end = len(SIGNATURE) + 25  # of IHDR, which is always the first chunk and of one length
    return b"".join([data[:end], *(chunk(kind, body) for kind, body in chunks), data[end:]])
