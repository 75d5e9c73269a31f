#!/usr/bin/env bash
# brother-ql-inventree 1.3 (label printers QL-800 to QL-820NWB), convert with red=True: `dither` and `threshold` no longer
# say what becomes black. Without red, dither=True prints the grey 128 with half of the dots; with red it prints none of
# it, and every grey below 80 is solid black. No threshold makes a grey from 80 on black, as 90 does without red. A ramp
# of greys becomes one edge, and colours that are neither red nor dark, such as blue and green, are paper.
#
# Why it matters here: black, red and white is the commonest roll with two colours, and a photo prints as a silhouette.
# Hand it a finished dither in pure black, white and red, as `--preset bwr` of the command here writes, in the width of the
# label: each of its dots is printed as it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install brother-ql-inventree==1.3 pillow==12.3.0
cat > "$folder/labels.py" <<'EOF2'
import importlib.metadata
import sys

from brother_ql.conversion import convert
from brother_ql.raster import BrotherQLRaster
from PIL import Image

WIDTH, HEIGHT, ROW = 696, 64, 90  # dots of a 62 mm label, its rows, bytes of a raster row


def planes(picture, red, **options):
    """The shares of black and of red dots in the commands."""
    printer = BrotherQLRaster("QL-820NWB")
    commands = convert(printer, [picture], "62red", red=red, compress=False, cut=False, **options)
    dots = {b"g\x00": 0, b"w\x01": 0, b"w\x02": 0}
    at = commands.index((b"w\x01" if red else b"g\x00") + bytes([ROW]))
    while commands[at : at + 2] in dots:
        dots[commands[at : at + 2]] += sum(byte.bit_count() for byte in commands[at + 3 : at + 3 + ROW])
        at += 3 + ROW
    black = dots[b"w\x01"] if red else dots[b"g\x00"]
    return black / (WIDTH * HEIGHT), dots[b"w\x02"] / (WIDTH * HEIGHT)


def flat(*colour):
    return Image.new("RGB", (WIDTH, HEIGHT), colour)


print("brother-ql-inventree", importlib.metadata.version("brother-ql-inventree"))
seen = True
print("grey   black dots: dither   dither, with red   threshold 90   threshold 90, with red")
for grey in (0, 64, 79, 80, 128, 192, 255):
    ways = [(red, options) for options in ({"dither": True}, {"threshold": 90}) for red in (False, True)]
    dither, both, cut, cut_both = (planes(flat(grey, grey, grey), red, **options)[0] for red, options in ways)
    print(f"{grey:4d} {dither:20.2f} {both:18.2f} {cut:14.2f} {cut_both:24.2f}")
    seen &= abs(dither - (1 - grey / 255)) < 0.02 and cut == float(grey < 230) and both == cut_both == float(grey < 80)
for name, colour in {"red": (255, 0, 0), "blue": (0, 0, 255), "green": (0, 160, 0)}.items():
    black, red = planes(flat(*colour), True, dither=True)
    print(f"{name}: black {black:.2f}, red {red:.2f}")
    seen &= (black, red) == (0, float(name == "red"))
finished = Image.new("RGB", (WIDTH, HEIGHT), "white")
inks = [(0, 0, 0), (255, 255, 255), (255, 0, 0)]
finished.putdata([inks[(x + x * y + y) % 3] for y in range(HEIGHT) for x in range(WIDTH)])
counts = {colour: n / (WIDTH * HEIGHT) for n, colour in finished.getcolors()}
kept = planes(finished, True)
print(f"a finished dither: black {counts[inks[0]]:.4f}, red {counts[inks[2]]:.4f}; printed {kept[0]:.4f} and {kept[1]:.4f}")
sys.exit(0 if seen and kept == (counts[inks[0]], counts[inks[2]]) else 1)
EOF2
"$folder/venv/bin/python" "$folder/labels.py"
