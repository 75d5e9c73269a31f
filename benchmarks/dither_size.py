"""Bytes against quality of dithered pictures: fastgrad's rate beside other tools.

    python -m benchmarks.dither_size [--images NAME ...] [--colors K ...] [--side N]
        [--rivals NAME ...] [--frontier FILE.png] [--json FILE]

Everybody's indices are written by the same encoder, ours: colours in the order of their luminance,
rows packed or of 8 bits, filtered or not, whichever is smallest, by the best Deflate that is
installed. So encoders do not decide. Rivals: imagequant at dithering 1.0 and its own speed, which
its package does not let one set; pngquant at its slowest, Pillow. The pictures are those in
scikit-image's wheel; larger ones are scaled down to --side pixels. Below 400 or so, SSIMULACRA2
says little: its coarsest scale is a 32nd.

Ours are what `fastgrad.dither` makes of a rival's score, or of its bytes, with no other option:

- `quality`: bytes at a rival's SSIMULACRA2, as a share of its bytes
- `max_bytes`: SSIMULACRA2 and FLIP (low is good) at a rival's bytes, less the rival's

A picture that a rival keeps as it is, as greys are in 256 colours, has a score of 100: nothing is
as good and smaller but a better encoder. Such are counted apart from the means: there ours is to be
exact, too, and no larger.

Besides, of some numbers of colours and strengths of dithering at several rates: what is
predicted of the indices, beside what they take, by itself and, between the first rate and the last,
with their bytes known; and how much time a rate takes. Judges and rivals are left out where
they are not installed: imagequant, pngquant, ssimulacra2, flip-evaluator.
"""

import argparse
import itertools
import json
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

import fastgrad as fg
from benchmarks.dither_tools import flip, ssimulacra2
from fastgrad.dithering import Viewing
from fastgrad.dithering.choices import ways
from fastgrad.dithering.files.predicted_size import corrected, predicted_size
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures import png
from fastgrad.dithering.pictures.animation import arranged
from fastgrad.dithering.rates import FIRST
from fastgrad.dithering.thrifty_run import ThriftyRun

IMAGES = ("astronaut", "brick", "camera", "chelsea", "coffee", "coins", "ihc", "moon", "page")
IMAGES += ("motorcycle_left", "rocket")
COLORS = (16, 64, 256)
EXACT = 100  # the score of the original
RATES = (1e-5, 1e-4, 1e-3)


def load(name, side):
    """Return a picture of scikit-image's wheel as sRGB values, not larger than `side`."""
    import skimage

    (path,) = (Path(skimage.__file__).parent / "data").glob(f"{name}.*")
    image = Image.open(path).convert("RGB")
    image.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(image)


def size_of(indices, palette):
    """Return the bytes of a file by the encoder that all share."""
    used, places = np.unique(indices, return_inverse=True)
    picture = places.reshape(indices.shape).astype(np.uint8)
    (picture,), colors, _ = arranged([picture], palette[used], None)
    return len(png.encode([picture], colors))


# -- rivals: (picture, colours) -> indices and palette ---------------------------------------------


def imagequant(image, colors):
    """Dither by libimagequant, fully."""
    import imagequant as library

    height, width = image.shape[:2]
    rgba = np.dstack([image, np.full((height, width), 255, np.uint8)])
    found, palette = library.quantize_raw_rgba_bytes(
        rgba.tobytes(), width, height, dithering_level=1.0, max_colors=colors
    )
    indices = np.frombuffer(found, np.uint8).reshape(height, width)
    return indices, np.uint8(palette).reshape(-1, 4)[: int(indices.max()) + 1, :3]


def pngquant(image, colors):
    """Dither by pngquant, at its slowest."""
    program = shutil.which("pngquant")
    if program is None:
        raise ImportError("not installed")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.png"), Path(folder, "b.png")
        Image.fromarray(image).save(source)
        command = [program, str(colors), "--speed", "1", "-o", target, source]
        subprocess.run(command, check=True, capture_output=True)
        return indexed(Image.open(target))


def pillow(image, colors):
    """Dither by Pillow: the palette of maximum coverage, and Floyd-Steinberg."""
    image = Image.fromarray(image)
    palette = image.quantize(colors, Image.Quantize.MAXCOVERAGE)
    return indexed(image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG))


def indexed(image):
    """Return an indexed image of Pillow's as arrays."""
    indices = np.asarray(image)
    return indices, np.uint8(image.getpalette()).reshape(-1, 3)[: int(indices.max()) + 1]


RIVALS = {f.__name__: f for f in (imagequant, pngquant, pillow)}


# -- measures --------------------------------------------------------------------------------------


def measured(indices, palette, original):
    """Return bytes, SSIMULACRA2 and FLIP."""
    picture = palette[indices]
    return size_of(indices, palette), ssimulacra2(picture, original), flip(picture, original)


def ours(image, counts, rates):
    """Yield colours, rate, seconds without and with it, measures, and predicted bytes."""
    for colors, way in itertools.product(counts, ways(image)):
        began, given, eye = time.perf_counter(), {"colors": colors}, dict(way)
        if "palette" in eye:
            given = {"palette": eye.pop("palette")(colors)}
        run = ThriftyRun(Problem(image, Viewing(**eye), **given), Pace())
        run.start()
        run.anneal()
        run.search()
        plain = time.perf_counter() - began
        for rate in (0.0, *rates):
            began = time.perf_counter()
            result = run.at(rate * run.first / FIRST) if rate else run.result()
            seconds = time.perf_counter() - began
            point = measured(result.indices, result.palette, image)
            predicted = predicted_size(result.indices, result.palette)
            yield colors, rate, plain, seconds, *point, predicted


