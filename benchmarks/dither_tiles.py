"""Palettes per tile: SSIMULACRA2 of `fastgrad.dither` beside a greedy baseline, for each console.

    python -m benchmarks.dither_tiles [--consoles snes ...] [--pictures N] [--folder DIR]

The baseline is what tools do one after the other: k-means of tiles and colours together gives the
palettes, whose colours are rounded to the console's bits, each tile takes the palette with the
least squared error, and errors are diffused by Floyd and Steinberg's weights, in sRGB values,
among the colours of the pixel's tile. Pictures of scikit-image are reduced to 256 x 240 at most.
Each line: the mean of both, the least difference, and seconds a picture. SSIMULACRA2 is high for
good pictures; needs the packages ssimulacra2, scikit-image and Pillow.
"""

import argparse
import time
from pathlib import Path

import numpy as np
from PIL import Image

import fastgrad as fg
from benchmarks.dither_tools import ssimulacra2
from fastgrad.dithering.eye.colour import SPACES
from fastgrad.dithering.optimiser.tile_clusters import clustered
from fastgrad.dithering.pictures.consoles import CONSOLES
from fastgrad.random import Key

PICTURES = ("astronaut", "coffee", "chelsea", "rocket", "retina", "immunohistochemistry")
PICTURES += ("hubble_deep_field", "colorwheel", "camera", "moon")
WIDTH, HEIGHT = 256, 240
TRIALS = 6


def picture(name):
    """Return a picture of scikit-image, no larger than a console's screen."""
    from skimage import data

    image = Image.fromarray(getattr(data, name)()).convert("RGB")
    image.thumbnail((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
    return np.asarray(image)


def greedy(image, tiles):
    """Return what comes of palettes, tiles and dither, one after the other, in sRGB."""
    values, weights = image.astype(np.float32) / 255, np.ones(image.shape[:2], np.float32)
    locked = tiles.fixed.astype(np.float32) / 255
    runs = [clustered(values, weights, tiles, locked, key=Key(i)) for i in range(TRIALS)]
    palette = min(runs, key=lambda run: run[2])[1]
    rgb = np.array([tiles.nearest(c, SPACES["srgb"]) for c in palette])
    colors = rgb.reshape(tiles.palettes, tiles.colors, 3) / 255
    height, width = image.shape[:2]
    across, down = tiles.size
    padded, shown = np.zeros((height + 1, width + 2, 3)), np.empty(image.shape, np.uint8)
    padded[:-1, 1:-1] = values
    apart = np.square(values[:, :, None, None] - colors).sum(axis=-1).min(axis=-1)
    for y in range(height):
        for x in range(width):
            if y % down == 0 and x % across == 0:
                costs = apart[y : y + down, x : x + across].sum(axis=(0, 1))
                apart[y : y + down, x : x + across, 0] = costs.argmin()
            own = colors[int(apart[y, x, 0])]
            goal = padded[y, x + 1]
            chosen = own[np.square(own - goal).sum(axis=1).argmin()]
            error = np.clip(goal, 0, 1) - chosen
            padded[y, x + 2] += 7 / 16 * error
            padded[y + 1, x] += 3 / 16 * error
            padded[y + 1, x + 1] += 5 / 16 * error
            padded[y + 1, x + 2] += 1 / 16 * error
            shown[y, x] = np.rint(255 * chosen)
    return shown


def main():
    """Print a line for each console."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--consoles", nargs="+", choices=tuple(CONSOLES), default=tuple(CONSOLES))
    parser.add_argument("--pictures", type=int, default=len(PICTURES))
    parser.add_argument("--speed", type=int, default=4)
    parser.add_argument("--folder", type=Path, help="for originals and both pictures")
    given = parser.parse_args()
    for console in given.consoles:
        tiles, rows, seconds = CONSOLES[console], [], 0.0
        for name in PICTURES[: given.pictures]:
            image = picture(name)
            began = time.perf_counter()
            ours = fg.dither(image, tiles=tiles, speed=given.speed).image
            seconds += time.perf_counter() - began
            theirs = greedy(image, tiles)
            rows.append((ssimulacra2(ours, image), ssimulacra2(theirs, image)))
            if given.folder is not None:
                given.folder.mkdir(exist_ok=True)
                sheet = np.concatenate([image, ours, theirs], axis=1)
                Image.fromarray(sheet).save(given.folder / f"{console}-{name}.png")
            print(f"  {console} {name}: {rows[-1][0]:.1f} ({rows[-1][1]:.1f})", flush=True)
        both, least = np.mean(rows, axis=0), np.diff(rows)[:, 0].max()
        print(
            f"{console}: {both[0]:.2f} beside {both[1]:.2f}, at least {-least:+.2f}, "
            f"{seconds / len(rows):.2f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
