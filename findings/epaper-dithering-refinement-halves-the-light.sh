#!/usr/bin/env bash
# epaper-dithering 6.1.1: how light a grey becomes in black and white is another question for each stage. Of
# the sRGB grey 128, which reflects 0.216 of white's light, error diffusion makes 50 % white pixels (it
# spreads errors of sRGB values), and the refinement of the same picture, dbs=True, leaves 23 % (it compares
# light); ORDERED makes 62.5 %, an eighth more than the sRGB value, so that greys from 224 on are plain white.
#
# Why it matters here: it is the package for the panels of fastgrad's presets. Switching refinement on
# changes the exposure by more than a stop, which hides what refinement does; and fastgrad, which compares light
# as well, looks much darker beside the unrefined dither. Compare with linear light held equal.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install epaper-dithering==6.1.1 pillow==13.0.0
cat > "$folder/greys.py" <<'EOF2'
import importlib.metadata
import sys

from epaper_dithering import ColorScheme, DitherMode, dither_image
from PIL import Image


def light(v):
    x = v / 255
    return x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4


def white(v, mode, refined):
    grey = Image.new("RGB", (64, 64), (v, v, v))
    counts = dither_image(grey, ColorScheme.MONO, mode=mode, dbs=refined).convert("L").histogram()
    assert counts[0] + counts[255] == 64 * 64
    return counts[255] / 64**2


print("epaper-dithering", importlib.metadata.version("epaper-dithering"))
print("grey sRGB  light | diffused refined | ordered refined   (share of white pixels)")
seen = True
for v in (64, 128, 192, 224):
    diffused, ordered = ([white(v, mode, r) for r in (False, True)] for mode in
                         (DitherMode.FLOYD_STEINBERG, DitherMode.ORDERED))
    print(f"{v:4} {v / 255:.2f}   {light(v):.2f} |", *(f"{x:8.3f}" for x in diffused + ordered))
    seen &= abs(diffused[0] - v / 255) < 0.03 and abs(diffused[1] - light(v)) < 0.03
    seen &= 0.09 < ordered[0] - v / 255 < 0.15 and abs(ordered[1] - light(v)) < 0.03
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/greys.py"