def frontier(points):
    """Return those points, by bytes, that no smaller one equals in quality."""
    best = []
    for point in sorted(points):
        if not best or point[1] > best[-1][1]:
            best.append(point)
    return np.array(best)


def beside(rival, image):
    """Return share of bytes at a rival's score, and differences of both scores at its bytes."""
    size, score, error = rival
    found = []
    for asked in ({"quality": max(score, 0)}, {"max_bytes": size}):
        try:
            result = fg.dither(image, **asked)
        except ValueError:  # there is no such picture
            found.append((np.nan,) * 3)
            continue
        found.append(measured(result.indices, result.palette, image))
    (small, _, _), (_, good, seen) = found
    return small / size, good - score, seen - error


def report(images, counts, side, rivals):
    """Print the tables, and return all figures."""
    figures, rows, exact = {}, {}, []
    for name in images:
        image = load(name, side)
        points, others = [], {}
        for tool in rivals:
            for colors in counts:
                try:
                    others[tool, colors] = measured(*RIVALS[tool](image, colors), image)
                except ImportError as error:
                    print(f"left out: {tool} ({error})")
        for colors, rate, plain, more, *point, predicted in ours(image, counts, RATES):
            points.append((*point, predicted, colors, rate, plain, more))
        print(f"\n### {name}, {image.shape[1]} x {image.shape[0]}\n")
        print("| beside | bytes | SSIMULACRA2 | FLIP | bytes at its score | more points | FLIP |")
        print("|---|---|---|---|---|---|---|")
        for (tool, colors), rival in others.items():
            share, score, error = beside(rival, image)
            if rival[1] == EXACT:
                exact.append((share, score))
            else:
                rows.setdefault((tool, colors), []).append((share, score, error))
            shown = f"{rival[0]} | {rival[1]:.1f} | {rival[2]:.4f} | {share:.3f}"
            print(f"| {tool}, {colors} | {shown} | {score:+.1f} | {error:+.4f} |", flush=True)
        figures[name] = {"fastgrad": points}
        figures[name] |= {f"{tool}, {colors}": found for (tool, colors), found in others.items()}
    print("\n### means; least and most\n")
    print("| beside | bytes at its score | more points at its bytes | FLIP at its bytes |")
    print("|---|---|---|---|")
    for (tool, colors), found in rows.items():
        cells = [
            f"{np.nanmean(x):.3f} ({np.nanmin(x):.3f} to {np.nanmax(x):.3f})"
            for x in np.array(found).T
        ]
        print(f"| {tool}, {colors} | " + " | ".join(cells) + " |")
    if exact:
        worst = np.array(exact)
        print(
            f"\n{len(exact)} times a rival is exact: then ours has at most "
            f"{np.nanmax(worst[:, 0]):.3f} of its bytes, and at its bytes at worst "
            f"{np.nanmin(worst[:, 1]):+.1f} points"
        )
    every = [point for name in images for point in figures[name]["fastgrad"]]
    runs = np.array([p[:4] for p in every]).reshape(-1, 1 + len(RATES), 4)[..., [3, 0]]
    between = [corrected(run[:, 0], *run[[0, -1], 1])[1:-1] / run[1:-1, 1] for run in runs]
    print()
    for how, found in (("indices alone", runs[..., 0] / runs[..., 1]), ("both ends", between)):
        ratios = np.ravel(found)
        near = np.mean(abs(ratios - 1) <= 0.08)
        print(
            f"predicted by {how} / real bytes: mean {ratios.mean():.3f}, {near:.1%} within 8 %, "
            f"{ratios.min():.3f} to {ratios.max():.3f}"
        )
    times = [1 + p[7] / p[6] for p in every if p[5]]
    print(f"time with a rate / without: {np.median(times):.2f} (median), {max(times):.2f} (most)")
    return figures


def plot(figures, path):
    """Draw quality against bytes, and predicted against real bytes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6 * len(figures), 10), layout="constrained")
    axes = figure.subplots(2, len(figures), squeeze=False)
    for column, (name, found) in zip(axes.T, figures.items()):
        points = np.array(found["fastgrad"])
        edge = frontier([tuple(p) for p in points[:, :2]])
        column[0].plot(points[:, 0], points[:, 1], ".", color="tab:blue", alpha=0.4)
        column[0].plot(edge[:, 0], edge[:, 1], color="tab:blue", label="fastgrad")
        for tool, marker in zip(RIVALS, "os^"):
            theirs = np.array([x for key, x in found.items() if key.startswith(f"{tool},")])
            if theirs.size:
                column[0].plot(theirs[:, 0], theirs[:, 1], f"{marker}--", label=tool)
        column[0].set(title=name, xlabel="bytes", ylabel="SSIMULACRA2", xscale="log")
        column[0].legend()
        column[1].loglog(points[:, 0], points[:, 3], ".")
        column[1].axline((points[0, 0], points[0, 0]), slope=1, color="grey", lw=1)
        column[1].set(xlabel="real bytes", ylabel="predicted bytes")
    figure.savefig(path)


def main():
    """Run the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", nargs="+", default=IMAGES, metavar="NAME")
    parser.add_argument("--colors", nargs="+", type=int, default=COLORS, metavar="K")
    parser.add_argument("--side", type=int, default=512, metavar="N")
    parser.add_argument("--rivals", nargs="+", default=list(RIVALS), choices=list(RIVALS))
    parser.add_argument("--frontier", type=Path, metavar="FILE.png", help="draw a plot")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    figures = report(arguments.images, arguments.colors, arguments.side, arguments.rivals)
    if arguments.frontier:
        plot(figures, arguments.frontier)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
