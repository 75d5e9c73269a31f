#!/usr/bin/env bash
# purepix 0.3.1, XPM: colours by name, which the format has from X11 and which hand-written icons use, are all read as
# black, white included. Hexadecimal colours are right. Palette TIFFs of 8 bits lose their palette: the numbers of the inks come out as greys.
#
# Why it matters here: a mask or a sprite in black and white by name becomes an all black picture, without an error.
# Pillow reads both right.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install purepix==0.3.1 pillow==13.0.0
cat > "$folder/named.py" <<'EOF2'
import importlib.metadata
import io
import sys

from PIL import Image
from purepix.codecs import tiff, xpm

TEXT = '/* XPM */\nstatic char *x[] = {{\n"4 1 4 1",\n"a c {}",\n"b c {}",\n"c c {}",\n"d c {}",\n"abcd"\n}};\n'
NAMES = "white", "red", "blue", "#00FF00"
HEX = "#FFFFFF", "#FF0000", "#0000FF", "#00FF00"
COLORS = [(255, 255, 255), (255, 0, 0), (0, 0, 255), (0, 255, 0)]


def triples(data):
    data = bytes(data)
    return [tuple(data[i : i + 3]) for i in range(0, len(data), 3)]


print("purepix", importlib.metadata.version("purepix"))
named, coded = (triples(xpm.loads(TEXT.format(*colors).encode()).data) for colors in (NAMES, HEX))
print("by name", named, "in hexadecimal", coded)
seen = named == [(0, 0, 0)] * 3 + [(0, 255, 0)] and coded == COLORS

picture = Image.new("P", (4, 1))
picture.putpalette([v for color in COLORS for v in color])
picture.putdata([0, 1, 2, 3])
file = io.BytesIO()
picture.save(file, "TIFF")
read = tiff.loads(file.getvalue())
pillow = Image.open(file).convert("RGB").tobytes()
print("palette TIFF: mode", read.mode, list(read.data), "by Pillow", triples(pillow))
seen &= read.mode == "L" and list(read.data) == [0, 1, 2, 3] and triples(pillow) == COLORS
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/named.py"
