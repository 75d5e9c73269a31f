#!/usr/bin/env bash
# array2gif 1.0.4, write_gif: takes pictures as (3, rows, columns), and turns those that come as (rows, columns, 3), as
# Pillow and everything else has them, into that shape. In a list of pictures, which is an animation, it reverses
# all axes instead: each frame is mirrored at its diagonal, 10 x 6 pixels become 6 x 10. The list that was passed
# holds the turned frames afterwards. A single picture and one array of four axes come out right.
#
# Why it matters here: it is the small writer of a GIF from arrays, and frames are collected in lists. Of square pictures
# the size does not tell. Pass np.stack(frames), or frames with the colours first, as GIFs are written here.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" -q install array2gif==1.0.4 numpy==2.4.6 pillow==13.0.0
cat > "$folder/frames.py" <<'EOF2'
import importlib.metadata
import sys

import numpy as np
from array2gif import write_gif
from PIL import Image

ROWS, COLUMNS = 6, 10
INKS = np.array([[0, 0, 0], [255, 255, 255], [200, 30, 40], [20, 90, 200]], np.uint8)
name = sys.argv[1] + "/picture.gif"


def written(pictures):
    """The first frame that Pillow reads."""
    write_gif(pictures, name)
    with Image.open(name) as file:
        return np.array(file.convert("RGB"))


def tells(read):
    if np.array_equal(read, frames[0]):
        return "as it was"
    return "mirrored at the diagonal" if np.array_equal(read, frames[0].swapaxes(0, 1)) else "something else"


print("array2gif", importlib.metadata.version("array2gif"))
y, x = np.mgrid[:ROWS, :COLUMNS]
frames = [INKS[(x + 2 * y + x * y + i) % len(INKS)] for i in range(3)]
passed = list(frames)
said = {
    "one picture": tells(written(frames[0])),
    "one array of three pictures": tells(written(np.stack(frames))),
    "a list of three pictures": tells(written(passed)),
    "a list, colours first": tells(written([frame.transpose(2, 0, 1) for frame in frames])),
}
for how, what in said.items():
    print(f"{how}: {what}")
print("shapes in the list before and after:", frames[0].shape, passed[0].shape)
mirrored = [how for how, what in said.items() if what == "mirrored at the diagonal"]
kept = [how for how, what in said.items() if what == "as it was"]
sys.exit(0 if mirrored == ["a list of three pictures"] and len(kept) == 3 and passed[0].shape == (3, COLUMNS, ROWS) else 1)
EOF2
"$folder/venv/bin/python" "$folder/frames.py" "$folder"
