"""Dithered pictures of fastgrad beside those of other tools, by judges that none of them optimises.

    python -m benchmarks.dither_quality [--images NAME ...] [--colors K ...] [--nu X ...]
        [--presets NAME ...] [--side N] [--sheets FOLDER] [--json FILE]

Palettes are learned, one for each number of colours; or, with --presets, they are those of e-ink
panels: see `benchmarks.dither_panels`, which says what is judged there. The pictures are
photographs in the wheels of scikit-image and scikit-learn, no larger than --side. Tools and judges
are listed in `benchmarks.dither_tools`, and left out where they are not installed.

- SSIMULACRA2 (higher is better), on the sRGB values, at full size
- FLIP (lower is better), mean, 67 pixels per degree
- S-CIELAB (lower is better), mean CIE 1976 difference, 67 pixels per degree
- MS-SSIM of luma of the sRGB values; PSNR of the sRGB values, and blurred by 1.5 pixels in linear
  light and in sRGB
"""

import argparse
import functools
import json
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks import dither_panels
from benchmarks.dither_tools import CONTESTED, JUDGES, LOWER, RIVALS, attempt, load, reduced
from fastgrad.dithering import dither
from fastgrad.dithering.pictures.presets import PRESETS

IMAGES = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "motorcycle_left")
COLORS = (2, 4, 8, 16, 64, 256)


def scores(picture, original):
    """Return what each judge that is installed says."""
    found = {}
    for name, judge in JUDGES.items():
        try:
            found[name] = float(judge(picture, original))
        except ImportError:
            continue
    return found


def tools(colors, nus):
    """Return the tools for so many colours."""
    found = {"fastgrad": functools.partial(dithered, colors=colors)}
    for nu in nus:
        found[f"fastgrad, nu={nu:g}"] = functools.partial(dithered, colors=colors, nu=nu)
    for name, rival in RIVALS.items():
        if name != "epaper_dithering, auto":  # which fits pictures to the palettes of panels
            found[name] = functools.partial(rival, colors=colors, palette=None)
    return found


def dithered(image, **options):
    """Return our picture."""
    return dither(image, **options).image


def report(images, counts, nus, side, sheets=None):
    """Print a table for each picture and number of colours, and return all figures."""
    figures, missing, won, contests = {}, {}, 0, 0
    for name, colors in ((name, colors) for name in images for colors in counts):
        original, row = reduced(load(name), side), []
        case = f"{name}, {colors} colours"
        print(f"\n### {case}\n")
        print("| tool | " + " | ".join(JUDGES) + " | seconds |")
        print("|---|" + "---|" * (len(JUDGES) + 1), flush=True)
        rows = figures[case] = {}
        for tool, run in tools(colors, nus).items():
            picture, seconds = attempt(run, original)
            if seconds is None:
                missing[tool] = picture
                continue
            row.append(picture)
            rows[tool] = scores(picture, original)
            cells = [f"{rows[tool].get(judge, np.nan):.4g}" for judge in JUDGES]
            print(f"| {tool} | " + " | ".join(cells) + f" | {seconds:.2f} |", flush=True)
        for judge in CONTESTED:
            sign = -1 if judge in LOWER else 1
            rivals = [sign * rows[r][judge] for r in rows if r in RIVALS and judge in rows[r]]
            if rivals:
                contests += 1
                won += sign * rows["fastgrad"][judge] > max(rivals)
        if sheets:
            sheet = np.concatenate([original, *row], axis=1)
            Image.fromarray(sheet).save(sheets / f"{name}-{colors}.png")
    print(f"\n{', '.join(CONTESTED)}: better than every rival in {won} of {contests} cases")
    for tool, reason in missing.items():
        print(f"left out: {tool} ({reason})")
    return figures


def main():
    """Run the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", nargs="+", metavar="NAME", help="by default, what suits")
    parser.add_argument("--colors", nargs="*", type=int, default=COLORS, metavar="K")
    parser.add_argument("--nu", nargs="*", type=float, default=(), help="frontier: other values")
    parser.add_argument(
        "--presets", nargs="*", choices=PRESETS, help=f"by default {' '.join(dither_panels.PANELS)}"
    )
    parser.add_argument("--side", type=int, default=4096, help="longest side of the pictures")
    parser.add_argument("--sheets", type=Path, help="a directory for pictures side by side")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    side, sheets = arguments.side, arguments.sheets
    if arguments.presets is None:
        counts = arguments.colors, arguments.nu
        figures = report(arguments.images or IMAGES[:2], *counts, side, sheets)
    else:
        panels = arguments.presets or dither_panels.PANELS
        images = arguments.images or dither_panels.IMAGES
        figures = dither_panels.report(images, panels, side, sheets)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
