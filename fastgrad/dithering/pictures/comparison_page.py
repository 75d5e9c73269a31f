"""A page in HTML on which a dithered picture, its original and others' work lie on one another.

A divider shows one picture to its left and another to its right, at the scale of pixels. The page
is one file that asks for nothing else: the pictures are in it, and its few lines of script. Without
script it shows all pictures, one below the other.
"""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable, Mapping
from string import Template

from fastgrad._typing import ByteArray
from fastgrad.dithering.pictures.report import encoded, low_is_good

__all__ = ["SCRIPT", "STYLE", "embedded", "page", "png", "section"]

LARGEST = 1600  # pixels of a side up to which a picture is shown whole
DIGITS = 4

STYLE = """
.fg-compare { margin: 2rem 0; }
.fg-compare figure { margin: 0 0 1rem; padding: 0; }
.fg-compare img { display: block; padding: 0; image-rendering: pixelated; max-width: none; }
.fg-view { overflow: auto; border: 1px solid; }
.fg-controls { display: none; flex-wrap: wrap; gap: 0.5rem 1.5rem; margin: 0.5rem 0; }
.fg-live .fg-controls { display: flex; }
.fg-live .fg-view { position: relative; max-height: 80vh; }
.fg-live .fg-stack { position: relative; }
.fg-live figure { position: absolute; inset: 0; margin: 0; visibility: hidden; }
.fg-live figure.fg-shown { visibility: visible; }
.fg-live figcaption { display: none; }
.fg-live img { width: 100%; height: 100%; }
.fg-divider { display: none; margin: 0.5rem 0; }
.fg-live .fg-divider { display: block; }
.fg-table { overflow-x: auto; }
.fg-compare table { border-collapse: collapse; margin-top: 1rem; }
.fg-compare th, .fg-compare td { padding: 0.2rem 0.8rem; text-align: right; }
.fg-compare tbody th { min-width: 14rem; text-align: left; font-weight: normal; }
.fg-compare thead th { border-bottom: 1px solid; font-weight: bold; }
"""

SCRIPT = """
for (const whole of document.querySelectorAll(".fg-compare")) {
  const view = whole.querySelector(".fg-view"), stack = whole.querySelector(".fg-stack");
  const divider = whole.querySelector(".fg-divider");
  const [left, right, zoom] = whole.querySelectorAll("select");
  const figures = [...whole.querySelectorAll("figure")];
  const width = Number(stack.dataset.width), height = Number(stack.dataset.height);
  const draw = () => {
    const pixel = Number(zoom.value) / window.devicePixelRatio;
    stack.style.width = `${width * pixel}px`;
    stack.style.height = `${height * pixel}px`;
    const seen = Math.min(view.clientWidth, width * pixel);
    divider.style.width = `${seen}px`;
    const edge = view.scrollLeft + (seen * divider.value) / divider.max;
    figures.forEach((figure, i) => {
      const isLeft = i === Number(left.value), isRight = i === Number(right.value);
      figure.classList.toggle("fg-shown", isLeft || isRight);
      figure.style.zIndex = isRight ? 2 : 1;
      figure.style.clipPath = isRight && !isLeft ? `inset(0 0 0 ${edge}px)` : "none";
    });
  };
  for (const one of [left, right, zoom]) one.addEventListener("change", draw);
  divider.addEventListener("input", draw);
  view.addEventListener("scroll", draw);
  window.addEventListener("resize", draw);
  view.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse" || !event.buttons) return;
    const box = view.getBoundingClientRect();
    divider.value = (divider.max * (event.clientX - box.left)) / stack.offsetWidth;
    draw();
  });
  view.addEventListener("dragstart", (event) => event.preventDefault());
  whole.classList.add("fg-live");
  draw();
}
"""

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; }
body { font-family: system-ui, sans-serif; margin: 0 auto; max-width: 90rem; padding: 0 1rem; }
$style</style>
</head>
<body>
<main>
<h1>$title</h1>
$sections
</main>
<script>$script</script>
</body>
</html>
""")

SECTION = Template("""<section class="fg-compare">
<h2>$title</h2>
<p>$size</p>
<div class="fg-controls">
<label>left <select>$left</select></label>
<label>right <select>$right</select></label>
<label>a pixel is <select>
<option value="1">1</option><option value="2">2 wide</option><option value="4">4 wide</option>
<option value="8">8 wide</option></select></label>
</div>
<input class="fg-divider" type="range" min="0" max="1000" value="500"
 aria-label="divider between the left and the right picture">
