"""Pictures of pictures: a comparison of several, and a preview for the terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from fastgrad._typing import ByteArray
from fastgrad.dithering.eye.colour import to_linear, to_srgb

__all__ = ["comparison", "half_blocks", "shrink"]

GAP = 8  # pixels between pictures
LARGEST = 512  # pixels of a side up to which a picture is shown whole, pixel for pixel
CROP, ZOOM = 128, 4  # sides of the crops, and of each of their pixels


def comparison(panels: Mapping[str, ByteArray]) -> Any:
    """Set pictures side by side, and below each of them two magnified crops.

    Parameters
    ----------
    panels : mapping of str to array of uint8, shape (height, width, 3)
        Labels and pictures in sRGB, all of one size. The crops are where the first picture has most
        detail, and where it is smooth but not quite flat.

    Returns
    -------
    PIL.Image.Image
        The sheet, in RGB. Pictures with a side of more than 512 pixels are shrunk, in linear light.
    """
    from PIL import Image, ImageDraw

    corners = _crops(next(iter(panels.values())))
    rows = [[_fit(values) for values in panels.values()]]
    for y, x in corners:
        crops = (values[y : y + CROP, x : x + CROP] for values in panels.values())
        rows.append([crop.repeat(ZOOM, axis=0).repeat(ZOOM, axis=1) for crop in crops])
    draw = ImageDraw.Draw(Image.new("RGB", (1, 1)))
    text = [draw.textbbox((0, 0), label) for label in panels]
    width = int(max([box[2] for box in text] + [row[0].shape[1] for row in rows]))
    top = int(max(box[3] for box in text)) + 2 * GAP
    height = top + sum(row[0].shape[0] + GAP for row in rows)
    sheet = Image.new("RGB", (len(panels) * (width + GAP) + GAP, height), "white")
    draw = ImageDraw.Draw(sheet)
    for column, label in enumerate(panels):
        left, y = GAP + column * (width + GAP), top
        draw.text((left, GAP), label, fill="black")
        for row in rows:
            sheet.paste(Image.fromarray(row[column]), (left, y))
            y += row[column].shape[0] + GAP
    return sheet


def _fit(values):
    """Shrink a picture until it is small enough."""
    factor = LARGEST / max(values.shape[:2])
    if factor >= 1:
        return values
    height, width = (max(1, round(n * factor)) for n in values.shape[:2])
    return shrink(values, width, height)


def _crops(values):
    """Choose corners (y, x) of crops: the most detailed and the smoothest; none if too small."""
    if min(values.shape[:2]) < 2 * CROP:
        return []
    grey = values.mean(axis=2) / 255
    height, width = (n // CROP for n in grey.shape)
    offsets = [(n - m * CROP) // 2 for n, m in zip(grey.shape, (height, width))]
    boxes = grey[offsets[0] :, offsets[1] :][: height * CROP, : width * CROP]
    boxes = boxes.reshape(height, CROP, width, CROP).swapaxes(1, 2)
    detail = np.abs(np.diff(boxes, axis=-1)).mean(axis=(2, 3))
    contrast = boxes.max(axis=(2, 3)) - boxes.min(axis=(2, 3))
    smooth = np.where(contrast > 0.1, detail, np.inf)  # not one flat colour
    found = []
    for place in (detail.argmax(), smooth.argmin()):
        y, x = np.unravel_index(place, detail.shape)
        found.append((offsets[0] + int(y) * CROP, offsets[1] + int(x) * CROP))
    return list(dict.fromkeys(found))


def shrink(values: ByteArray, width: int, height: int) -> ByteArray:
    """Shrink a picture by averages in linear light.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        sRGB values.
    width, height : int
        The new size.

    Returns
    -------
    array of uint8, shape (new height, new width, 3)
        sRGB values.
    """
    from PIL import Image

    planes = [Image.fromarray(plane) for plane in np.moveaxis(to_linear(values), -1, 0).copy()]
    small = [plane.resize((width, height), Image.Resampling.BOX) for plane in planes]
    return to_srgb(np.stack([np.asarray(plane) for plane in small], axis=-1))


def half_blocks(values: ByteArray, columns: int, rows: int) -> str:
    """Draw a picture for a terminal with 24-bit colours, two pixels to a character.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        sRGB values.
    columns, rows : int
        The size of the terminal in characters.

    Returns
    -------
    str
        The lines, each of which resets the colours at its end.
    """
    height, width = values.shape[:2]
    factor = min(1, columns / width, 2 * rows / height)
    width, height = max(1, round(width * factor)), max(1, round(height * factor))
    if factor < 1:
        values = shrink(values, width, height)
    lines = []
    for y in range(0, height, 2):
        line = []
        for x in range(width):
            upper = "38;2;{};{};{}".format(*values[y, x])
            lower = ";48;2;{};{};{}".format(*values[y + 1, x]) if y + 1 < height else ""
            line.append(f"\x1b[{upper}{lower}m▀")
        lines.append("".join(line) + "\x1b[0m\n")
    return "".join(lines)
