#!/usr/bin/env bash
# pillow 13.0.0: of a grey TIFF it scales neither 12 bits nor inverts 16 bits where 0 is white. Both files
# open without a warning as mode "I;16". Of 12 bits white is 4095, a sixteenth of the range of that mode;
# the photometric interpretation 0 (white is zero) is honoured for 1 to 8 bits and ignored for 16, so that
# such a scan is read as its negative. tifffile hands out raw values as well, but says which they are.
#
# Why it matters here: scans for dithering are grey TIFFs, often of 12 or 16 bits; an image pipeline that
# takes Pillow's values by the mode gets nearly black pictures, or negatives. This project reads the two tags.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pillow==13.0.0
cat > "$folder/grey.py" <<'EOF'
import io
import struct
import sys

import PIL
from PIL import Image


def tiff(rows, bits, photometric):
    """A grey TIFF of 4 x 1 pixels without compression."""
    tags = [(256, 3, 4), (257, 3, 1), (258, 3, bits), (259, 3, 1), (262, 3, photometric)]
    tags += [(273, 4, 8 + 2 + 12 * 9 + 4), (277, 3, 1), (278, 3, 1), (279, 4, len(rows))]
    data = b"II*\0" + struct.pack("<IH", 8, len(tags))
    for tag, kind, value in tags:
        data += struct.pack("<HHII", tag, kind, 1, value)
    return io.BytesIO(data + bytes(4) + rows)


def values(*arguments):
    image = Image.open(tiff(*arguments))
    return image.mode, [image.getpixel((x, 0)) for x in range(4)]


twelve = values(bytes.fromhex("000fff800400"), 12, 1)  # black, white, half, quarter
eight = values(bytes([0, 255, 128, 64]), 8, 0)  # white, black, ...
sixteen = values(struct.pack("<4H", 0, 65535, 32768, 16384), 16, 0)
print(f"pillow {PIL.__version__}")
print("12 bits, black is 0:", *twelve)
print(" 8 bits, white is 0:", *eight)
print("16 bits, white is 0:", *sixteen)
seen = twelve == ("I;16", [0, 4095, 2048, 1024]) and eight == ("L", [255, 0, 127, 191])
sys.exit(0 if seen and sixteen == ("I;16", [0, 65535, 32768, 16384]) else 1)
EOF
"$folder/venv/bin/python" "$folder/grey.py"