<div class="fg-view" tabindex="0" role="group" aria-label="the pictures of $title">
<div class="fg-stack" data-width="$width" data-height="$height">
$figures
</div>
</div>
<div class="fg-table" tabindex="0" role="group" aria-label="figures of $title">
$table
</div>
</section>
""")


def png(values: ByteArray) -> bytes:
    """Encode a picture as PNG, with a palette where it has no more than 256 colours.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        sRGB values.

    Returns
    -------
    bytes
        The file.
    """
    file = encoded(values)
    if file is not None:
        return file
    from PIL import Image

    data = io.BytesIO()
    Image.fromarray(values).save(data, "PNG", optimize=True)
    return data.getvalue()


def embedded(file: bytes) -> str:
    """Return the address of a PNG that is in the page itself."""
    return "data:image/png;base64," + base64.b64encode(file).decode("ascii")


def section(
    title: str,
    panels: Mapping[str, ByteArray],
    figures: Mapping[str, Mapping[str, float]],
    *,
    files: Mapping[str, bytes] | None = None,
    place: Callable[[str, ByteArray], str] | None = None,
) -> str:
    """Write the part of a page that shows one picture.

    Parameters
    ----------
    title : str
        Its name.
    panels : mapping of str to array of uint8, shape (height, width, 3)
        Labels and pictures in sRGB, all of one size; of pictures with a side of more than 1,600
        pixels, the middle. At first the divider is between the first two.
    figures : mapping of str to mapping of str to float
        The figures of each picture that has some, by its label.
    files : mapping of str to bytes, optional
        PNG of pictures by their labels, where such are at hand: the others are encoded.
    place : callable, optional
        Takes a label and a picture and returns the picture's address. By default the picture is
        put into the page.

    Returns
    -------
    str
        A ``section`` in HTML, for a page that has `STYLE` and, at its end, `SCRIPT`.
    """
    files = files or {}

    def embed(label: str, values: ByteArray) -> str:
        whole = values.shape == panels[label].shape
        return embedded(files[label] if whole and label in files else png(values))

    height, width = next(iter(panels.values())).shape[:2]
    size = f"{width} × {height} pixels"
    top, side = max(0, (height - LARGEST) // 2), max(0, (width - LARGEST) // 2)
    shown = {
        label: values[top : top + LARGEST, side : side + LARGEST]
        for label, values in panels.items()
    }
    height, width = next(iter(shown.values())).shape[:2]
    if top or side:
        size += f", of which the middle {width} × {height} are shown"
    drawn = [
        f"<figure><figcaption>{html.escape(label)}</figcaption>"
        f'<img src="{(place or embed)(label, values)}" width="{width}" height="{height}"'
        f' alt="{html.escape(f"{title}, {label}")}"></figure>'
        for label, values in shown.items()
    ]
    return SECTION.substitute(
        title=html.escape(title),
        size=size,
        left=_choices(shown, 0),
        right=_choices(shown, 1),
        width=width,
        height=height,
        figures="\n".join(drawn),
        table=_table(figures),
    )


def _choices(labels: Mapping[str, object], chosen: int) -> str:
    """Write the options of a choice among labels."""
    return "".join(
        f'<option value="{i}"{" selected" * (i == chosen)}>{html.escape(label)}</option>'
        for i, label in enumerate(labels)
    )


def _table(figures: Mapping[str, Mapping[str, float]]) -> str:
    """Write figures as a table, the best of each line in bold."""
    head = "".join(f'<th scope="col">{html.escape(label)}</th>' for label in figures)
    lines = []
    for name in next(iter(figures.values()), {}):
        values = [column[name] for column in figures.values()]
        best = min(values) if low_is_good(name) else max(values)
        cells = [_said(value) for value in values]
        several = len(cells) > 1
        marked = (
            f"<td><strong>{cell}</strong></td>"
            if several and cell == _said(best)
            else f"<td>{cell}</td>"
            for cell in cells
        )
        lines.append(f'<tr><th scope="row">{html.escape(name)}</th>{"".join(marked)}</tr>')
    body = "\n".join(lines)
    return f"<table>\n<thead><tr><td></td>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"


def page(title: str, sections: list[str]) -> str:
    """Write the page.

    Parameters
    ----------
    title : str
        What it is about.
    sections : list of str
        The parts, one for each picture, as `section` writes them.

    Returns
    -------
    str
        A file in HTML.

    Examples
    --------
    >>> import numpy as np
    >>> panels = {"original": np.zeros((2, 3, 3), np.uint8), "ours": np.ones((2, 3, 3), np.uint8)}
    >>> made = page("ours", [section("photo", panels, {"ours": {"SSIM": 1.0}})])
    >>> made.count("data:image/png"), "https:" in made
    (2, False)
    """
    return PAGE.substitute(
        title=html.escape(title), style=STYLE, script=SCRIPT, sections="\n".join(sections)
    )


def _said(value: float) -> str:
    """Write a figure with a few digits, and bytes without an exponent."""
    return f"{value:.{DIGITS}g}" if value < 10**DIGITS else f"{value:.0f}"
