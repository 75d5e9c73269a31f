"""Dithered pictures: a wall of them, what each option does, and what quality costs."""

import re
import time
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

import fastgrad as fg
from builders.files import changed, save
from builders.pictures import svg
from fastgrad.dithering.files.plan import PHOTOGRAPH
from fastgrad.dithering.metrics.s_cielab_and_flip import s_cielab
from fastgrad.dithering.pictures import comparison_page, other_tools, report

CROP = (slice(40, 232), slice(120, 312))  # of the photograph: a face, hair, a smooth background
SETTINGS = {
    "2 colours": {"colors": 2},
    "4 colours": {"colors": 4},
    "16 colours": {"colors": 16},
    **{preset: {"preset": preset} for preset in ("bw", "grey4", "spectra6", "acep7", "bwry")},
}
BASE = {"colors": 8}
OPTIONS = {  # an option, two values, and what one should see
    "nu": (0.0, 1.0, "Error of single pixels counts too: less grain, tones that are less true."),
    "sigma": (0.7, 3.0, "The eye's blur in pixels: a wider one allows coarser grain."),
    "ppd": (20, 90, "Pixels per degree: how far away the viewer is, by a model of the eye."),
    "space": ("srgb", "oklab", "Where errors are measured; by default in opponent axes of light."),
    "local_weights": (False, True, "Dark places weigh more, where the eye sees errors better."),
    "structure": (0.0, 0.3, "Weight of the likeness of edges and textures."),
    "speed": (1, 10, "From the best picture to the fastest."),
}
COLORS, SPEEDS = (2, 4, 8, 16, 32, 64), (1, 4, 6, 8, 10)


def photograph():
    """Return the part of the package's photograph that is dithered here."""
    with Image.open(PHOTOGRAPH) as image:
        return np.asarray(image.convert("RGB"))[CROP]


def ramp():
    """Return two smooth ramps, on which banding and worms show."""
    y, x = np.mgrid[0:1:192j, 0:1:192j]
    sky = np.stack([0.25 + 0.5 * y, 0.45 + 0.4 * y, 0.95 - 0.1 * y], axis=-1)
    grey = np.repeat(x[..., None], 3, axis=2)
    return np.rint(255 * np.where(y[..., None] < 0.5, sky, grey)).astype(np.uint8)


def file_name(*words):
    """Return words as the name of a file."""
    return "-".join(re.sub(r"\W+", "_", str(word)) for word in words) + ".png"


def rivals(picture, colors, palette):
    """Return what other tools make of a picture, by name."""
    made = {name: rival(picture, colors, palette) for name, rival in other_tools.RIVALS.items()}
    return {name: image for name, image in made.items() if image is not None}


def wall(folder):
    """Write pictures by setting and tool; return the lists in HTML."""
    parts = []
    for kind, picture in (("photograph", photograph()), ("ramps", ramp())):
        save(folder / file_name(kind), comparison_page.png(picture))
        for setting, options in SETTINGS.items():
            own = fg.dither(picture, **options)
            palette = own.palette if "preset" in options else None
            shown = {"fastgrad": own.image} | rivals(picture, len(own.palette), palette)
            figures = []
            for tool, image in shown.items():
                name = file_name(kind, setting, tool)
                save(folder / name, comparison_page.png(image))
                error = f"{tool}, S-CIELAB {s_cielab(image, picture):.2f}"
                figures.append(figure(name, f"{kind}, {setting}, {tool}", error))
            parts.append(f"<h3>{kind.capitalize()}, {setting}</h3>\n{row(figures)}")
    return "\n".join(parts)


def figure(name, alt, caption):
    """Return a picture with its caption, in HTML."""
    return (
        f'<figure><img src="_images_dithering/{name}" alt="{alt}" width="192" height="192" '
        f'loading="lazy"><figcaption>{caption}</figcaption></figure>'
    )


