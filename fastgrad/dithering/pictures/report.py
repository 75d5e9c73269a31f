"""Figures of how near a dithered picture is, each with the space in which it is measured."""

from __future__ import annotations

from collections.abc import Mapping

from fastgrad import _tables
from fastgrad._typing import ArrayLike
from fastgrad.dithering.metrics.psnr_and_ssim import cssim, ms_ssim, psnr, ssim
from fastgrad.dithering.metrics.s_cielab_and_flip import flip, s_cielab

__all__ = ["metrics", "table"]

BLUR = 1.5  # standard deviation in pixels of the blur under which errors are reported


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
    seen = f"at {ppd:g} pixels per degree, low is good"
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


def table(columns: Mapping[str, Mapping[str, float]]) -> str:
    """Format figures as text, with a row for each figure and a column for each picture.

    Parameters
    ----------
    columns : mapping of str to mapping of str to float
        The figures of each picture, by its label.

    Returns
    -------
    str
        The lines, without a newline at the end.

    Examples
    --------
    >>> print(table({"ours": {"seconds": 1.0}, "theirs": {"seconds": 0.25}}))
              ours  theirs
    seconds  1.000   0.250
    """
    rows = [("", *columns)]
    for name in next(iter(columns.values())):
        values = [figures[name] for figures in columns.values()]
        rows.append((name, *(f"{value:.{3 if abs(value) < 10 else 2}f}" for value in values)))
    return _tables.aligned(rows)
