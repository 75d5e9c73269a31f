"""Indexed PNG files, still and animated, as small as filters and a good Deflate make them.

Rows of 1, 2 or 4 bits have fewer bytes, and rows of 8 bits have more regular ones; both are tried.
Filters predict values from their neighbours. Indices of a dithered picture mostly say little about
each other; but where a sorted palette is a ramp, as of a grey picture, filters save up to a
quarter.
"""

from __future__ import annotations

import copy
import struct
import zlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from fastgrad import threads
from fastgrad._typing import ByteArray
from fastgrad.dithering.pictures.png_chunks import SIGNATURE, chunk
from fastgrad.dithering.pictures.png_filters import each_alone, mixed

__all__ = ["LONGEST", "Packed", "compress", "depths", "encode", "least_bits", "pack"]

LONGEST = 65_535_000  # milliseconds that a frame may be shown
INDEXED = 3  # the colour type
REPLACE, OVER = 0, 1  # how a frame is blended with what is there
RAMP = 4  # bits from which on neighbouring entries may be so alike that filters help
LITTLE = 1 << 14  # bytes that are compressed before threads have started
HOPE = 1.05  # filters are tried if a quick Deflate makes no more than so many times as much of it


class Packed(NamedTuple):
    """An opaque picture, and its file as `encode` makes it."""

    indices: ByteArray
    palette: ByteArray
    file: bytes

    def holds(self, indices: ByteArray, palette: ByteArray) -> bool:
        """Return whether the file is that of a picture."""
        same = np.array_equal(indices, self.indices)
        return same and np.array_equal(palette, self.palette)


def encode(
    frames: Sequence[ByteArray],
    palette: ByteArray,
    opacity: ByteArray | None = None,
    *,
    durations: Sequence[float] = (),
    plays: int = 1,
) -> bytes:
    """Encode indexed pictures as a PNG.

    Of an animation, each frame after the first holds no more than the rectangle that changes, and
    where that is smaller, pixels in it that stay are transparent.

    Parameters
    ----------
    frames : sequence of array of uint8, shape (height, width)
        Palette indices. Several frames make an animation.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque.
    durations : sequence of float, optional
        Time for which each frame of an animation is shown, in milliseconds, up to `LONGEST`.
    plays : int, optional
        Number of times that an animation is played; 0 for endless repetition.

    Returns
    -------
    bytes
        The contents of the file.

    References
    ----------
    W3C, "Portable Network Graphics (PNG) Specification (Third Edition)", 2025.

    Examples
    --------
    >>> import numpy as np
    >>> data = encode([np.eye(8, dtype=np.uint8)], np.uint8([[0, 0, 0], [255, 255, 255]]))
    >>> data[1:4], data[24]  # the number of bits
    (b'PNG', 1)
    """
    alpha = np.full(len(palette), 255, np.uint8) if opacity is None else opacity
    tried = depths(len(palette))
    choices = [_Depth(bits, frames, palette, alpha) for bits in tried]
    if len(frames) == 1 and tried[0] >= RAMP:
        choices += [other for depth in choices for other in depth.filtered()]
    best = min(choices, key=_Depth.size)  # the first of equals: fewer bits need less memory
    height, width = frames[0].shape
    header = struct.pack(">IIBBBBB", width, height, best.bits, INDEXED, 0, 0, 0)
    parts = [SIGNATURE, chunk(b"IHDR", header)]
    if len(frames) > 1:
        parts.append(chunk(b"acTL", struct.pack(">II", len(frames), plays)))
    parts.append(chunk(b"PLTE", best.palette.tobytes()))
    clear = np.flatnonzero(best.alpha < 255)
    if clear.size:
        parts.append(chunk(b"tRNS", best.alpha[: clear[-1] + 1].tobytes()))
    number = 0
    for i, (corner, size, blend, data) in enumerate(best.frames):
        if len(frames) > 1:
            place = (number, *size[::-1], *corner[::-1], *_delay(durations[i]), 0, blend)
            parts.append(chunk(b"fcTL", struct.pack(">IIIIIHHBB", *place)))
            number += 1
        if i == 0:
            parts.append(chunk(b"IDAT", data))
        else:
            parts.append(chunk(b"fdAT", struct.pack(">I", number) + data))
            number += 1
    return b"".join([*parts, chunk(b"IEND", b"")])


