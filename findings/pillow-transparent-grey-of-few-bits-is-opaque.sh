#!/usr/bin/env bash
# Pillow 13.0.0: a grey PNG of 2 or 4 bits whose chunk tRNS makes one grey transparent is read as opaque. Pixels are
# scaled to 8 bits (1 of 4 bits becomes 17), the value of tRNS is not (it stays 1), so that no pixel is equal to it,
# unless it is 0. Greys of 1 and of 8 bits are right.
#
# Why it matters here: grey sprites, stamps and icons take the least bytes in such files, and browsers show them as
# they should. A tool that dithers or converts them by Pillow lays a rectangle of grey around them.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pillow==13.0.0
cat > "$folder/greys.py" <<'EOF2'
import io
import struct
import sys
import zlib

import PIL
from PIL import Image


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(depth, clear):
    """One row with all greys that so many bits have, one of them transparent."""
    count = min(1 << depth, 16)
    bits = "".join(f"{grey:0{depth}b}" for grey in range(count))
    row = int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")
    data = chunk(b"IHDR", struct.pack(">IIBBBBB", count, 1, depth, 0, 0, 0, 0))
    data += chunk(b"tRNS", struct.pack(">H", clear)) + chunk(b"IDAT", zlib.compress(b"\0" + row))
    return b"\x89PNG\r\n\x1a\n" + data + chunk(b"IEND", b"")


print("Pillow", PIL.__version__)
wrong = {}
for depth in (1, 2, 4, 8):
    count = min(1 << depth, 16)
    for clear in range(count):
        with Image.open(io.BytesIO(png(depth, clear))) as image:
            alpha = list(image.convert("RGBA").getchannel("A").tobytes())
        wrong.setdefault(depth, []).append(alpha != [255 * (grey != clear) for grey in range(count)])
    print(f"{depth} bits: {sum(wrong[depth])} of {count} transparent greys are read wrongly")
right = not any(wrong[1]) and not any(wrong[8])
sys.exit(0 if right and sum(wrong[2]) == 3 and sum(wrong[4]) == 15 else 1)
EOF2
"$folder/venv/bin/python" "$folder/greys.py"
