"""Colours that are so dense that no grain is needed: each pixel takes one that is next to its own.

Such pixels are pinned, as those of flat fields are.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fastgrad._typing import ByteArray
from fastgrad.dithering.eye.colour import is_grey
from fastgrad.dithering.optimiser.flat import COVERED, NEAR, Pins, codes_of, rgb_of
from fastgrad.dithering.optimiser.palette import initial
from fastgrad.dithering.optimiser.selection import nearest
from fastgrad.dithering.optimiser.spare import refilled, spare

__all__ = ["covering", "near_greys"]

LUMA = np.array([0.299, 0.587, 0.114])  # of the channels: the eye sees steps of that sooner
BARELY, HARDLY = 1.25, 2  # what nobody sees: hardly more than a step of luma, two of a channel
SEEDS = 3  # of the clusterings for a smooth picture


def near_greys(image: ByteArray, palette: ByteArray) -> Pins | None:
    """Pin a grey picture to greys that are so dense that no grain is needed.

    Values in the middle of two greys all take the darker one: grain would cost bytes, and be seen
    no less than a difference of 1/255.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    palette : array of uint8, shape (K, 3)
        The colours, which are given.

    Returns
    -------
    Pins or None
        None where something is not grey, or some values are further than 1/255 from all greys.

    Examples
    --------
    >>> ramp = np.repeat(np.arange(6, dtype=np.uint8)[None, :, None], 3, axis=2)
    >>> near_greys(ramp, ramp[0, ::2]).labels.tolist(), near_greys(ramp, ramp[0, ::4])
    ([[0, 0, 1, 1, 2, 2]], None)
    """
    if not (is_grey(palette) and is_grey(image)):
        return None
    order = np.argsort(palette[:, 0], kind="stable")
    off = abs(np.arange(256)[:, None] - palette[order, 0].astype(np.int16))
    values = image[..., 0]
    if off.min(axis=1)[values].max() > NEAR:
        return None
    return Pins(palette, order[off.argmin(axis=1)].astype(np.int16)[values], True)


def covering(
    image: ByteArray, seen: npt.NDArray[np.bool_] | None, colors: int, *, rng: int = 0
) -> Pins | None:
    """Pin a smooth picture in colours that are so dense that no grain is needed.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    seen : array of bool, shape (height, width), or None
        The pixels that count; None if all do.
    colors : int
        Number of colours K of the palette.
    rng : int, optional
        Source of randomness of the clustering.

    Returns
    -------
    Pins or None
        None where more than a hundredth of the pixels are seen to be off in the colours that
        clustering finds: by 2/255 of luma, or 3/255 of a channel; or one is by 5/255.

    Examples
    --------
    >>> ramp = np.repeat(np.arange(60, dtype=np.uint8).reshape(1, -1, 1), 3, axis=2)
    >>> pins = covering(np.repeat(ramp, 8, axis=0), None, 40)
    >>> int(abs(pins.palette[pins.labels].astype(int) - ramp).max())
    1
    >>> covering(np.repeat(ramp, 8, axis=0), None, 15) is None
    True
    """
    counted = image.reshape(-1, 3) if seen is None else image[seen]
    most = (2 * NEAR + 1) ** 3 * colors
    few = codes_of(counted[:: 1 + len(counted) // (4 * most)])
    if not len(counted) or np.unique(few).size > most:
        return None
    codes = codes_of(counted)
    found, counts = np.unique(codes, return_counts=True)
    if found.size > most:
        return None
    rgb = rgb_of(found)
    pixels = np.repeat(rgb, np.minimum(counts, 1 + counts * 65536 // codes.size), axis=0)
    encoded = (pixels[None] / 255).astype(np.float32)
    palettes = initial(encoded, colors, rng=rng, trials=SEEDS, iterations=30)
    best, least = None, np.inf
    for palette in np.rint(255 * palettes).astype(np.uint8):
        places, _ = nearest(rgb, palette)
        uses = np.bincount(places, counts, minlength=colors)
        palette = refilled(palette, spare(palette, uses), rgb, counts)
        places, squares = nearest(rgb, palette)
        if (mean := float(counts @ squares)) < least:
            best, least = (palette, places), mean
    assert best is not None
    palette, places = best
    off = palette[places].astype(int) - rgb
    most = abs(off).max(axis=1)
    unseen = (abs(off @ LUMA) < BARELY) & (most <= HARDLY)
    if counts[unseen].sum() < COVERED * codes.size or most.max() > 2 * HARDLY:
        return None
    table = np.zeros(1 << 24, np.int16)
    table[found] = places
    return Pins(palette, table[codes_of(image)], True)
