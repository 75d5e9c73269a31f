"""Dithered pictures of fastgrad beside those of other tools, by judges that none of them optimises.

    python -m benchmarks.dither_quality [--images NAME ...] [--colors K ...] [--nu X ...]
        [--presets NAME ...] [--sheets FOLDER]

Rivals and judges, each left out where it is not installed: pillow, imagequant, pngquant-cli,
dither-go, dithering, epaper-dithering; flip-evaluator, ssimulacra2. The pictures are those in
scikit-image's wheel.

With --presets, the colours are those of e-ink panels, for the tools that take a palette. Nothing
can look like the picture then: what is dithered is judged against the best that the panel can
show, in two tables. The first has the picture with each colour beyond the inks in the nearest one
that they reach ("clip"), the second the picture after our fit of tones and colours ("all"); each
tool gets the picture itself. With --sheets, the pictures are written side by side.

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

from fastgrad.dithering import dither, fit_tones
from fastgrad.dithering.metrics.psnr_and_ssim import ms_ssim, psnr
from fastgrad.dithering.metrics.s_cielab_and_flip import s_cielab
from fastgrad.dithering.pictures.other_tools import imagequant, pillow
from fastgrad.dithering.pictures.presets import PRESETS

IMAGES = ("astronaut", "coffee", "chelsea", "rocket", "hubble_deep_field", "motorcycle_left")
COLORS = (2, 4, 8, 16, 64, 256)


def load(name):
    """Return a picture of scikit-image's wheel as sRGB values."""
    import skimage

    (path,) = (Path(skimage.__file__).parent / "data").glob(f"{name}.*")
    return np.asarray(Image.open(path).convert("RGB"))


# -- rivals: (picture, colours, a palette or None) -> picture ------------------------------------


def pngquant(image, colors, palette):
    """Dither by pngquant, at its slowest."""
    program = Path(sys.executable).with_name("pngquant")
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "a.png"), Path(folder, "b.png")
        Image.fromarray(image).save(source)
        command = [program, str(colors), "--speed", "1", "-o", target, source]
        subprocess.run(command, check=True, capture_output=True)
        return Image.open(target).convert("RGB")


def listed(palette, image, colors):
    """Return a palette as tuples; libimagequant's if there is none, for tools that need one."""
    if palette is None:
        palette = np.unique(imagequant(image, colors).reshape(-1, 3), axis=0)
    return [tuple(int(x) for x in colour) for colour in palette]


def dither_go(image, colors, palette):
    """Dither by Floyd-Steinberg in linear light."""
    import dither_go

    palette = [[*c, 255] for c in listed(palette, image, colors)]
    ditherer = dither_go.new_ditherer(dither_go.create_palette(palette))
    ditherer.Matrix = dither_go.ErrorDiffusers.FloydSteinberg
    with tempfile.TemporaryDirectory() as folder:
        source, target = str(Path(folder, "a.png")), str(Path(folder, "b.png"))
        Image.fromarray(image).save(source)
        dither_go.save_image(ditherer.Dither(dither_go.open_image(source)), target, "png")
        return Image.open(target).convert("RGB")


def dithering(image, colors, palette):
    """Dither by the package `dithering`: Floyd-Steinberg in linear light."""
    import dithering

    return dithering.dither(image, palette=listed(palette, image, colors), linear=True)


def epaper_dithering(image, colors, palette, tones=0.0):
    """Dither by epaper-dithering: error diffusion, then its direct binary search."""
    from epaper_dithering import ColorPalette, dither_image

    entries = {str(i): colour for i, colour in enumerate(listed(palette, image, colors))}
    inks = ColorPalette(colors=entries, accent=str(len(entries) - 1))
    return dither_image(Image.fromarray(image), inks, dbs=True, tone=tones, gamut=tones)


def epaper_dithering_auto(image, colors, palette):
    """Dither by epaper-dithering with its own maps of tones and colours."""
    return epaper_dithering(image, colors, palette, "auto")


EPAPER = (epaper_dithering, epaper_dithering_auto)
RIVALS = {f.__name__: f for f in (pillow, imagequant, pngquant, dither_go, dithering, *EPAPER)}
TAKE_PALETTES = ("pillow", "dither_go", "dithering", *(f.__name__ for f in EPAPER))


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


