"""Animations: one palette for all frames, and each frame started from the one before."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastgrad import dithering
from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.result import Dithering

__all__ = ["FORMATS", "Visible", "contact_sheet", "dither_frames", "encode"]

SHEET = 16  # greatest number of frames from which a palette is learned
SHEET_PIXELS = 1 << 21  # of all of them together
FORMATS = {".png": "PNG", ".gif": "GIF"}
Visible: TypeAlias = tuple[Array, "npt.NDArray[np.bool_] | None"]  # a frame, and what is seen of it


def contact_sheet(frames: Iterable[Visible], count: int) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Lay some frames side by side, so that one palette can be learned from them.

    Parameters
    ----------
    frames : iterable of (values, mask)
        All frames: arrays of shape (height, width, 3) and, of the pixels that are seen, boolean
        arrays of shape (height, width), or None if all are. There must be at least one frame.
    count : int
        Number of frames.

    Returns
    -------
    values : array, shape (rows * height, columns * width, 3)
        Up to 16 evenly chosen frames.
    mask : array of bool, shape (rows * height, columns * width)
        True where there is a pixel that is seen.
    """
    left = iter(frames)
    first = next(left)
    height, width = first[0].shape[:2]
    chosen = max(1, min(count, SHEET, SHEET_PIXELS // (height * width)))
    columns = int(np.ceil(np.sqrt(chosen)))
    shape = (-(-chosen // columns) * height, columns * width)
    sheet, seen, done = np.zeros((*shape, 3), first[0].dtype), np.zeros(shape, bool), 0
    for i, (values, mask) in enumerate(chain([first], left)):
        if done < chosen and i >= done * count // chosen:
            row, column = divmod(done, columns)
            place = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            sheet[place], seen[place] = values, True if mask is None else mask
            done += 1
    return sheet, seen


def dither_frames(
    frames: Iterable[Visible], *, palette: ByteArray, **options: Any
) -> Iterator[Dithering | None]:
    """Dither frames with one palette, each started from the one before, so that still parts stay.

    Parameters
    ----------
    frames : iterable of (values, mask)
        The frames, as in `contact_sheet`.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    **options
        Options of `fastgrad.dither`.

    Yields
    ------
    Dithering or None
        A dithered frame, or None if nothing of it is seen.
    """
    previous = None
    for values, mask in frames:
        if mask is not None and not mask.any():
            yield None
            continue
        own = {"weights": mask, "previous": previous}
        own = {name: value for name, value in own.items() if value is not None}
        previous = dithering.dither(values, palette=palette, **own, **options)
        yield previous


def encode(
    frames: Sequence[ByteArray],
    palette: ByteArray,
    opacity: ByteArray | None = None,
    *,
    ending: str = ".png",
    durations: Sequence[float] = (),
    plays: int = 1,
) -> bytes:
    """Encode indexed pictures as a PNG with as few bits as the palette needs, or as a GIF.

    Parameters
    ----------
    frames : sequence of array of uint8, shape (height, width)
        Palette indices. Several frames make an animation; equal frames in a row are merged.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque. In a GIF the least opaque colour is transparent and
        all others are opaque.
    ending : {".png", ".gif"}, optional
        Ending of the file's name, which says the format.
    durations : sequence of float, optional
        Time for which each frame is shown, in milliseconds.
    plays : int, optional
        Number of times that an animation is played; 0 for endless repetition.

    Returns
    -------
    bytes
        The contents of the file.
    """
    from PIL import Image

    options: dict[str, Any] = {}
    images = []
    if ending == ".png":
        options["bits"] = next(bits for bits in (1, 2, 4, 8) if len(palette) <= 1 << bits)
    if opacity is not None:
        key = int(np.argmin(opacity))
        options["transparency"] = key if ending == ".gif" else opacity.tobytes()
    for indices in frames:
        image = Image.frombytes("P", indices.shape[::-1], indices.tobytes())
        image.putpalette(palette.tobytes())
        image.info.update({k: v for k, v in options.items() if k == "transparency"})
        images.append(image)
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:], "duration": list(durations)}
        if ending == ".png":
            options["loop"] = plays
        else:  # a GIF says how often it is played again, or nothing
            options |= {} if plays == 1 else {"loop": plays and plays - 1}
            options["disposal"] = 1 if opacity is None else 2
    file = io.BytesIO()
    images[0].save(file, FORMATS[ending], **options)
    return file.getvalue()