def row(figures):
    """Return pictures side by side, in HTML."""
    return f'<div class="wall">{"".join(figures)}</div>'


def options(folder):
    """Write each option's two pictures; return the list in HTML."""
    picture, parts = photograph(), []
    for option, (before, after, text) in OPTIONS.items():
        figures = []
        for value in (before, after):
            name = file_name("option", option, value)
            save(
                folder / name,
                comparison_page.png(fg.dither(picture, **BASE, **{option: value}).image),
            )
            figures.append(figure(name, f"{option} {value}", f"<code>{option}={value!r}</code>"))
        parts.append(f"<h3><code>{option}</code></h3>\n<p>{text}</p>\n{row(figures)}")
    return "\n".join(parts)


def curves():
    """Draw error by bytes, and by time in units of the time of Pillow."""
    picture = photograph()
    figure = Figure(figsize=(9, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    ours, theirs = [], []
    for colors in COLORS:
        own = fg.dither(picture, colors=colors).image
        other = other_tools.pillow(picture, colors)
        for image, points in ((own, ours), (other, theirs)):
            points.append((len(comparison_page.png(image)) / 1000, s_cielab(image, picture)))
    for points, label in ((ours, "fastgrad"), (theirs, "Pillow")):
        left.loglog(*np.transpose(points), "o-", label=label)
        for (x, y), colors in zip(points, COLORS):
            left.annotate(f" {colors}", (x, y))
    left.set(xlabel="kB of PNG, by number of colours", ylabel="S-CIELAB, low is good")
    left.legend()
    points, unit = [], seconds(lambda: other_tools.pillow(picture, 16))
    for speed in SPEEDS:
        made = []
        took = seconds(lambda speed=speed, made=made: made.append(dithered(picture, speed)))
        points.append((took / unit, s_cielab(made[-1], picture)))
    right.loglog(*np.transpose(points), "o-", label="fastgrad, by speed")
    for (x, y), speed in zip(points, SPEEDS):
        right.annotate(f" {speed}", (x, y))
    error = s_cielab(other_tools.pillow(picture, 16), picture)
    right.loglog([1], [error], "s", color="C1", label="Pillow")
    right.set(xlabel="time, in units of Pillow's", title="16 colours")
    right.legend()
    return figure


def dithered(picture, speed):
    """Return the picture in 16 colours."""
    return fg.dither(picture, colors=16, speed=speed).image


def seconds(work):
    """Return the shortest of three times, after a first one that may compile."""
    work()
    taken = []
    for _ in range(3):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return min(taken)


def slider(folder):
    """Write the pictures of the page with the slider; return its part in HTML."""
    with Image.open(PHOTOGRAPH) as image:
        picture = np.asarray(image.convert("RGB"))
    own = fg.dither(picture, colors=16, speed=4)
    made = report.against_others(own.image, picture, colors=16, seconds=float("nan"))
    figures = {
        tool: {name: value for name, value in found.items() if name != report.SECONDS}
        for tool, found in made.figures.items()
    }

    def place(label, values):
        name = file_name("slider", label)
        save(folder / name, comparison_page.png(values))
        return f"_images_dithering/{name}"

    return comparison_page.section("The portrait in 16 colours", made.panels, figures, place=place)


def write(folder):
    """Write all pictures and parts of pages."""
    package = Path(fg.__file__).parent
    if not changed(folder, "dithering", [*package.glob("dithering/**/*.py"), Path(__file__)]):
        return
    pictures = folder / "extra" / "_images_dithering"
    save(folder / "parts" / "wall.html", wall(pictures))
    save(folder / "parts" / "options.html", options(pictures))
    save(folder / "parts" / "slider.html", slider(pictures))
    save(folder / "pictures" / "quality.svg", svg(curves()))
    for name, text in (("style.css", comparison_page.STYLE), ("script.js", comparison_page.SCRIPT)):
        save(folder / "extra" / "_images_dithering" / f"slider_{name}", text)
