#!/usr/bin/env bash
# pillow 13.0.0 (its LittleCMS 2): a grey profile of gamma 1 to sRGB is sampled coarsely. With the default
# flags the transform is replaced by a table that is interpolated, and greys near black are off by up to
# 10 of 255; with Flags.NOOPTIMIZE (0x0100) they are right to half a level. The same curve in an RGB
# profile is right with the default flags.
#
# Why it matters here: renderers and scientific cameras write linear greys. Shadows are where dithering
# shows most, and a picture that is converted with the default flags has the wrong ones, without a sign.
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
from PIL import Image, ImageCms


def fixed(x):
    return struct.pack(">i", round(x * 65536))


def profile(space):
    """An ICC profile, version 2, of gamma 1: grey, or RGB with the primaries of sRGB under D50."""
    xyz = lambda v: b"XYZ \0\0\0\0" + b"".join(map(fixed, v))
    linear = b"curv\0\0\0\0" + struct.pack(">I", 0)
    tags = [(b"desc", b"desc\0\0\0\0" + struct.pack(">I", 2) + b"x\0" + bytes(78))]
    tags += [(b"cprt", b"text\0\0\0\0none\0"), (b"wtpt", xyz((0.9642, 1, 0.8249)))]
    if space == b"GRAY":
        tags += [(b"kTRC", linear)]
    else:
        colors = ((0.43607, 0.22249, 0.01392), (0.38515, 0.71687, 0.09708), (0.14307, 0.06061, 0.7141))
        tags += [(name, xyz(v)) for name, v in zip((b"rXYZ", b"gXYZ", b"bXYZ"), colors)]
        tags += [(name, linear) for name in (b"rTRC", b"gTRC", b"bTRC")]
    offset, table, body = 132 + 12 * len(tags), struct.pack(">I", len(tags)), b""
    for name, data in tags:
        data += bytes(-len(data) % 4)
        table += name + struct.pack(">II", offset + len(body), len(data))
        body += data
    head = struct.pack(">I", offset + len(body)) + bytes(4) + b"\x02\x10\0\0mntr" + space + b"XYZ "
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    head += fixed(0.9642) + fixed(1) + fixed(0.8249)
    return ImageCms.ImageCmsProfile(io.BytesIO(head.ljust(128, b"\0") + table + body))


def error(mode, space, flags):
    """The greatest error over all greys, in levels."""
    ramp = Image.frombytes("L", (256, 1), bytes(range(256))).convert(mode)
    target = ImageCms.createProfile("sRGB")
    transform = ImageCms.buildTransform(profile(space), target, mode, "RGB", flags=flags)
    found = transform.apply(ramp)
    worst = 0.0
    for v in range(256):
        x = v / 255
        right = 255 * (12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055)
        worst = max(worst, abs(found.getpixel((v, 0))[1] - right))
    return worst


exact = ImageCms.Flags.NOOPTIMIZE
cases = [("L", b"GRAY", 0), ("L", b"GRAY", exact), ("RGB", b"RGB ", 0)]
errors = [error(*case) for case in cases]
print(f"pillow {PIL.__version__}, LittleCMS {ImageCms.core.littlecms_version}")
for (mode, space, flags), worst in zip(cases, errors):
    print(f"{space.decode():4} flags {int(flags):#06x}: greatest error {worst:.2f} of 255")
sys.exit(0 if errors[0] > 5 and max(errors[1:]) < 1.5 else 1)
EOF
"$folder/venv/bin/python" "$folder/grey.py"
