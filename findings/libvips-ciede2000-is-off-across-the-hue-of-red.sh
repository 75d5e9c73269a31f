#!/usr/bin/env bash
# pyvips 3.2.0 with libvips 8.18.7 (pyvips-binary): dE00 is wrong where two hues lie on both sides of red (0
# degrees). sRGB red against sRGB blue is 58.30, CIEDE2000 gives 52.88; of the pairs published with the
# formula some are right to four digits and one is 27.23 instead of 31.90. The other three packages here agree.
#
# Why it matters here: dithers mix far apart inks, and a palette's red and blue are the usual pair. A mean
# CIEDE2000 by libvips is not that of scikit-image or colour-science, and may order two dithers the other way.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install pyvips==3.2.0 pyvips-binary==8.18.7 numpy==2.4.6 \
    scikit-image==0.26.0 colour-science==0.4.7 coloraide==8.13.1
cat > "$folder/pairs.py" <<'EOF2'
import sys
import warnings

warnings.filterwarnings("ignore")  # of what is not installed
import colour
import numpy as np
import pyvips
from coloraide import Color
from skimage.color import deltaE_ciede2000

PAIRS = {  # CIE Lab
    "red, blue of sRGB": ((53.2329, 80.1093, 67.2201), (32.3026, 79.1967, -107.8637)),
    "published pair 19": ((50, 2.5, 0), (56, -27, -3)),
    "published pair 17": ((50, 2.5, 0), (73, 25, -18)),
    "published pair 18": ((50, 2.5, 0), (61, -5, 29)),
    "published pair 20": ((50, 2.5, 0), (58, 24, 15)),
}


def by_vips(a, b):
    a, b = (pyvips.Image.new_from_array([[0.0]]).bandjoin([0, 0]).linear(1, list(v)) for v in (a, b))
    return a.copy(interpretation="lab").dE00(b.copy(interpretation="lab"))(0, 0)[0]


def by_others(a, b):
    yield float(deltaE_ciede2000(np.array(a, float), np.array(b, float)))
    yield float(colour.delta_E(np.array(a), np.array(b), method="CIE 2000"))
    yield Color("lab-d65", list(a)).delta_e(Color("lab-d65", list(b)), method="2000")


print("libvips", ".".join(str(pyvips.version(i)) for i in range(3)))
off = {}
for name, pair in PAIRS.items():
    others, found = list(by_others(*pair)), by_vips(*pair)
    assert max(others) - min(others) < 1e-3
    off[name] = found - others[0]
    print(f"{name}: libvips {found:.4f}, the others {others[0]:.4f}")
wrong = [name for name in PAIRS if abs(off[name]) > 0.01]
sys.exit(0 if wrong == list(PAIRS)[:3] and off["red, blue of sRGB"] > 5 else 1)
EOF2
"$folder/venv/bin/python" "$folder/pairs.py"
