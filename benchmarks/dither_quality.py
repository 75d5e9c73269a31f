"""Dithered pictures of fastgrad beside those of other tools, by judges that none of them optimises.

    python -m benchmarks.dither_quality [--images NAME ...] [--colors K ...] [--nu X ...]

Rivals and judges, each left out where it is not installed: pillow, imagequant, pngquant-cli,
dither-go, dithering; flip-evaluator, ssimulacra2. The pictures are those in scikit-image's wheel.

- SSIMULACRA2 (higher is better), on the sRGB values, at full size
- FLIP (lower is better), mean, 67 pixels per degree
- S-CIELAB (lower is better), mean CIE 1976 difference, 67 pixels per degree
- MS-SSIM of luma of the sRGB values; PSNR of the sRGB values, and blurred by 1.5 pixels in linear
  light and in sRGB
"""

import argparse
import functools
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from fastgrad.dithering import dither
from fastgrad.dithering.perception import s_cielab
from fastgrad.dithering.quality import ms_ssim, psnr

IMAGES = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "motorcycle_left")
COLORS = (2, 4, 8, 16, 64, 256)


def load(name):
    """Return a picture of scikit-image's wheel as sRGB values."""
    import skimage

    (path,) = (Path(skimage.__file__).parent / "data").glob(f"{name}.*")
    return np.asarray(Image.open(path).convert("RGB"))


# -- rivals: (picture, colours) -> picture -------------------------------------------------------


def pillow(image, colors):
    """Dither by maximum coverage and Floyd-Steinberg."""
    image = Image.fromarray(image)
    palette = image.quantize(colors, method=Image.Quantize.MAXCOVERAGE)
    return image.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG).convert("RGB")


def imagequant(image, colors):
    """Dither by libimagequant, at full strength."""
    import imagequant

    image = Image.fromarray(image).convert("RGBA")
    return imagequant.quantize_pil_image(image, dithering_level=1.0, max_colors=colors)


def pngquant(image, colors):
    """Dither by pngquant, at its slowest."""
    program = Path(sys.executable).with_name("pngquant")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.png"), Path(folder, "b.png")
        Image.fromarray(image).save(source)
        command = [program, str(colors), "--speed", "1", "-o", target, source]
        subprocess.run(command, check=True, capture_output=True)
        return Image.open(target).convert("RGB")


def fixed_palette(image, colors):
    """Return libimagequant's palette, for tools that have none of their own."""
    pixels = np.asarray(imagequant(image, colors).convert("RGB")).reshape(-1, 3)
    return [tuple(int(x) for x in colour) for colour in np.unique(pixels, axis=0)]


def dither_go(image, colors):
    """Dither by Floyd-Steinberg in linear light, with libimagequant's palette."""
    import dither_go

    palette = dither_go.create_palette([[*c, 255] for c in fixed_palette(image, colors)])
    ditherer = dither_go.new_ditherer(palette)
    ditherer.Matrix = dither_go.ErrorDiffusers.FloydSteinberg
    with tempfile.TemporaryDirectory() as folder:
        source, target = str(Path(folder, "a.png")), str(Path(folder, "b.png"))
        Image.fromarray(image).save(source)
        dither_go.save_image(ditherer.Dither(dither_go.open_image(source)), target, "png")
        return Image.open(target).convert("RGB")


def dithering(image, colors):
    """Dither by the package `dithering`: Floyd-Steinberg in linear light, the same palette."""
    import dithering

    return dithering.dither(image, palette=fixed_palette(image, colors), linear=True)


RIVALS = {f.__name__: f for f in (pillow, imagequant, pngquant, dither_go, dithering)}


# -- judges: (picture, original) -> number -------------------------------------------------------


def ssimulacra2(picture, original):
    """Return SSIMULACRA2's score."""
    from ssimulacra2 import compute_ssimulacra2

    with tempfile.TemporaryDirectory() as folder:
        first, second = str(Path(folder, "a.png")), str(Path(folder, "b.png"))
        Image.fromarray(original).save(first)
        Image.fromarray(picture).save(second)
        return compute_ssimulacra2(first, second)


def flip(picture, original):
    """Return the mean FLIP error."""
    import flip_evaluator

    pair = [np.float32(x / 255) for x in (original, picture)]
    return flip_evaluator.evaluate(*pair, "LDR", True, False, True, {})[1]


JUDGES = {
    "SSIMULACRA2": ssimulacra2,
    "FLIP": flip,
    "S-CIELAB": s_cielab,
    "MS-SSIM": ms_ssim,
    "PSNR": functools.partial(psnr, linear=False),
    "blurred, linear": functools.partial(psnr, sigma=1.5),
    "blurred, sRGB": functools.partial(psnr, sigma=1.5, linear=False),
}
LOWER = {"FLIP", "S-CIELAB"}
CONTESTED = ("SSIMULACRA2", "FLIP", "S-CIELAB")


# -- the report ----------------------------------------------------------------------------------


def attempt(tool, image, colors):
    """Return a tool's picture and its seconds, or the reason why there is none."""
    began = time.perf_counter()
    try:
        picture = tool(image, colors)
    except Exception as error:
        return f"{type(error).__name__}: {error}", None
    seconds = time.perf_counter() - began
    if isinstance(picture, Image.Image):
        picture = picture.convert("RGB")
    return np.asarray(picture), seconds


def scores(picture, original):
    """Return what each judge that is installed says."""
    found = {}
    for name, judge in JUDGES.items():
        try:
            found[name] = float(judge(picture, original))
        except ImportError:
            continue
    return found


def report(images, colors, nus):
    """Print the tables, and return all figures."""
    ours = {"fastgrad": lambda image, k: dither(image, colors=k).image}
    for nu in nus:
        ours[f"fastgrad, nu={nu:g}"] = lambda image, k, nu=nu: dither(image, colors=k, nu=nu).image
    figures, missing, won, contests = {}, {}, 0, 0
    for name in images:
        original = load(name)
        for k in colors:
            print(f"\n### {name}, {k} colours\n")
            print("| tool | " + " | ".join(JUDGES) + " | seconds |")
            print("|---|" + "---|" * (len(JUDGES) + 1), flush=True)
            rows = {}
            for tool, run in {**ours, **RIVALS}.items():
                picture, seconds = attempt(run, original, k)
                if seconds is None:
                    missing[tool] = picture
                    continue
                rows[tool] = scores(picture, original)
                cells = [f"{rows[tool].get(judge, np.nan):.4g}" for judge in JUDGES]
                print(f"| {tool} | " + " | ".join(cells) + f" | {seconds:.2f} |", flush=True)
            figures[f"{name}, {k}"] = rows
            for judge in CONTESTED:
                sign = -1 if judge in LOWER else 1
                rivals = [sign * rows[r][judge] for r in rows if r in RIVALS and judge in rows[r]]
                if rivals:
                    contests += 1
                    won += sign * rows["fastgrad"][judge] > max(rivals)
    print(f"\n{', '.join(CONTESTED)}: better than every rival in {won} of {contests} cases")
    for tool, reason in missing.items():
        print(f"left out: {tool} ({reason})")
    return figures


def main():
    """Run the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", nargs="+", default=IMAGES[:2], metavar="NAME")
    parser.add_argument("--colors", nargs="+", type=int, default=COLORS, metavar="K")
    parser.add_argument("--nu", nargs="*", type=float, default=(), help="frontier: other values")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    figures = report(arguments.images, arguments.colors, arguments.nu)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