def attempt(tool, image):
    """Return a tool's picture and its seconds, or the reason why there is none."""
    began = time.perf_counter()
    try:
        picture = tool(image)
        if picture is None:
            raise ImportError("not installed")
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


def tools(colors, nus):
    """Return the tools for so many colours."""
    found = {"fastgrad": functools.partial(dithered, colors=colors)}
    for nu in nus:
        found[f"fastgrad, nu={nu:g}"] = functools.partial(dithered, colors=colors, nu=nu)
    for name, rival in RIVALS.items():
        found[name] = functools.partial(rival, colors=colors, palette=None)
    return found


def tools_with(preset):
    """Return the tools that take a palette, for that of a preset."""
    colors = preset.colors
    found = {"fastgrad": functools.partial(dithered, palette=colors, **preset.options)}
    for fit in ("clip", "none"):
        options = {**preset.options, "fit": fit}
        found[f"fastgrad, fit={fit}"] = functools.partial(dithered, palette=colors, **options)
    for name in TAKE_PALETTES:
        found[name] = functools.partial(RIVALS[name], colors=len(colors), palette=colors)
    return found


def shown_at_best(original, fit, preset):
    """Return the best that a panel can show of a picture."""
    return fit_tones(original, preset.colors, fit)(original)


def dithered(image, **options):
    """Return our picture."""
    return dither(image, **options).image


def report(images, cases, sheets=None):
    """Print the tables, and return all figures; cases are tools by the name of the case.

    What the judges compare with is the picture, or what the function of a case makes of it.
    """
    figures, missing, won, contests, made = {}, {}, 0, 0, {}
    for case in (f"{name}, {case}" for name in images for case in cases):
        name, _, kind = case.partition(", ")
        run_by_name, reference = cases[kind]
        original = load(name)
        wanted = original if reference is None else reference(original)
        print(f"\n### {case}\n")
        print("| tool | " + " | ".join(JUDGES) + " | seconds |")
        print("|---|" + "---|" * (len(JUDGES) + 1), flush=True)
        rows = figures[case] = {}
        for tool, run in run_by_name.items():
            key = name, kind.partition(" against ")[0], tool
            if key not in made:
                made[key] = attempt(run, original)
            picture, seconds = made[key]
            if seconds is None:
                missing[tool] = picture
                continue
            rows[tool] = scores(picture, wanted)
            cells = [f"{rows[tool].get(judge, np.nan):.4g}" for judge in JUDGES]
            print(f"| {tool} | " + " | ".join(cells) + f" | {seconds:.2f} |", flush=True)
        for judge in CONTESTED:
            sign = -1 if judge in LOWER else 1
            rivals = [sign * rows[r][judge] for r in rows if r in RIVALS and judge in rows[r]]
            if rivals:
                contests += 1
                won += sign * rows["fastgrad"][judge] > max(rivals)
    for name, kind in dict.fromkeys(key[:2] for key in made) if sheets else ():
        row = [made[key][0] for key in made if key[:2] == (name, kind) and made[key][1]]
        sheet = np.concatenate([load(name), *row], axis=1)
        Image.fromarray(sheet).save(sheets / f"{name}-{kind}.png")
    print(f"\n{', '.join(CONTESTED)}: better than every rival in {won} of {contests} cases")
    for tool, reason in missing.items():
        print(f"left out: {tool} ({reason})")
    return figures


def main():
    """Run the report."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--images", nargs="+", default=IMAGES[:2], metavar="NAME")
    parser.add_argument("--colors", nargs="*", type=int, default=COLORS, metavar="K")
    parser.add_argument("--nu", nargs="*", type=float, default=(), help="frontier: other values")
    parser.add_argument("--presets", nargs="*", choices=PRESETS, default=("spectra6",))
    parser.add_argument("--sheets", type=Path, help="a directory for pictures side by side")
    parser.add_argument("--json", type=Path, help="write all figures there")
    arguments = parser.parse_args()
    cases = {f"{k} colours": (tools(k, arguments.nu), None) for k in arguments.colors}
    for name in arguments.presets:
        preset = PRESETS[name]
        for fit in ("clip", "all"):
            reference = functools.partial(shown_at_best, fit=fit, preset=preset)
            cases[f"{name} against {fit}"] = tools_with(preset), reference
    figures = report(arguments.images, cases, arguments.sheets)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
