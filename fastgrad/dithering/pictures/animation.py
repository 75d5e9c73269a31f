"""Animations: one palette for all frames, and each frame started from the one before."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, repeat
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastgrad import dithering
from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.eye.colour import LUMINANCE, to_linear
from fastgrad.dithering.optimiser.lzw import in_strings
from fastgrad.dithering.pictures import gif, png

__all__ = [
    "FORMATS",
    "Visible",
    "arranged",
    "contact_sheet",
    "counted",
    "dither_frames",
    "encode",
    "lifetimes",
]

FLICKER = 0.1  # reward for a still pixel's colour, an option of `fastgrad.dither`
FIRM = 100.0  # the same where strings are chosen, which would drag pixels along that stay
SHEET = 16  # greatest number of frames from which a palette is learned
SHEET_PIXELS = 1 << 21  # of all of them together
FORMATS = {".png": "PNG", ".gif": "GIF", ".webp": "WEBP"}
LONGEST = {".png": png.LONGEST, ".gif": gif.LONGEST, ".webp": (1 << 24) - 1}  # milliseconds
Visible: TypeAlias = tuple[Array, "npt.NDArray[np.bool_] | None"]  # a frame, and what is seen of it


def contact_sheet(frames: Iterable[Visible], count: int) -> tuple[Array, npt.NDArray[np.bool_]]:
    """Lay some frames side by side, so that one palette can be learned from them.

    Parameters
    ----------
    frames : iterable of (values, mask)
        All frames: arrays of shape (height, width, channels) and, of the pixels that are seen,
        boolean arrays of shape (height, width), or None if all are. There must be at least one.
    count : int
        Number of frames.

    Returns
    -------
    values : array, shape (rows * height, columns * width, channels)
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
    channels = first[0].shape[2]
    sheet, seen, done = np.zeros((*shape, channels), first[0].dtype), np.zeros(shape, bool), 0
    for i, (values, mask) in enumerate(chain([first], left)):
        if done < chosen and i >= done * count // chosen:
            row, column = divmod(done, columns)
            place = np.s_[row * height : (row + 1) * height, column * width : (column + 1) * width]
            sheet[place], seen[place] = values, True if mask is None else mask
            done += 1
    return sheet, seen


def lifetimes(frames: Iterable[Visible]) -> Iterator[npt.NDArray[np.uint16]]:
    """Count for how many frames each pixel stays as it is, for one frame after the other.

    Parameters
    ----------
    frames : iterable of (values, mask)
        All frames, as in `contact_sheet`.

    Yields
    ------
    array of uint16, shape (height, width)
        For each frame, the number of frames until a pixel changes, this one among them.

    Examples
    --------
    >>> import numpy as np
    >>> frames = [(np.full((1, 2, 3), [[[9], [i // 2]]]), None) for i in range(3)]
    >>> [life.tolist() for life in lifetimes(frames)]
    [[[3, 2]], [[2, 1]], [[1, 1]]]
    """
    shape, stays = (0, 0), []  # of each frame but the last, which pixels the next one repeats
    before = visible = None
    for values, mask in frames:
        if before is not None:
            stays.append(np.packbits(_still(values, before, visible)))
        shape, before, visible = values.shape[:2], values, mask
    for i in range(len(stays) + 1):
        life, going = np.ones(shape, np.uint16), np.ones(shape, bool)
        for packed in stays[i:]:
            going &= np.unpackbits(packed, count=going.size).reshape(shape).view(bool)
            if not going.any():
                break
            life += going
        yield life


def counted(life: Array) -> Array:
    """Return how much an error counts that so many frames show, while its bits are written once.

    It is the root of their number: else what moves would be ruined in the frames in which most is
    new.

    Examples
    --------
    >>> import numpy as np
    >>> counted(np.array([1, 4]))
    array([1., 2.])
    """
    return np.sqrt(life)


def dither_frames(
    frames: Iterable[Visible],
    *,
    palette: Any,
    lasting: Iterable[Array] | None = None,
    **options: Any,
) -> Iterator[dithering.Dithering | None]:
    """Dither frames with one palette, each started from the one before, so that still parts stay.

    A pixel is rewarded for keeping its colour where the frames are the same, and only there.

    Parameters
    ----------
    frames : iterable of (values, mask)
        The frames, as in `contact_sheet`.
    palette : array of uint8, shape (K, 3), or Swatches
        The colours in sRGB.
    lasting : iterable of array, shape (height, width), optional
        How often each pixel of each frame is shown, as `lifetimes` counts it: its errors count
        for more, see `counted`. By default once.
    **options
        Options of `fastgrad.dither`.

    Yields
    ------
    Dithering or None
        A dithered frame, or None if nothing of it is seen.
    """
    ending, nu, colors = (
        options.get("ending"),
        options.get("nu"),
        getattr(palette, "colors", palette),
    )
    firm = options.get("rate") and in_strings(ending, len(colors), nu)
    reward = options.pop("flicker", FIRM if firm else FLICKER)
    previous, before, visible = None, None, None
    for (values, mask), times in zip(frames, repeat(None) if lasting is None else lasting):
        if mask is not None and not mask.any():
            yield None
            continue
        own: dict[str, Any] = {} if mask is None else {"weights": mask}
        if times is not None and times.max() > 1:
            weights = np.sqrt(counted(times))  # of errors, which are squared
            own["weights"] = weights if mask is None else weights * mask
        if previous is not None and before is not None:
            still = _still(values, before, visible)
            own |= {"previous": previous, "flicker": reward * still}
        previous = dithering.dither(values, palette=palette, **own, **options)
        before, visible = values, mask
        yield previous


