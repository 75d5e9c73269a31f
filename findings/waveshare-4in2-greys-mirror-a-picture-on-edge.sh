#!/usr/bin/env bash
# waveshare-epaper 1.4.0 (Waveshare's drivers): a picture on edge for the 4.2 inch panel (300 x 400 for
# 400 x 300, both revisions) is turned by a quarter in black and white, and mirrored as well in four greys:
# getbuffer and getbuffer_4Gray put the same picture's rows in opposite orders. A picture of the panel's
# own shape is right in both, and so are the nine other panels with four greys, on edge too.
#
# Why it matters here: these panels get their greys from files that our users make. A file that is turned
# into the panel's own shape first (--rotate) is one that the driver leaves as it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install waveshare-epaper==1.4.0 pillow==12.3.0 numpy==2.4.6
cat > "$folder/pack.py" <<'EOF2'
import importlib
import sys
import types
from pathlib import Path

import epaper
import numpy as np
from PIL import Image, ImageDraw


class Hardware(types.ModuleType):
    """Stands in for pins and buses: only the packing of pictures is called."""

    __path__ = ()

    def __getattr__(self, name):
        return lambda *values, **named: 0


PACKAGE = "waveshare_epd"
drivers = types.ModuleType(PACKAGE)
drivers.__path__ = [str(next(Path(epaper.__file__).parent.rglob(PACKAGE)))]
sys.modules[PACKAGE] = drivers
for name in ("RPi", "RPi.GPIO", f"{PACKAGE}.epdconfig"):
    sys.modules[name] = Hardware(name)
drivers.epdconfig = sys.modules[f"{PACKAGE}.epdconfig"]


def unpacked(values, bits, shape):
    """Pixels of packed rows that differ from the last one, which is white."""
    packed = np.frombuffer(bytes(values), np.uint8)[:, None]
    pixels = ((packed >> np.arange(8 - bits, -1, -bits)) & (2**bits - 1)).reshape(shape[0], -1)
    return (pixels != pixels[-1, -1])[:, : shape[1]]


def both(panel, flipped):
    """Black pixels as packed in black and white, and in four greys."""
    size = (panel.height, panel.width) if flipped else (panel.width, panel.height)
    image = Image.new("L", size, 255)
    ImageDraw.Draw(image).polygon([(0, 0), (80, 0), (0, 160)], fill=0)
    shape = panel.height, panel.width
    return (
        unpacked(panel.getbuffer(image), 1, shape),
        unpacked(panel.getbuffer_4Gray(image), 2, shape),
    )


seen = set()
for path in sorted(Path(drivers.__path__[0]).glob("epd[0-9]*.py")):
    panel = importlib.import_module(f"{PACKAGE}.{path.stem}").EPD()
    if not hasattr(panel, "getbuffer_4Gray"):
        continue
    for flipped in (False, True):
        mono, greys = both(panel, flipped)
        how = "equal" if np.array_equal(mono, greys) else "different"
        if np.array_equal(mono[::-1], greys):
            how = "rows in the opposite order"
        print(f"{path.stem:11} {'on edge' if flipped else 'upright'}: greys beside black and white {how}")
        if how != "equal":
            seen.add((path.stem, flipped, how))
sys.exit(seen != {(name, True, "rows in the opposite order") for name in ("epd4in2", "epd4in2_V2")})
EOF2
"$folder/venv/bin/python" "$folder/pack.py"
