"""Figures of how near a dithered picture is, each with the space in which it is measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NamedTuple

import numpy as np

from fastgrad import _tables
from fastgrad._typing import Array, ArrayLike, ByteArray
from fastgrad.dithering.metrics.psnr_and_ssim import Ssim, Structure, of_error, values
from fastgrad.dithering.metrics.s_cielab_and_flip import Flip, SCielab
from fastgrad.dithering.pictures import png
from fastgrad.dithering.pictures.animation import arranged
from fastgrad.dithering.pictures.other_tools import RIVALS
from fastgrad.threads import get_num_threads

__all__ = ["Figures", "against_others", "low_is_good", "metrics", "table"]

BLUR = 1.5  # standard deviation in pixels of the blur under which errors are reported
LOW = "low is good"  # part of a figure's name where it is so
SECONDS, BYTES = "seconds", "bytes of a PNG"
AFAR, NEAR, COST = "as seen from afar", "pixel by pixel", "cost"
MARK = "*"  # of the best in a line


class Figures(dict[str, dict[str, float]]):
    """The figures of several tools, by the tool's name; as text, a table."""

    def __str__(self) -> str:
        """Return the table."""
        return table(self)


def metrics(picture: ArrayLike, original: ArrayLike, *, ppd: float = 67) -> dict[str, float]:
    """Measure how near a picture is to its original.

    Parameters
    ----------
    picture, original : array_like, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    ppd : float, optional
        Pixels per degree of the visual field, for S-CIELAB and FLIP.

    Returns
    -------
    dict of str to float
        The figures by name. The name says the space, and it says so where low is good.
    """
    return _together(judge(original, ppd)(picture) for judge in JUDGES)


def _together(parts: Iterable[Mapping[str, float]]) -> dict[str, float]:
    """Return what all judges say of a picture."""
    return {name: figure for part in parts for name, figure in part.items()}


# A judge looks at an original once, and then gives figures of pictures, by their names.
Judge = Callable[[ArrayLike], dict[str, float]]


def _at(ppd: float) -> str:
    return f"at {ppd:g} pixels per degree, {LOW}"


def _by_s_cielab(original: ArrayLike, ppd: float) -> Judge:
    judge = SCielab(original, ppd=ppd)
    name = f"S-CIELAB, mean CIE 1976 difference {_at(ppd)}"
    return lambda picture: {name: judge.difference(picture)}


def _by_flip(original: ArrayLike, ppd: float) -> Judge:
    judge = Flip(original, ppd=ppd)
    name = f"FLIP, mean, of sRGB values {_at(ppd)}"
    return lambda picture: {name: judge.error(picture)}


def _by_errors(original: ArrayLike, ppd: float) -> Judge:
    light, plain = (values(original, linear=linear) for linear in (True, False))

    def judge(picture: ArrayLike) -> dict[str, float]:
        in_light = values(picture, linear=True) - light
        error = values(picture, linear=False) - plain
        return {
            f"PSNR in dB, linear light, blurred by {BLUR} pixels": of_error(in_light, BLUR),
            f"PSNR in dB, sRGB values, blurred by {BLUR} pixels": of_error(error, BLUR),
            "PSNR in dB, sRGB values": of_error(error),
        }

    return judge


def _by_similarity(original: ArrayLike, ppd: float) -> Judge:
    judge = Ssim(original)
    return lambda picture: {"SSIM, sRGB values": judge.similarity(picture)}


def _by_structure(original: ArrayLike, ppd: float) -> Judge:
    names = ("MS-SSIM, luma of sRGB values", "CSSIM, luma of sRGB values")
    judge = Structure(original)
    return lambda picture: dict(zip(names, judge.similarities(picture)))


JUDGES = (_by_s_cielab, _by_flip, _by_errors, _by_similarity, _by_structure)


class Compared(NamedTuple):
    """The figures of a picture and of what other tools make, and the pictures themselves.

    Attributes
    ----------
    figures : Figures
        The figures, by the tools' names.
    panels : dict of str to array
        The original, and the pictures by the same names.
    files : dict of str to bytes
        A PNG of each picture that has no more than 256 colours.
    """

    figures: Figures
    panels: dict[str, ByteArray]
    files: dict[str, bytes]


