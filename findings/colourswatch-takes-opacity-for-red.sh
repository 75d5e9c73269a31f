#!/usr/bin/env bash
# colourswatch 2024.2: reads and writes the palettes of Paint.NET (.txt) as RRGGBBAA. The format is AARRGGBB, as the
# comment says that it writes into the same file. So opaque red, FFFF0000, is read as yellow that is wholly
# transparent, black as red, every opaque colour gets 255 red, and what it writes as red is blue to Paint.NET.
#
# Why it matters here: such palettes are written and read here, and archives of pixel art hand them out. A palette
# that went through colourswatch both ways looks unharmed; one that went through once has other colours and no
# error. Take .gpl between the two, in which they agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install colourswatch==2024.2 colormath==3.0.0 numpy==2.4.6
cat > "$folder/order.py" <<'EOF2'
import importlib.metadata
import sys
from pathlib import Path

from colormath.color_objects import sRGBColor
from colourswatch.colourswatch import Colour, ColourSwatch
from colourswatch.io import openColourSwatch, saveColourSwatch

INKS = {"red": (255, 0, 0), "black": (0, 0, 0), "brown": (150, 75, 20), "white": (255, 255, 255)}
folder = Path(sys.argv[1])
print("colourswatch", importlib.metadata.version("colourswatch"))
opaque = folder / "opaque.txt"
lines = ["FF" + bytes(rgb).hex().upper() for rgb in INKS.values()]
opaque.write_text("\n".join(["; paint.net Palette File", *lines, ""]))
read = {name: (c.getRGB255(), c.alpha) for name, c in zip(INKS, openColourSwatch(opaque).colours)}
for name, line in zip(INKS, lines):
    print(f"{name:6}{line} read as {read[name][0]}, opacity {read[name][1]:.2f}")

swatch = ColourSwatch("inks", [Colour(n, sRGBColor(*rgb, is_upscaled=True)) for n, rgb in INKS.items()])
made = {}
for ending in ("txt", "gpl"):
    path = folder / f"inks.{ending}"
    saveColourSwatch(path, swatch)
    made[ending] = path.read_text(), [c.getRGB255() for c in openColourSwatch(path).colours]
said = [line for line in made["txt"][0].splitlines() if line.startswith(";")]
written = [line for line in made["txt"][0].splitlines() if not line.startswith(";")]
print("written:", *written, "under the comment", *(line for line in said if "aarrggbb" in line))
seen = all(read[name] == ((255, *rgb[:2]), rgb[2] / 255) for name, rgb in INKS.items())
seen &= written == [bytes((*rgb, 255)).hex().upper() for rgb in INKS.values()]
seen &= "aarrggbb" in made["txt"][0] and made["txt"][1] == made["gpl"][1] == list(INKS.values())
sys.exit(0 if seen else 1)
EOF2
"$folder/venv/bin/python" "$folder/order.py" "$folder"
