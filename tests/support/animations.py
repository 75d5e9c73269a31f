"""Animated PNG and GIF files made by hand, independent of the package and of Pillow."""

import struct
import zlib

import numpy as np
from png_files import chunk


def raw(values):
    return zlib.compress(b"".join(b"\0" + row.tobytes() for row in values))


def apng(width, height, frames, default=None, depth=8, kind=6):
    """Write frames: px, x, y, num, den, dispose, blend; w where pixels are packed in bytes."""
    out = b"\x89PNG\r\n\x1a\n"
    out += chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))
    out += chunk(b"acTL", struct.pack(">II", len(frames), 0))
    number = 0
    if default is not None:
        out += chunk(b"IDAT", raw(default))
    for i, frame in enumerate(frames):
        h, w = frame["px"].shape[0], frame.get("w", frame["px"].shape[1])
        place = (number, w, h, frame.get("x", 0), frame.get("y", 0))
        how = (frame.get("num", 1), frame.get("den", 10), frame.get("dispose", 0))
        out += chunk(b"fcTL", struct.pack(">IIIIIHHBB", *place, *how, frame.get("blend", 0)))
        number += 1
        if i == 0 and default is None:
            out += chunk(b"IDAT", raw(frame["px"]))
        else:
            out += chunk(b"fdAT", struct.pack(">I", number) + raw(frame["px"]))
            number += 1
    return out + chunk(b"IEND", b"")


def lzw(bits, indices):
    """Pack indices with codes that clear the table before it grows."""
    clear, out, current, filled = 1 << bits, bytearray(), 0, 0
    codes = [clear]
    for n, index in enumerate(indices):
        codes.append(index)
        if (n + 1) % ((1 << bits) - 2) == 0:
            codes.append(clear)
    for code in [*codes, clear + 1]:
        current |= code << filled
        filled += bits + 1
        while filled >= 8:
            out.append(current & 255)
            current >>= 8
            filled -= 8
    out.append(current & 255)
    blocks = [bytes(out[i : i + 255]) for i in range(0, len(out), 255)]
    return bytes([bits]) + b"".join(bytes([len(b)]) + b for b in blocks) + b"\0"


PALETTE = bytes([255, 255, 255, 200, 30, 30, 30, 160, 60, 40, 60, 200])


def gif(width, height, frames, clear=None):
    """Write frames: index or indices, w, h, x, y, disposal, hundredths of a second."""
    out = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x81, 0, 0) + PALETTE
    out += b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    for indices, w, h, x, y, disposal, delay in frames:
        flags = disposal << 2 | (clear is not None)
        out += b"!\xf9\x04" + struct.pack("<BHBB", flags, delay, clear or 0, 0)
        indices = [indices] * (w * h) if isinstance(indices, int) else indices
        out += b"," + struct.pack("<HHHHB", x, y, w, h, 0) + lzw(2, indices)
    return out + b";"


def px(width, height, colour):
    return np.broadcast_to(np.array(colour, np.uint8), (height, width, 4)).copy()
