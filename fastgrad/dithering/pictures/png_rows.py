"""Indexed PNG files that are written row by row."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator

import numpy as np

from fastgrad._typing import ByteArray
from fastgrad.dithering.pictures.png import INDEXED, least_bits, pack
from fastgrad.dithering.pictures.png_chunks import SIGNATURE, Chunk, chunk

__all__ = ["png_rows"]

DATA = 1 << 18  # bytes of a chunk of data, at least, but for the last one


def png_rows(
    strips: Iterable[ByteArray],
    shape: tuple[int, int],
    palette: ByteArray,
    opacity: ByteArray | None = None,
    *,
    chunks: Iterable[Chunk] = (),
) -> Iterator[bytes]:
    """Encode an indexed picture as a PNG while its rows come.

    Parameters
    ----------
    strips : iterable of array of uint8, shape (rows, width)
        Palette indices, from top to bottom.
    shape : tuple of int
        Height and width of all of it.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque.
    chunks : iterable of (type, data), optional
        Chunks that stand directly after the header.

    Yields
    ------
    bytes
        The next bytes of the file.

    Raises
    ------
    ValueError
        If there are not as many rows as the shape says.

    Examples
    --------
    >>> import io
    >>> from PIL import Image
    >>> half = np.array([[0, 1, 1]], np.uint8)
    >>> data = b"".join(png_rows([half, half], (2, 3), np.uint8([[0, 0, 0], [255, 255, 255]])))
    >>> Image.open(io.BytesIO(data)).size
    (3, 2)
    """
    height, width = shape
    bits = least_bits(len(palette))
    yield SIGNATURE + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, INDEXED, 0, 0, 0))
    for kind, data in chunks:
        yield chunk(kind, data)
    yield chunk(b"PLTE", palette.tobytes())
    if opacity is not None:
        clear = np.flatnonzero(opacity < 255)
        if clear.size:
            yield chunk(b"tRNS", opacity[: clear[-1] + 1].tobytes())
    stream, held, rows = zlib.compressobj(9, zlib.DEFLATED, 15, 9), b"", 0
    for strip in strips:
        held += stream.compress(pack(strip, bits))
        rows += len(strip)
        if len(held) >= DATA:
            yield chunk(b"IDAT", held)
            held = b""
    if rows != height:
        raise ValueError(f"strips must have {height} rows in all, got {rows}")
    yield chunk(b"IDAT", held + stream.flush())
    yield chunk(b"IEND", b"")