class _Depth:
    """The frames with some number of bits per pixel."""

    def __init__(
        self, bits: int, frames: Sequence[ByteArray], palette: ByteArray, alpha: ByteArray
    ) -> None:
        self.bits, self.palette, self.alpha = bits, palette, alpha
        clear = np.flatnonzero(alpha == 0)
        spare = int(clear[0]) if clear.size else None
        if len(frames) > 1 and spare is None and len(palette) < 1 << bits:
            spare = len(palette)  # one more entry, for pixels that stay
            self.palette = np.concatenate([palette, np.zeros((1, 3), np.uint8)])
            self.alpha = np.append(alpha, np.uint8(0))
        self.rows = pack(frames[0], bits)
        self.frames = [((0, 0), frames[0].shape, REPLACE, compress(self.rows))]
        for before, now in pairwise(frames):
            rows, columns = box(before != now)
            part, still = now[rows, columns], (before == now)[rows, columns]
            blend, data = REPLACE, compress(pack(part, bits))
            if spare is not None and (alpha[part][~still] == 255).all():
                other = compress(pack(np.where(still, np.uint8(spare), part), bits))
                if len(other) < len(data):
                    blend, data = OVER, other
            self.frames.append(((rows.start, columns.start), part.shape, blend, data))

    def filtered(self) -> list[_Depth]:
        """Return the same, of one frame, by way of filters: of those in which there is hope.

        Rows with filters of their own are most regular, but repeat each other less than rows with
        one filter do, which may be worth more.
        """
        corner, shape, blend, _ = self.frames[0]
        plain, *alike = kinds = each_alone(self.rows, shape[0])
        most, found = HOPE * _quick(plain)[0], []
        for size, rows in (_quick(mixed(kinds, shape[0])), min(map(_quick, alike))):
            if size <= most:
                other = copy.copy(self)
                other.frames = [(corner, shape, blend, compress(rows))]
                found.append(other)
        return found

    def size(self) -> int:
        """Return the number of bytes that depend on it."""
        return 4 * len(self.palette) + sum(len(data) for *_, data in self.frames)


def _quick(data: bytes) -> tuple[int, bytes]:
    """Return the number of bytes that a quick Deflate makes of data, and the data."""
    return len(zlib.compress(data, 1)), data


def box(mask: ByteArray) -> tuple[slice, slice]:
    """Return the smallest rectangle around what is true in a mask; one pixel if nothing is.

    Parameters
    ----------
    mask : array of bool, shape (height, width)
        What it must cover.

    Returns
    -------
    rows, columns : slice
        Where it is.

    Examples
    --------
    >>> import numpy as np
    >>> box(np.eye(5, dtype=bool)[1:3])
    (slice(0, 2, None), slice(1, 3, None))
    """
    sides = []
    for axis in (1, 0):
        found = np.flatnonzero(mask.any(axis=axis))
        sides.append(slice(int(found[0]), int(found[-1]) + 1) if found.size else slice(0, 1))
    return sides[0], sides[1]


def least_bits(count: int) -> int:
    """Return the least of 1, 2, 4 and 8 bits that hold so many indices.

    Examples
    --------
    >>> least_bits(5)
    4
    """
    return next(bits for bits in (1, 2, 4, 8) if count <= 1 << bits)


def depths(count: int) -> tuple[int, ...]:
    """Return the bits of a pixel that are tried for so many colours: the least, and maybe 8.

    Examples
    --------
    >>> depths(2), depths(5), depths(200)
    ((1,), (4, 8), (8,))
    """
    least = least_bits(count)
    return (least, 8) if least in (2, 4) else (least,)


def pack(indices: ByteArray, bits: int) -> bytes:
    """Return the rows of a picture as a PNG stores them, each after the number of its filter, 0.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        The picture.
    bits : {1, 2, 4, 8}
        Bits per pixel.

    Returns
    -------
    bytes
        The rows.

    Examples
    --------
    >>> import numpy as np
    >>> pack(np.uint8([[1, 2, 3]]), 4).hex()
    '001230'
    """
    height, width = indices.shape
    each = 8 // bits  # pixels in a byte
    padded = np.zeros((height, -(-width // each) * each), np.uint8)
    padded[:, :width] = indices
    rows = np.zeros((height, 1 + padded.shape[1] // each), np.uint8)
    for i in range(each):
        rows[:, 1:] |= padded[:, i::each] << np.uint8(8 - bits * (i + 1))
    return rows.tobytes()


def compress(data: bytes) -> bytes:
    """Compress data with the best Deflate there is: libdeflate's, if it is installed, or zlib's.

    Parameters
    ----------
    data : bytes
        What to compress.

    Returns
    -------
    bytes
        A stream in the zlib format.

    Examples
    --------
    >>> import zlib
    >>> zlib.decompress(compress(b"dither" * 9)) == b"dither" * 9
    True
    """
    try:
        import deflate
    except ImportError:
        return _by_zlib(data)
    return bytes(deflate.zlib_compress(data, 12))


# Memory, which sets how many symbols share a Huffman code, and strategy: which is best depends.
WAYS = [(memory, zlib.Z_DEFAULT_STRATEGY) for memory in (9, 7, 6)] + [(6, zlib.Z_FILTERED)]


def _by_zlib(data: bytes) -> bytes:
    """Compress data with zlib in the best of all ways, several of them at once."""
    count = threads.get_num_threads()
    if count == 1 or len(data) < LITTLE:
        return min((_zlib(data, *way) for way in WAYS), key=len)
    with ThreadPoolExecutor(count) as pool:
        return min(pool.map(lambda way: _zlib(data, *way), WAYS), key=len)


def _zlib(data: bytes, memory: int, strategy: int) -> bytes:
    """Compress data with zlib, as slowly as it can."""
    stream = zlib.compressobj(9, zlib.DEFLATED, 15, memory, strategy)
    return stream.compress(data) + stream.flush()


def _delay(milliseconds: float) -> tuple[int, int]:
    """Return a delay as a fraction of a second: two numbers of 16 bits."""
    seconds = milliseconds / 1000
    delay = Fraction(seconds).limit_denominator(min(1000, int(65535 / max(seconds, 1))))
    return delay.numerator, delay.denominator
