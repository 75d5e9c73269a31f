"""Figures of how near a dithered picture is, each with the space in which it is measured."""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from fastgrad import _tables
from fastgrad._typing import Array, ArrayLike, ByteArray
from fastgrad.dithering.metrics.psnr_and_ssim import cssim, ms_ssim, psnr, ssim
from fastgrad.dithering.metrics.s_cielab_and_flip import flip, s_cielab
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
    seen = f"at {ppd:g} pixels per degree, {LOW}"
    return {
        f"S-CIELAB, mean CIE 1976 difference {seen}": s_cielab(picture, original, ppd=ppd),
        f"FLIP, mean, of sRGB values {seen}": flip(picture, original, ppd=ppd),
        f"PSNR in dB, linear light, blurred by {BLUR} pixels": psnr(picture, original, sigma=BLUR),
        f"PSNR in dB, sRGB values, blurred by {BLUR} pixels": psnr(
            picture, original, sigma=BLUR, linear=False
        ),
        "PSNR in dB, sRGB values": psnr(picture, original, linear=False),
        "SSIM, sRGB values": ssim(picture, original),
        "MS-SSIM, luma of sRGB values": ms_ssim(picture, original),
        "CSSIM, luma of sRGB values": cssim(picture, original),
    }


class Compared(NamedTuple):
    """The figures of a picture and of what other tools make, and the pictures themselves."""

    figures: Figures
    panels: dict[str, ByteArray]


def against_others(
    shown: ByteArray,
    original: Array,
    *,
    colors: int,
    palette: ByteArray | None = None,
    ppd: float = 67,
    seconds: float = float("nan"),
    others: bool = True,
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

    def measured(name: str) -> dict[str, float]:
        cost = {BYTES: size_of(panels[name]), SECONDS: taken[name]}
        return {**metrics(panels[name], original, ppd=ppd), **cost}

    with ThreadPoolExecutor(get_num_threads()) as pool:
        figures = Figures(zip(taken, pool.map(measured, taken)))
    return Compared(figures, panels)


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
    codes = picture.astype(np.int32) @ np.array([1 << 16, 1 << 8, 1], np.int32)
    found, places = np.unique(codes, return_inverse=True)
    if found.size > 256:
        return float("nan")
    palette = np.stack([found >> 16, found >> 8 & 255, found & 255], axis=-1).astype(np.uint8)
    indices = places.reshape(codes.shape).astype(np.uint8)
    return float(len(png.encode(*arranged([indices], palette)[:2])))


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
