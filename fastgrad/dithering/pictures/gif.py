"""Indexed GIF files, still and animated: not interlaced, and frames that hold what changes."""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.pictures.png import box
from fastgrad.kernels.dithering.optimiser.lzw import CODES, WIDEST
from fastgrad.kernels.dithering.pictures import gif as kernels

__all__ = ["LONGEST", "compress", "encode", "encode_apart"]

LONGEST = 655_350  # milliseconds that a frame may be shown
KEEP, CLEAR = 1, 2  # what becomes of a frame's rectangle when its time is over
SOLID = 128  # opacity from which on a colour is opaque


def encode(
    frames: Sequence[ByteArray],
    palette: ByteArray,
    opacity: ByteArray | None = None,
    *,
    durations: Sequence[float] = (),
    plays: int = 1,
) -> bytes:
    """Encode indexed pictures as a GIF.

    Of an animation, each frame after the first holds no more than the rectangle that changes. If
    the palette has room for a transparent colour, pixels in it that stay may have that one: of such
    pixels those are made transparent for which the data are smallest.

    Parameters
    ----------
    frames : sequence of array of uint8, shape (height, width)
        Palette indices. Several frames make an animation.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque. Below 128 a colour is transparent, and all of these
        have the first one's index; the others are opaque.
    durations : sequence of float, optional
        Time for which each frame of an animation is shown, in milliseconds, up to `LONGEST`. The
        file counts in hundredths of a second: they are rounded so that their sum stays, but never
        from 15 ms or more to a single hundredth, which programs do not believe.
    plays : int, optional
        Number of times that an animation is played; 0 for endless repetition.

    Returns
    -------
    bytes
        The contents of the file.

    References
    ----------
    CompuServe, "Graphics Interchange Format, Version 89a", 1990.

    Examples
    --------
    >>> import numpy as np
    >>> encode([np.eye(8, dtype=np.uint8)], np.uint8([[0, 0, 0], [255, 255, 255]]))[:6]
    b'GIF89a'
    """
    height, width = frames[0].shape
    key = None
    if opacity is not None and opacity.min() < SOLID:
        key = int(np.argmax(opacity < SOLID))
        table = np.where(opacity < SOLID, key, np.arange(len(opacity))).astype(np.uint8)
        frames = [table[indices] for indices in frames]
    spare = key
    if len(frames) > 1 and spare is None and len(palette) < 256:
        spare = len(palette)
    entries = len(palette) if spare is None else max(len(palette), spare + 1)
    bits, colors = _table(palette, entries)
    screen = struct.pack("<HHBBB", width, height, 0x80 | (bits - 1) * 0x11, 0, 0)
    parts = [b"GIF89a", screen, colors]
    if len(frames) > 1:
        parts.append(_repeated(plays))
    delays = _delays(durations) if len(frames) > 1 else [0]
    shown = None  # what stands there when a frame begins
    for i, now in enumerate(frames):
        following = frames[i + 1] if i + 1 < len(frames) else now
        cleared = np.zeros(now.shape, bool)
        if key is not None:  # what is to vanish can only be cleared with a rectangle around it
            cleared = (following == key) & (now != key)
        rows, columns = slice(0, height), slice(0, width)
        if shown is not None:
            rows, columns = box((now != shown) | cleared)
        part = now[rows, columns]
        still = None if shown is None or spare is None else (now == shown)[rows, columns]
        disposal = CLEAR if cleared.any() else KEEP if len(frames) > 1 else 0
        if spare is not None or len(frames) > 1:
            flags = disposal << 2 | (spare is not None)
            parts.append(b"!\xf9\x04" + struct.pack("<BHBB", flags, delays[i], spare or 0, 0))
        place = (columns.start, rows.start, part.shape[1], part.shape[0], 0)
        parts += [b",", struct.pack("<HHHHB", *place), _smallest(part, still, spare)]
        shown = now
        if disposal == CLEAR:
            shown = now.copy()
            shown[rows, columns] = key
    return b"".join([*parts, b";"])


