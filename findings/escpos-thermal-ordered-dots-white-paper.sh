#!/usr/bin/env bash
# escpos-thermal 1.0.0, DitherMode.ORDERED: its sixteen thresholds are 16, 32 and so on to 256, and a pixel is paper
# where it reaches its threshold. 255 never reaches 256, so that white prints one black dot in 16, in a grid; all
# greys from 240 on do the same. The other three modes leave white paper white.
#
# Why it matters here: a picture that is dithered already has only black and white, and comes out with a grey veil
# over its paper; so do text and logos on white. Hand finished pictures to it with DitherMode.NONE.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install escpos-thermal==1.0.0 pillow==13.0.0
cat > "$folder/paper.py" <<'EOF2'
import importlib.metadata
import sys
import warnings

from escpos_thermal import DitherMode, PillowEscposImage
from PIL import Image

warnings.simplefilter("ignore", DeprecationWarning)
SIDE = 64


def paper(picture, mode):
    """The share of dots that stay white."""
    return PillowEscposImage.to_monochrome(picture, dither=mode).convert("L").histogram()[255] / SIDE**2


print("escpos-thermal", importlib.metadata.version("escpos-thermal"))
print("grey of 255   white dots: wanted,", ", ".join(mode.value for mode in DitherMode))
for grey in (0, 64, 128, 192, 224, 240, 248, 255):
    shares = [paper(Image.new("L", (SIDE, SIDE), grey), mode) for mode in DitherMode]
    print(f"{grey:4}", *(f"{share:7.4f}" for share in (grey / 255, *shares)))
blank = {mode: paper(Image.new("L", (SIDE, SIDE), 255), mode) for mode in DitherMode}
finished = Image.new("L", (SIDE, SIDE), 255)
finished.paste(0, (0, 0, SIDE, SIDE // 2))
half = paper(finished, DitherMode.ORDERED)
print("half black, half white:", half, "white dots of 0.5")
others = all(share == 1 for mode, share in blank.items() if mode is not DitherMode.ORDERED)
veil = blank[DitherMode.ORDERED] == paper(Image.new("L", (SIDE, SIDE), 240), DitherMode.ORDERED) == 15 / 16
sys.exit(0 if others and veil and half == 15 / 32 else 1)
EOF2
"$folder/venv/bin/python" "$folder/paper.py"
