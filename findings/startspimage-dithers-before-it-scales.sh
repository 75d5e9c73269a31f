#!/usr/bin/env bash
# StarTSPImage 0.2.6 (for Star's receipt printers): dithers the picture in its own size, and only then scales the black
# and white result to the 576 dots of a row, by taking the nearest pixel. Of a picture 1152 pixels wide every
# second dot is left out, and the middle greys, which are chequerboards, lose the black half: 127 prints no dot at
# all, 64 prints 50 % black in place of 75. In widths of 576 and 1728 the same greys are right.
#
# Why it matters here: it takes any width, photos are wide, and a finished dither of another width loses its tones in
# the same way. Make the picture 576 dots wide, which is printed dot for dot.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install StarTSPImage==0.2.6 pillow==13.0.0
cat > "$folder/ink.py" <<'EOF2'
import importlib.metadata
import sys

from PIL import Image
from StarTSPImage import StarTSPImage

ROW = 72  # bytes, 576 dots


def ink(width, grey):
    """The share of black dots in the commands for a flat grey."""
    commands = bytes(StarTSPImage.imageToRaster(Image.new("L", (width, width), grey)))
    start = commands.index(b"*rP0\0") + 5
    black = rows = 0
    while commands[start : start + 3] == bytes([ord("b"), ROW, 0]):
        black += sum(byte.bit_count() for byte in commands[start + 3 : start + 3 + ROW])
        start, rows = start + 3 + ROW, rows + 1
    assert rows == 8 * ROW
    return black / (8 * ROW * rows)


print("StarTSPImage", importlib.metadata.version("StarTSPImage"))
print("grey of 255   black dots: wanted, and of pictures 576, 1152 and 1728 pixels wide")
seen = True
for grey in (64, 96, 127, 128, 160, 192):
    wanted = 1 - grey / 255
    shares = [ink(width, grey) for width in (576, 1152, 1728)]
    print(f"{grey:4}", *(f"{share:7.3f}" for share in (wanted, *shares)))
    seen &= abs(shares[0] - wanted) < 0.01 and abs(shares[2] - wanted) < 0.01
seen &= ink(1152, 127) == 0 and ink(1152, 128) < 0.05 and 0.45 < ink(1152, 64) < 0.55
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/ink.py"
