"""Bytes of animated GIFs at the quality of gifsicle and gifski.

    python -m benchmarks.gif_size [--clips NAME ...] [--side N] [--frames N] [--speed N]
        [--json FILE]

Three clips are made of pictures in scikit-image's wheel: a view that pans over one, a disc that
moves over one, and one that fades into another. Rivals are what people use: `gifsicle -O3
--lossy=80` on a GIF that ffmpeg writes with a palette of its own, and `gifski` as it comes. Ours is
`fastgrad.dither_files(quality=)` at a rival's SSIMULACRA2: the mean of the lowest tenth of its
frames', which is what a quality is of an animation. Programs that are not installed are left out.
Of each file:

- bytes, and those of ours as a share of it
- SSIMULACRA2: of the lowest tenth of the frames, and the mean of all
- flicker: share of pixels that change from frame to frame though the original stays
"""

import argparse
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageSequence

import fastgrad as fg
from benchmarks.dither_size import load
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2, of_frames

DELAY = 80  # milliseconds


def pan(side, count):
    """Return frames of a view that moves over a picture."""
    image = load("chelsea", 2 * side)
    height = min(3 * side // 4, image.shape[0])
    steps = np.linspace(0, image.shape[1] - side, count).round().astype(int)
    return [image[:height, left : left + side] for left in steps]


def disc(side, count):
    """Return frames of a disc that moves over a picture which stays."""
    image = load("coffee", side)
    height, width = image.shape[:2]
    other = load("astronaut", side)[:height]
    y, x = np.mgrid[:height, :width]
    frames, radius = [], height / 6
    for t in np.linspace(0, 2 * np.pi, count, endpoint=False):
        down, across = height * (0.5 + 0.25 * np.sin(t)), width * (0.5 + 0.3 * np.cos(t))
        inside = np.hypot(y - down, x - across) < radius
        moved = np.roll(other, (int(down), int(across)), axis=(0, 1))
        frames.append(np.where(inside[..., None], moved, image))
    return frames


def fade(side, count):
    """Return frames of a picture that fades into another."""
    first, last = load("coffee", side), load("chelsea", side)
    height, width = (min(a, b) for a, b in zip(first.shape[:2], last.shape[:2]))
    first, last = (np.float64(image[:height, :width]) for image in (first, last))
    return [np.uint8(np.rint(first + (last - first) * t)) for t in np.linspace(0, 1, count)]


CLIPS = {f.__name__: f for f in (pan, disc, fade)}


# -- rivals: (folder of frames, file) --------------------------------------------------------------


def gifsicle(folder, path):
    """Write a GIF by ffmpeg, and let gifsicle lose some of it."""
    ffmpeg, program = _program("ffmpeg"), _program("gifsicle")
    plain, frames = folder / "plain.gif", str(folder / "%03d.png")
    colours = "split[a][b];[a]palettegen[p];[b][p]paletteuse"
    _run(ffmpeg, "-y", "-framerate", str(1000 / DELAY), "-i", frames, "-lavfi", colours, plain)
    _run(program, "-O3", "--lossy=80", plain, "-o", path)


def gifski(folder, path):
    """Write a GIF by gifski."""
    frames = sorted(folder.glob("*.png"))
    _run(_program("gifski"), "--fps", str(1000 / DELAY), "-o", path, *frames)


RIVALS = {f.__name__: f for f in (gifsicle, gifski)}


def _program(name):
    """Return where a program is."""
    found = shutil.which(name)
    if found is None:
        raise ImportError(f"{name} is not installed")
    return found


def _run(*command):
    """Run a program."""
    subprocess.run(command, check=True, capture_output=True)


# -- measures --------------------------------------------------------------------------------------


def measured(path, frames, judges):
    """Return bytes, SSIMULACRA2 of the worst frames and of all, and flicker in what stays."""
    with Image.open(path) as image:
        shown = [np.asarray(frame.convert("RGB")) for frame in ImageSequence.Iterator(image)]
    if len(shown) != len(frames):  # equal ones are one in the file
        raise ValueError(f"{path} has {len(shown)} frames, not {len(frames)}")
    scores = [judge.score(picture) for judge, picture in zip(judges, shown)]
    changed = still = 0
    for i in range(1, len(frames)):
        same = (frames[i] == frames[i - 1]).all(axis=-1)
        changed += np.count_nonzero((shown[i] != shown[i - 1]).any(axis=-1) & same)
        still += np.count_nonzero(same)
    return path.stat().st_size, of_frames(scores), float(np.mean(scores)), changed / max(still, 1)


def report(names, side, count, speed):
    """Print the table, and return all figures."""
    found = {}
    print("| clip | beside | bytes | worst tenth, mean | flicker | ours | of it | | | s |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        frames = CLIPS[name](side, count)
        judges = [Ssimulacra2(frame / 255) for frame in frames]
        with tempfile.TemporaryDirectory() as place:
            folder = Path(place, "frames")
            folder.mkdir()
            images = [Image.fromarray(frame) for frame in frames]
            for i, image in enumerate(images):
                image.save(folder / f"{i:03}.png")
            clip, ours = Path(place, "clip.png"), Path(place, "ours.gif")
            images[0].save(clip, save_all=True, append_images=images[1:], duration=DELAY)
            for tool, rival in RIVALS.items():
                path = Path(place, f"{tool}.gif")
                try:
                    rival(folder, path)
                except ImportError as error:
                    print(f"left out: {error}")
                    continue
                size, score, mean, flicker = theirs = measured(path, frames, judges)
                began = time.perf_counter()
                (made,) = fg.dither_files(clip, output=ours, quality=score, speed=speed)
                seconds = time.perf_counter() - began
                if made.error is not None:
                    print(f"| {name} | {tool} | {size} | {score:.1f} | {made.error} |", flush=True)
                    continue
                mine = measured(ours, frames, judges)
                found[f"{name}, {tool}"] = {"theirs": theirs, "ours": mine}
                shown = f"{size} | {score:.1f}, {mean:.1f} | {flicker:.4f}"
                shown += f" | {mine[0]} | {mine[0] / size:.3f}"
                shown += f" | {mine[1]:.1f}, {mine[2]:.1f}, {len(made.palette)} colours"
                print(f"| {name} | {tool} | {shown} | {mine[3]:.4f} | {seconds:.0f} |", flush=True)
    return found


def main():
    """Run the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clips", nargs="+", default=tuple(CLIPS), choices=tuple(CLIPS))
    parser.add_argument("--side", type=int, default=200, metavar="N")
    parser.add_argument("--frames", type=int, default=24, metavar="N")
    parser.add_argument("--speed", type=int, default=6, metavar="N")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    found = report(arguments.clips, arguments.side, arguments.frames, arguments.speed)
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
