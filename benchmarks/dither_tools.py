"""Other tools that dither, judges of pictures, and photographs: what the reports share.

Each is left out of a report where its package is not installed. Tools: pillow, imagequant,
pngquant-cli, dither-go, dithering, epaper-dithering. Judges: flip-evaluator, ssimulacra2; the
others are our own. Photographs: those in the wheels of scikit-image and scikit-learn.
"""

import functools
import importlib.util
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from fastgrad.dithering.eye.colour import encode, to_linear
from fastgrad.dithering.metrics.psnr_and_ssim import ms_ssim, psnr
from fastgrad.dithering.metrics.s_cielab_and_flip import s_cielab
from fastgrad.dithering.pictures.other_tools import imagequant, pillow

FOLDERS = (("skimage", "data"), ("sklearn", "datasets/images"))


def load(name):
    """Return a picture of scikit-image's wheel, or of scikit-learn's, as sRGB values."""
    found = []
    for package, folder in FOLDERS:
        place = importlib.util.find_spec(package)
        if place is not None:
            found += (Path(place.origin).parent / folder).glob(f"{name}.*")
    if not found:
        raise FileNotFoundError(f"no picture {name}: is scikit-image, or scikit-learn, installed?")
    return np.asarray(Image.open(found[0]).convert("RGB"))


def reduced(image, side):
    """Return a picture that is no larger than so many pixels across and down."""
    small = Image.fromarray(image)
    small.thumbnail((side, side), Image.Resampling.LANCZOS)
    return np.asarray(small)


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


def epaper_tones(image, palette):
    """Return what epaper-dithering's own maps of tones and colours make of a picture."""
    from epaper_dithering import _rs

    inks, light = np.asarray(palette, np.uint8).tobytes(), to_linear(image).astype(np.float64)
    toned = _rs.tone_compress(light.ravel().tolist(), inks)
    shown = np.reshape(_rs.gamut_compress(toned, inks), image.shape)
    return np.rint(255 * encode(shown)).astype(np.uint8)


epaper_dithering_auto = functools.partial(epaper_dithering, tones="auto")
RIVALS = {
    "pillow": pillow,
    "imagequant": imagequant,
    "pngquant": pngquant,
    "dither_go": dither_go,
    "dithering": dithering,
    "epaper_dithering": epaper_dithering,
    "epaper_dithering, auto": epaper_dithering_auto,
}


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
