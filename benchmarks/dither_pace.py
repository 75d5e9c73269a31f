"""How long dithering takes, and how good it is: fastgrad, libimagequant and Pillow side by side.

    python -m benchmarks.dither_pace [--images NAME ...] [--colors K ...] [--megapixels M ...]
        [--rounds N] [--curve FILE.png] [--memory]

Times are the medians of rounds in which the tools take turns, in one process, on all their threads
(libimagequant's are OpenMP's: OMP_NUM_THREADS holds for both). With --curve, all speeds of fastgrad
and of libimagequant are judged, and drawn against their times: of the pictures as they are, or in
the first of the sizes that are given. With --memory, each tool has a process of its own, which says
by how much its peak rises above what it had with the picture, and a small one dithered.
"""

import argparse
import functools
import multiprocessing
import os
import resource
import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import libimagequant
from benchmarks.dither_tools import CONTESTED, JUDGES, LOWER, load
from fastgrad.dithering import dither
from fastgrad.dithering.pictures.other_tools import pillow

SPEEDS = range(1, 11)
SIZES = 0.2, 4  # megapixels
SECONDS = 0.1, 0.2, 0.5, 1, 2, 5  # that the curve's axis names


def scaled(name, megapixels):
    """Return a picture of so many megapixels: enlarged, or reduced, with its proportions."""
    image = Image.fromarray(load(name))
    factor = (megapixels * 1e6 / (image.width * image.height)) ** 0.5
    size = round(image.width * factor), round(image.height * factor)
    return np.asarray(image.resize(size, Image.Resampling.LANCZOS))


def ours(image, colors, speed=None):
    """Return our picture."""
    return dither(image, colors=colors, speed=speed).image


def tools(colors):
    """Return the tools in their defaults, and ours at its fastest."""
    return {
        "fastgrad": functools.partial(ours, colors=colors),
        "fastgrad, speed 10": functools.partial(ours, colors=colors, speed=10),
        "libimagequant": functools.partial(libimagequant.quantize, colors=colors),
        "Pillow": functools.partial(pillow, colors=colors),
    }


def timed(image, chosen, rounds):
    """Return the median of each tool's seconds, and its picture."""
    seconds, pictures = {name: [] for name in chosen}, {}
    for _ in range(rounds):
        for name, tool in chosen.items():
            began = time.perf_counter()
            pictures[name] = np.asarray(tool(image))
            seconds[name].append(time.perf_counter() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}, pictures


def judged(picture, original):
    """Return what the contested judges say."""
    return {name: float(JUDGES[name](picture, original)) for name in CONTESTED}


def table(images, colors, megapixels, rounds):
    """Print times and quality of all tools."""
    print(f"| picture | K | tool | seconds | over libimagequant | {' | '.join(CONTESTED)} |")
    print("|---" * (5 + len(CONTESTED)) + "|")
    for name in images:
        for size in megapixels:
            image = scaled(name, size)
            for count in colors:
                chosen = tools(count)
                seconds, pictures = timed(image, chosen, rounds)
                for tool in chosen:
                    ratio = seconds[tool] / seconds["libimagequant"]
                    found = judged(pictures[tool], image) if size <= 5 else {}
                    cells = " | ".join(f"{value:.3g}" for value in found.values())
                    head = f"| {name}, {size:g} MP | {count} | {tool}"
                    print(f"{head} | {seconds[tool]:.2f} | {ratio:.2f} | {cells} |", flush=True)


def taken(image, colors, tool):
    """Return the megabytes by which a tool raises the peak of this process."""
    run = tools(colors)[tool]
    run(image[:64, :64])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    run(image)
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024


def memory(images, colors, megapixels):
    """Print the memory that each tool takes, in a fresh process each."""
    print("| picture | K | tool | MB | bytes a pixel |\n|---|---|---|---|---|")
    fresh = multiprocessing.get_context("spawn")
    for name in images:
        for size in megapixels:
            image = scaled(name, size)
            for count in colors:
                for tool in tools(count):
                    with ProcessPoolExecutor(1, fresh) as process:
                        found = process.submit(taken, image, count, tool).result()
                    head = f"| {name}, {size:g} MP | {count} | {tool}"
                    print(f"{head} | {found:.0f} | {found * 2**20 / size / 1e6:.0f} |", flush=True)


def curve(path, images, colors, rounds):
    """Draw quality against time for all speeds."""
    from matplotlib.figure import Figure

    # Judges take longer than tools, so that they are asked on all processors, after the clock.
    pool = ProcessPoolExecutor(os.cpu_count(), multiprocessing.get_context("spawn"))
    figure = Figure(figsize=(4 * len(CONTESTED), 3.6 * len(colors)), layout="constrained")
    axes = figure.subplots(len(colors), len(CONTESTED), squeeze=False)
    for row, count in enumerate(colors):
        families = {
            "fastgrad": {s: functools.partial(ours, colors=count, speed=s) for s in SPEEDS},
            "libimagequant": {
                s: functools.partial(libimagequant.quantize, colors=count, speed=s) for s in SPEEDS
            },
        }
        for family, chosen in families.items():
            found = {speed: [] for speed in chosen}
            for image in images:
                seconds, pictures = timed(image, chosen, rounds)
                said = pool.map(judged, pictures.values(), [image] * len(pictures))
                for speed, values in zip(pictures, said):
                    pace = 1e6 * seconds[speed] / image[..., 0].size
                    found[speed].append((pace, *values.values()))
            points = np.array([np.mean(found[speed], axis=0) for speed in chosen])
            for column, judge in enumerate(CONTESTED):
                axis = axes[row, column]
                axis.plot(points[:, 0], points[:, 1 + column], "o-", label=family)
                axis.set(xscale="log", xlabel="seconds a megapixel", title=f"{judge}, K = {count}")
                axis.set_xticks(SECONDS, list(map(str, SECONDS)))
                axis.minorticks_off()
            print(family, count, np.round(points, 3).tolist(), flush=True)
    for axis, judge in zip(axes.T, CONTESTED):
        for one in axis:
            if judge in LOWER:
                one.invert_yaxis()  # up is good
    axes[0, 0].legend()
    figure.savefig(path, dpi=110)
    pool.shutdown()


def main():
    """Run the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", nargs="+", default=["astronaut", "coffee"], metavar="NAME")
    parser.add_argument("--colors", nargs="+", type=int, default=[16, 256], metavar="K")
    parser.add_argument("--megapixels", nargs="+", type=float, metavar="M")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--curve", type=Path, metavar="PNG")
    parser.add_argument("--memory", action="store_true")
    given = parser.parse_args()
    if given.memory:
        memory(given.images, given.colors, given.megapixels or SIZES[1:])
        return
    libimagequant.library()
    for count in given.colors:  # what is compiled, and loaded, does not count
        timed(load(given.images[0]), tools(count), 1)
    sizes = given.megapixels
    if given.curve:
        images = [scaled(name, sizes[0]) if sizes else load(name) for name in given.images]
        curve(given.curve, images, given.colors, given.rounds)
    else:
        table(given.images, given.colors, sizes or SIZES, given.rounds)


if __name__ == "__main__":
    main()
