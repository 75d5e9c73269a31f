"""Colours that are so dense that no grain is needed: each pixel takes one that is next to its own.

Such pixels are pinned, as those of flat fields are. Where colours are nearly as dense, a little
grain is enough.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.eye.colour import is_grey
from fastgrad.dithering.optimiser.counted_colours import clusters
from fastgrad.dithering.optimiser.drawn import CLOSE, LUMA, flat_of, shaded
from fastgrad.dithering.optimiser.field_colours import FEW
from fastgrad.dithering.optimiser.flat import COVERED, FREE, NEAR, Pins, codes_of, rgb_of
from fastgrad.dithering.optimiser.greys import best_greys, levels_of
from fastgrad.dithering.optimiser.palette import initial
from fastgrad.dithering.optimiser.selection import nearest
from fastgrad.dithering.optimiser.spare import refilled, spare

__all__ = ["Cover", "covering", "near_greys"]

BARELY, HARDLY = 1.25, 2  # what nobody sees: hardly more than a step of luma, two of a channel
STEP = 0.35  # of luma: more than a step of red or of blue makes, less than one of green
CRISP = 0.95  # share of a drawn picture that is close: of what is not, nearly all is at edges
SHADED, RARE = 0.97, 0.1  # shares of a shaded picture: what is close, and has no frequent colour
REACHED = 5  # levels of grey that are so near to an entry, at most
EVEN = 0.9  # of a smooth picture's pixels are so near to those beside them; of photographs .5 to .8
DENSE, MANY = 64, 8192  # colours of a smooth picture, at most: for each entry, and in all
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


class Cover(NamedTuple):
    """Whether the colours that clustering finds for a picture of few colours need grain.

    Attributes
    ----------
    pins : Pins or None
        The nearest of them for every pixel, if nobody sees that they are off: by 2/255 of luma, or
        3/255 of a channel, in no more than a hundredth of the pixels, and nowhere by 5/255. So it
        is where something is drawn crisply in more than 32 colours, if all but a twentieth are as
        near as if `close`, and those that are off are at edges: grain has no tones to make there,
        and what is drawn twice looks the same twice. Or, where something is drawn with shading,
        for pixels that are hardly off: if a quarter is flat, a tenth has other colours than the K
        most frequent ones, and nearly all are as near as if `close`. Each step of a ramp is flat,
        too: if it had an entry of its own, few would be left for what is between.
    close : bool
        Whether a little grain is enough, since they are off by less than 2.5/255 of luma in all
        but a hundredth, and there is no texture in which more of it would not be seen.
    palette : array of uint8, shape (K, 3), or None
        The colours, if there is such shading; or if they are as near as for the others, and there
        is texture. Then nothing is pinned: grain is hidden there, adds few bytes, and makes tones
        that are missing.
    """

    pins: Pins | None
    close: bool
    palette: ByteArray | None = None

    @property
    def unseen(self) -> bool:
        """Whether no grain is needed."""
        return self.pins is not None and self.pins.whole


def covering(
    image: ByteArray, seen: npt.NDArray[np.bool_] | None, colors: int, *, rng: int = 0
) -> Cover | None:
    """Find colours for a smooth picture, and whether they are so dense that no grain is needed.

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
    Cover or None
        None for pictures of more than 64 colours for each entry, or 8192: they are not smooth. Of
        greys with texture nothing is found: the best ones for it are known.

    Examples
    --------
    >>> ramp = np.repeat(np.arange(60, dtype=np.uint8).reshape(1, -1, 1), 3, axis=2)
    >>> cover = covering(np.repeat(ramp, 8, axis=0), None, 40)
    >>> int(abs(cover.pins.palette[cover.pins.labels].astype(int) - ramp).max()), cover.unseen
    (1, True)
    >>> cover = covering(np.repeat(ramp, 8, axis=0), None, 18)
    >>> cover.unseen, cover.close
    (False, True)
    """
    counted = image.reshape(-1, 3) if seen is None else image[seen]
    rgb, counts = _tally(counted, min(DENSE * colors, MANY))
    if not len(rgb):
        return None
    enough = COVERED * len(counted)
    even = _even(image)
    if is_grey(rgb) and not (even and _reached(rgb, counts, colors, REACHED) >= enough):
        return Cover(None, False)
    drawn = _drawn(image, seen)
    if drawn:
        palette, places = clusters(rgb, counts, colors, "screen")
    else:
        palette, places = _best(rgb, counts, _palettes(rgb, counts, colors, rng))
    off = palette[places].astype(int) - rgb
    luma, most = abs(off @ LUMA), abs(off).max(axis=1)
    unseen, close = (
        bool(counts[such].sum() >= enough)
        for such in ((luma < BARELY) & (most <= HARDLY), luma < CLOSE)
    )
    unseen = unseen and bool(most.max() <= 2 * HARDLY)
    if even and unseen:
        return Cover(Pins(palette, _labels(image, rgb, places), True), close)
    if drawn and (near := counts[luma < CLOSE].sum()) >= CRISP * len(counted):
        hardly = (luma <= STEP) & (most <= NEAR)
        labels = _labels(image, rgb, np.where(hardly, places, FREE))
        labels = labels if seen is None else np.where(seen, labels, np.int16(FREE))
        free = labels == FREE if seen is None else (labels == FREE) & seen
        if colors > FEW and len(shaded(image, free)) <= len(counted) - enough:
            return Cover(Pins(palette, _labels(image, rgb, places), True), close)
        rare = np.sort(counts)[:-colors].sum()
        if near >= SHADED * len(counted) and rare >= RARE * len(counted):
            return Cover(Pins(palette, labels), True, palette)
    if not even:
        return Cover(None, False, palette if unseen or close else None)
    return Cover(None, close)


def _best(rgb: ByteArray, counts: Array, palettes: ByteArray) -> tuple[ByteArray, Array]:
    """Return that of some palettes whose errors are least, and the nearest entries of colours."""
    best, least = None, np.inf
    for palette in palettes:
        places, _ = nearest(rgb, palette)
        uses = np.bincount(places, counts, minlength=len(palette))
        palette = refilled(palette, spare(palette, uses), rgb, counts)
        places, squares = nearest(rgb, palette)
        if (mean := float(counts @ squares)) < least:
            best, least = (palette, places), mean
    assert best is not None
    return best


def _drawn(image: ByteArray, seen: npt.NDArray[np.bool_] | None) -> bool:
    """Return whether a picture is one in colour with flat fields."""
    codes = codes_of(image)
    flat = flat_of(codes if seen is None else np.where(seen, codes, FREE))
    return flat is not None and not is_grey(image)


def _labels(image: ByteArray, rgb: ByteArray, places: Array) -> npt.NDArray[np.int16]:
    """Return the labels of pixels whose colours have these."""
    table = np.zeros(1 << 24, np.int16)
    table[codes_of(rgb)] = places
    return table[codes_of(image)]


def _tally(counted: ByteArray, most: int) -> tuple[ByteArray, Array]:
    """Return the colours of some pixels, and how many have each; none if they are too many."""
    none = counted[:0], np.empty(0, np.int64)
    if is_grey(counted):  # a count by level is sooner than a sort
        counts = np.bincount(counted[:, 0], minlength=256)
        found = np.flatnonzero(counts)
        rgb, counts = found.astype(np.uint8)[:, None].repeat(3, axis=1), counts[found]
    else:
        if np.unique(codes_of(counted[:: 1 + len(counted) // (4 * most)])).size > most:
            return none
        found, counts = np.unique(codes_of(counted), return_counts=True)
        rgb = rgb_of(found)
    return none if len(found) > most else (rgb, counts)


def _reached(greys: ByteArray, counts: Array, colors: int, reach: int) -> int:
    """Return how many pixels so many ranges of levels have at most, each as wide as that."""
    ends = np.zeros(256 + reach, np.int64)  # pixels below a level, counted from -reach on
    ends[greys[:, 0].astype(np.int64) + reach] = counts
    ends = ends.cumsum()
    within, most = ends[reach:] - ends[:-reach], np.zeros(256 + reach, np.int64)
    for _ in range(min(colors, -(-256 // reach))):
        most[reach:] = np.maximum.accumulate(most[:-reach] + within)
    return int(most[-1])


def _palettes(rgb: ByteArray, counts: Array, colors: int, rng: int) -> ByteArray:
    """Return palettes, (N, K, 3), for colours that are so often there: the best one of greys."""
    if is_grey(rgb):
        levels = levels_of(rgb[:, 0], counts)
        greys = np.rint(best_greys(levels, colors)).astype(np.uint8)
        return greys[None, :, None].repeat(3, axis=2)
    encoded = (rgb[None] / 255).astype(np.float32)
    palettes = initial(encoded, colors, rng=rng, trials=SEEDS, iterations=30, counts=counts)
    return np.rint(255 * palettes).astype(np.uint8)


def _even(image: ByteArray) -> bool:
    """Return whether nearly all pixels have hardly another luma than those beside them."""
    luma = image[..., 0].astype(np.int16) if is_grey(image) else image @ LUMA
    steps = np.concatenate([abs(np.diff(luma, axis=axis)).ravel() for axis in (0, 1)])
    return bool(np.count_nonzero(steps < CLOSE) >= EVEN * steps.size)