def encode_apart(
    frames: Sequence[ByteArray],
    palettes: Sequence[ByteArray],
    kept: Sequence[Array],
    *,
    durations: Sequence[float],
    plays: int = 1,
) -> bytes:
    """Encode an animation whose frames have palettes of their own as a GIF.

    Parameters
    ----------
    frames : sequence of array of uint8, shape (height, width)
        Indices of the palettes.
    palettes : sequence of array of uint8, shape (K, 3)
        The colours of each frame in sRGB, 255 at most.
    kept : sequence of array of bool, shape (height, width)
        Which pixels of each frame stay as they are; none of the first.
    durations, plays
        As for `encode`.

    Returns
    -------
    bytes
        The contents of the file.

    Examples
    --------
    >>> import numpy as np
    >>> frame, red, blue = np.zeros((1, 2), np.uint8), [[255, 0, 0]], [[0, 0, 255]]
    >>> kept = [np.array([[False, False]]), np.array([[True, False]])]
    >>> data = encode_apart([frame, frame], np.uint8([red, blue]), kept, durations=[50, 50])
    >>> data[:6], data.count(b",")
    (b'GIF89a', 2)
    """
    height, width = frames[0].shape
    parts = [b"GIF89a", struct.pack("<HHBBB", width, height, 0x70, 0, 0), _repeated(plays)]
    for now, palette, still, delay in zip(frames, palettes, kept, _delays(durations)):
        rows, columns = box(~still) if still.any() else (slice(0, height), slice(0, width))
        part, spare = now[rows, columns], len(palette)
        bits, colors = _table(palette, spare + 1)
        flags = KEEP << 2 | 1
        parts.append(b"!\xf9\x04" + struct.pack("<BHBB", flags, delay, spare, 0))
        place = (columns.start, rows.start, part.shape[1], part.shape[0], 0x80 | (bits - 1))
        data = compress(np.where(still[rows, columns], np.uint8(spare), part))
        parts += [b",", struct.pack("<HHHHB", *place), colors, data]
    return b"".join([*parts, b";"])


def _table(palette: ByteArray, entries: int) -> tuple[int, bytes]:
    """Return the bits of an index, and a table of colours with room for so many."""
    bits = max(1, (entries - 1).bit_length())
    return bits, palette.tobytes().ljust(3 << bits, b"\0")


def _repeated(plays: int) -> bytes:
    """Return what says how often an animation is played again; nothing if it is not."""
    if plays == 1:
        return b""
    again = min(plays and plays - 1, 65535)
    return b"!\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<H", again) + b"\0"


def _smallest(part: ByteArray, still: ByteArray | None, spare: int | None) -> bytes:
    """Return the data of a rectangle, in which pixels that stay may be transparent."""
    choices = [compress(part)]
    if still is not None and spare is not None and still.any():
        choices.append(compress(np.where(still, np.uint8(spare), part)))
        choices.append(compress(part, still, spare))
    return min(choices, key=len)


def compress(indices: ByteArray, free: ByteArray | None = None, spare: int = 0) -> bytes:
    """Compress indices as a GIF does, by LZW, with a new table as soon as one is full.

    Parameters
    ----------
    indices : array of uint8, shape (height, width)
        The picture.
    free : array of bool, shape (height, width), optional
        Which pixels may have another index: of both that one is taken that continues a string
        which has occurred.
    spare : int, optional
        The other index.

    Returns
    -------
    bytes
        The number of bits of an index, and the data in blocks of up to 255 bytes.

    References
    ----------
    T. A. Welch, "A technique for high-performance data compression", Computer 17(6), 1984.

    Examples
    --------
    >>> import numpy as np
    >>> compress(np.uint8([[1]])).hex(" ")
    '02 02 4c 01 00'
    """
    most = int(indices.max())
    pixels = others = _read_only(indices)
    if free is not None:
        most = max(most, spare)
        others = _read_only(np.where(free, np.uint8(spare), indices))
    bits = max(2, most.bit_length())
    table = np.empty((CODES, 1 << bits), np.int16)
    codes = pixels.size + pixels.size // (CODES // 2) + 3  # at most, those that begin tables too
    room = np.zeros(codes * WIDEST // 8 + 1 + kernels.SPARE, np.uint8)
    written = kernels.pack(pixels, others, bits, table, room)
    data = room[: -(-written // 8)].tobytes()
    blocks = [data[i : i + 255] for i in range(0, len(data), 255)]
    return bytes([bits]) + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"


def _read_only(indices: ByteArray) -> ByteArray:
    """Return a row of all indices that the kernel has one signature for."""
    return np.frombuffer(indices.tobytes(), np.uint8)


def _delays(durations: Sequence[float]) -> list[int]:
    """Return delays in hundredths of a second whose sum is that of the durations."""
    delays, time, written = [], 0.0, 0
    for duration in durations:
        time += duration / 10
        delay = max(round(time) - written, min(2, round(duration / 10)))
        delays.append(min(delay, 65535))
        written += delays[-1]
    return delays