def against_others(
    shown: ByteArray,
    original: Array,
    *,
    colors: int,
    palette: ByteArray | None = None,
    ppd: float = 67,
    seconds: float = float("nan"),
    others: bool = True,
    packed: png.Packed | None = None,
) -> Compared:
    """Measure a picture beside those of other tools.

    Parameters
    ----------
    shown : array of uint8, shape (height, width, 3)
        The dithered picture in sRGB.
    original : array, shape (height, width, 3)
        sRGB values, uint8 or float in [0, 1].
    colors : int
        Number of colours that the others may use.
    palette : array of uint8, shape (K, 3), optional
        Palette that they must use.
    ppd : float, optional
        Pixels per degree of the visual field, for S-CIELAB and FLIP.
    seconds : float, optional
        How long the picture took.
    others : bool, optional
        Whether there are others; else the picture is alone.
    packed : png.Packed, optional
        What has been written, which need not be encoded again if it is the same.

    Returns
    -------
    Compared
        By name, "fastgrad" first: the figures, and the pictures, the original before all.
    """
    bytes_ = original
    if bytes_.dtype != np.uint8:
        bytes_ = np.rint(255 * bytes_).astype(np.uint8)
    panels = {"original": bytes_, "fastgrad": shown}
    taken = {"fastgrad": seconds}
    for name, rival in RIVALS.items() if others else ():
        began = time.perf_counter()
        picture = rival(bytes_, colors, palette)
        if picture is not None:
            panels[name], taken[name] = picture, time.perf_counter() - began

    with ThreadPoolExecutor(get_num_threads()) as pool:
        packing = pool.map(partial(encoded, packed=packed), [panels[name] for name in taken])
        judging = pool.map(
            partial(_judged, [panels[name] for name in taken], original, ppd), JUDGES
        )
        files = dict(zip(taken, packing))
        figures = Figures(zip(taken, map(_together, zip(*judging))))
    for name, file in files.items():
        figures[name] |= {BYTES: _size(file), SECONDS: taken[name]}
    return Compared(figures, panels, {name: file for name, file in files.items() if file})


def _judged(
    pictures: list[ByteArray], original: Array, ppd: float, judge: Callable[..., Judge]
) -> list[dict[str, float]]:
    """Return the figures that one judge gives of each picture."""
    return list(map(judge(original, ppd), pictures))


def encoded(picture: ByteArray, packed: png.Packed | None = None) -> bytes | None:
    """Encode an opaque picture as an indexed PNG; return None if it has more than 256 colours.

    What is at hand is not encoded again.
    """
    codes = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found, places = np.unique(codes, return_inverse=True)
    if found.size > 256:
        return None
    palette = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=-1).astype(np.uint8)
    (indices,), palette, _ = arranged([places.reshape(codes.shape).astype(np.uint8)], palette)
    if packed is not None and packed.holds(indices, palette):
        return packed.file
    return png.encode([indices], palette)


def size_of(picture: ByteArray) -> float:
    """Return the bytes that an opaque picture takes in a PNG of our writing.

    Parameters
    ----------
    picture : array of uint8, shape (height, width, 3)
        sRGB values.

    Returns
    -------
    float
        The bytes of an indexed PNG; NaN if there are more than 256 colours.

    Examples
    --------
    >>> size_of(np.zeros((8, 8, 3), np.uint8)) < 100
    True
    """
    return _size(encoded(picture))


def _size(file: bytes | None) -> float:
    return float("nan") if file is None else float(len(file))


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Format figures as text, with a row for each figure and a column for each picture.

    Parameters
    ----------
    columns : mapping of str to mapping of str to float
        The figures of each picture, by its label.

    Returns
    -------
    str
        The lines, without a newline at the end: in groups, of which each begins with a line of its
        own, and with a mark at the best figure of each line.

    Examples
    --------
    >>> print(table({"ours": {"seconds": 1.0}, "theirs": {"seconds": 0.25}}))
                 ours   theirs
    cost
      seconds  1.000   0.250 *
    * the best of its line
    """
    alone = len(columns) == 1
    rows = [("", *(f"{name}" + " " * 2 * (not alone) for name in columns))]
    group = None
    for name in next(iter(columns.values())):
        if group != (group := _group(name)):
            rows.append((group, *("" for _ in columns)))
        values = [figures[name] for figures in columns.values()]
        known = [value for value in values if value == value] or values
        best = min(known) if low_is_good(name) else max(known)
        cells = [_shown(name, value) for value in values]
        if not alone:
            marks = [f" {MARK}" if cell == _shown(name, best) else "  " for cell in cells]
            cells = [cell + mark for cell, mark in zip(cells, marks)]
        rows.append((f"  {name}", *cells))
    return _tables.aligned(rows) + ("" if alone else f"\n{MARK} the best of its line")


def _shown(name: str, value: float) -> str:
    """Return a figure as text."""
    digits = 0 if name == BYTES else 3 if abs(value) < 10 else 2
    return f"{value:.{digits}f}"


def low_is_good(name: str) -> bool:
    """Return whether a figure of that name is the better the lower it is."""
    return LOW in name or name in (SECONDS, BYTES)


def _group(name: str) -> str:
    """Return under which heading a figure stands."""
    if name in (SECONDS, BYTES):
        return COST
    return AFAR if LOW in name or "blurred" in name else NEAR
