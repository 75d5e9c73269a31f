"""PNG files and ICC profiles made by hand, independent of the package and of Pillow."""

import struct
import zlib

import numpy as np

SRGB_COLORANTS = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708))
SRGB_COLORANTS += ((0.14307, 0.06061, 0.7141),)


def flat(values, dtype=np.uint8):
    """A picture of 64 x 32 whose left half has some values, and whose right half their halves."""
    a = np.zeros((32, 64, len(values)), dtype)
    a[:] = values
    a[:, 32:] = np.array(values) // 2
    return a


def chunk(kind, data):
    crc = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", crc)


def png(a, extra=(), *, color_type=2):
    """A PNG of 8 or 16 bits, with chunks after the header."""
    height, width = a.shape[:2]
    depth = 8 * a.dtype.itemsize
    rows = b"".join(b"\0" + row.tobytes() for row in (a if depth == 8 else a.astype(">u2")))
    data = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color_type, 0, 0, 0))
    data += b"".join(chunk(*one) for one in extra) + chunk(b"IDAT", zlib.compress(rows))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


def few_bits(a, depth, extra=()):
    """A PNG of greys of 1, 2 or 4 bits."""
    bits = np.unpackbits(a[..., None], axis=-1)[..., 8 - depth :].reshape(len(a), -1)
    rows = np.packbits(bits, axis=1)
    data = png(rows, extra, color_type=0)
    head = struct.pack(">IIBBBBB", a.shape[1], a.shape[0], depth, 0, 0, 0, 0)
    return data[:8] + chunk(b"IHDR", head) + data[33:]


def fixed(x):
    return struct.pack(">i", round(x * 65536))


def icc(name, space=b"RGB ", colorants=SRGB_COLORANTS, gamma=None):
    """An ICC profile of version 2, linear without a gamma."""

    def xyz(values):
        return b"XYZ \0\0\0\0" + b"".join(map(fixed, values))

    text = name.encode() + b"\0"
    curve = b"curv\0\0\0\0"
    curve += struct.pack(">I", 0) if gamma is None else struct.pack(">IH", 1, round(gamma * 256))
    tags = [(b"desc", b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78))]
    tags += [(b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", xyz((0.9642, 1, 0.8249)))]
    if space == b"RGB ":
        tags += [(kind, xyz(c)) for kind, c in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colorants)]
        tags += [(kind, curve) for kind in (b"rTRC", b"gTRC", b"bTRC")]
    else:
        tags += [(b"kTRC", curve)]
    offset, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for kind, data in tags:
        data += bytes(-len(data) % 4)
        table += kind + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = struct.pack(">I", offset + len(body)) + bytes(4) + b"\x02\x10\0\0mntr" + space
    head += b"XYZ " + struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += fixed(0.9642) + fixed(1) + fixed(0.8249)
    return head.ljust(128, b"\0") + table + body


def iccp(profile):
    return b"iCCP", b"x\0\0" + zlib.compress(profile)


def gama(gamma):
    return b"gAMA", struct.pack(">I", round(gamma * 100000))


def chrm(*values):
    return b"cHRM", struct.pack(">8I", *(round(value * 100000) for value in values))


P3 = chrm(0.3127, 0.329, 0.68, 0.32, 0.265, 0.69, 0.15, 0.06)
SRGB = b"sRGB", b"\0"


def cicp(primaries, transfer, full_range=1):
    return b"cICP", bytes([primaries, transfer, 0, full_range])