def _still(values: Array, before: Array, visible: Array | None) -> npt.NDArray[np.bool_]:
    """Return where a frame has the values of the one before, of which only some may be seen."""
    still = (values == before).all(axis=-1)
    return still if visible is None else still & visible


def encode(
    frames: Sequence[ByteArray],
    palette: ByteArray,
    opacity: ByteArray | None = None,
    *,
    ending: str = ".png",
    durations: Sequence[float] = (),
    plays: int = 1,
) -> bytes:
    """Encode indexed pictures as a PNG, a GIF or a WebP without loss, as small as they get.

    Parameters
    ----------
    frames : sequence of array of uint8, shape (height, width)
        Palette indices. Several frames make an animation; equal frames in a row are merged, and one
        that is shown for longer than the format can say is repeated.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque. In a GIF a colour is transparent below 128, and
        opaque from there on.
    ending : {".png", ".gif", ".webp"}, optional
        Ending of the file's name, which says the format. In a PNG or GIF each pixel has the index
        that is given; a WebP has colours only.
    durations : sequence of float, optional
        Time for which each frame is shown, in milliseconds.
    plays : int, optional
        Number of times that an animation is played; 0 for endless repetition.

    Returns
    -------
    bytes
        The contents of the file.
    """
    if len(frames) > 1:
        frames, durations = _merged(frames, durations, LONGEST[ending])
    if ending == ".png":
        return png.encode(frames, palette, opacity, durations=durations, plays=plays)
    if ending == ".gif":
        return gif.encode(frames, palette, opacity, durations=durations, plays=plays)
    return _webp(frames, palette, opacity, durations, plays)


def arranged(
    frames: Sequence[ByteArray], palette: ByteArray, opacity: ByteArray | None = None
) -> tuple[list[ByteArray], ByteArray, ByteArray | None]:
    """Sort a palette: the most transparent entries first, which keeps files short, then by light.

    Parameters
    ----------
    frames : sequence of array of uint8, shape (height, width)
        Palette indices.
    palette : array of uint8, shape (K, 3)
        The colours in sRGB.
    opacity : array of uint8, shape (K,), optional
        Opacity of each colour, 255 for opaque.

    Returns
    -------
    frames : list of array of uint8
        The same pictures in the new indices.
    palette, opacity : array of uint8
        The new palette, in which of two colours the one of less luminance stands first.

    Examples
    --------
    >>> import numpy as np
    >>> arranged([np.uint8([[0, 1]])], np.uint8([[0, 255, 0], [255, 0, 0]]))[0][0].tolist()
    [[1, 0]]
    """
    light = to_linear(palette) @ np.array(LUMINANCE)
    order = np.lexsort((light,) if opacity is None else (light, opacity))
    places = np.empty(len(palette), np.uint8)
    places[order] = np.arange(len(palette))
    kept = None if opacity is None else opacity[order]
    return [places[indices] for indices in frames], palette[order], kept


def _merged(
    frames: Sequence[ByteArray], durations: Sequence[float], longest: float
) -> tuple[list[ByteArray], list[float]]:
    """Merge equal frames in a row; repeat a frame that is shown for longer than a file can say."""
    whole: list[tuple[ByteArray, float]] = []
    for indices, duration in zip(frames, durations):
        if whole and np.array_equal(whole[-1][0], indices):
            whole[-1] = (indices, whole[-1][1] + duration)
        else:
            whole.append((indices, duration))
    parts: list[tuple[ByteArray, float]] = []
    for indices, duration in whole:
        while duration > longest:
            parts.append((indices, longest))
            duration -= longest
        parts.append((indices, duration))
    return [indices for indices, _ in parts], [duration for _, duration in parts]


def _webp(
    frames: Sequence[ByteArray],
    palette: ByteArray,
    opacity: ByteArray | None,
    durations: Sequence[float],
    plays: int,
) -> bytes:
    """Let Pillow write a WebP without loss."""
    from PIL import Image

    colours = palette if opacity is None else np.column_stack([palette, opacity])
    images = [Image.fromarray(colours[indices]) for indices in frames]
    options: dict[str, Any] = {"lossless": True, "quality": 100, "method": 6, "exact": True}
    if len(images) > 1:
        options |= {"save_all": True, "append_images": images[1:], "minimize_size": True}
        options |= {"duration": [round(duration) for duration in durations], "loop": plays}
    file = io.BytesIO()
    images[0].save(file, "WEBP", **options)
    return file.getvalue()
