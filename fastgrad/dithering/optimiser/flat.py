"""Flat colour: what is drawn rather than photographed needs its own colours, and no grain.

Screens, text, line art and smooth ramps hold fields of one colour. There a palette's entry that is
the very colour is right, and an entry that is next to it is nearly as good: a mixture of others is
worse than both. Such pixels are pinned: they have their index before the search begins, take part
in no error and hand none on. A photograph has hardly any such fields, and nothing of it is pinned.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.optimiser.drawn import FREE, LUMA, codes_of, flat_of, rgb_of, shaded
from fastgrad.dithering.optimiser.field_colours import chosen_of

__all__ = [
    "FREE",
    "Pins",
    "codes_of",
    "fields",
    "joined",
    "near",
    "nearby",
    "page",
    "rgb_of",
]

ROUNDING = 1e-6  # of colours, at most
NEAR = 1  # in each channel: a difference of 1/255 that nobody sees
COVERED = 0.99  # share of the pixels, smooth or flat, that must be near their entries
MIXED = 0.25  # colours for a pixel that is not flat: edges have fewer, and photographs more
CONTRAST, SPREAD = 144, 24  # in lightness: least between paper and ink, most of either
PAPER, INK, BOTH = 0.5, 0.005, 0.85  # shares of the pixels of a page
TENT = (1, 2, 3, 4, 3, 2, 1)  # by which the counts of lightness are smoothed
SEEN, LIKELY = 1 << 14, 0.9  # pixels that are looked at first, and of these shares, what will do
EDGES = 0.75  # of its pixels that are neither, the share which lies at edges


class Pins(NamedTuple):
    """Pixels whose index is settled beforehand.

    Attributes
    ----------
    palette : array of uint8, shape (P, 3)
        The colours with which the palette begins.
    labels : array of int16, shape (height, width)
        The index of each pinned pixel, `FREE` elsewhere.
    whole : bool
        Whether these are all colours of the palette.
    covering : bool
        Whether nearly all that is flat is pinned, so that grain has no tones to make there, and
        the rest is edges: no photograph on a page, and no ramp.
    """

    palette: ByteArray
    labels: npt.NDArray[np.int16]
    whole: bool = False
    covering: bool = False

    @property
    def free(self) -> npt.NDArray[np.bool_]:
        """True where a pixel is not pinned, shape (height, width)."""
        return self.labels == FREE

    def over(self, indices: ByteArray) -> ByteArray:
        """Return a picture's indices with those of the pinned pixels laid over."""
        return np.where(self.free, indices, self.labels).astype(np.uint8)

    def exact(self, planes: FloatArray, colors: FloatArray) -> bool:
        """Return whether pinned pixels have their entries' very colours, but for rounding.

        Parameters
        ----------
        planes : array, shape (channels, height, width)
            The picture.
        colors : array, shape (K, channels)
            The palette in the same space.
        """
        places = np.flatnonzero(~self.free)
        chosen = colors[self.labels.reshape(-1)[places]]
        return all(
            np.abs(plane.reshape(-1)[places] - x).max(initial=0) <= ROUNDING
            for plane, x in zip(planes, chosen.T)
        )


def fields(
    image: ByteArray,
    seen: npt.NDArray[np.bool_] | None,
    colors: int,
    *,
    kept: ByteArray,
    fixed: bool = False,
) -> Pins | None:
    """Pin the colours of flat fields.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    seen : array of bool, shape (height, width), or None
        The pixels that count; None if all do.
    colors : int
        Number of colours K of the palette.
    kept : array of uint8, shape (L, 3)
        The colours with which the palette begins.
    fixed : bool, optional
        Whether these are all there are: then no others are pinned.

    Returns
    -------
    Pins or None
        None for a photograph: where fewer than a quarter of the pixels have eight neighbours of
        the same colour. Long lines of one colour are flat too where there is room, and three
        quarters of what is left are for inks of text on flat ground. Inks, and all of these if
        entries are few, have one only where the rest does not need it more. The steps of ramps are
        pinned if there is room for all of them, else none. Of more flat colours than room, those
        are taken that cover much, and cannot be mixed of the others.

    Examples
    --------
    >>> image = np.zeros((20, 20, 3), np.uint8)
    >>> image[:, 10:] = 200
    >>> image[:5, :2, 0] = [[30, 60], [60, 30], [30, 60], [60, 30], [30, 60]]
    >>> pins = fields(image, None, 4, kept=np.empty((0, 3), np.uint8))
    >>> pins.palette.tolist()
    [[200, 200, 200], [0, 0, 0]]
    >>> pins.labels[0, 10:13].tolist(), pins.covering
    ([0, 0, 0], True)
    """
    codes = codes_of(image)
    if seen is not None:
        codes = np.where(seen, codes, FREE)
    flat = flat_of(codes)
    if flat is None:
        return None
    there = codes != FREE
    amid, ramps = codes[flat], shaded(image, ~flat & there)
    chosen, left_out = kept, amid[:0]
    if not fixed and colors - len(kept) > 1:
        chosen, left_out = chosen_of(codes, amid, codes.ravel()[ramps], kept, colors)
        chosen = np.concatenate([kept, chosen])
    if not len(chosen):
        return None
    labels = near(image, chosen, 0 if fixed else NEAR)
    if seen is not None:
        labels[~seen] = FREE
    served = (labels[flat] != FREE) | np.isin(amid, left_out)  # which learned entries will serve
    rest = codes[(labels == FREE) & there]
    edges = np.unique(rest).size <= MIXED * rest.size
    left = np.count_nonzero(labels.ravel()[ramps] == FREE)
    crisp = left <= (1 - COVERED) * np.count_nonzero(there)
    return Pins(chosen, labels, fixed, bool(edges and crisp and served.mean() >= COVERED))


def near(image: ByteArray, palette: ByteArray, most: int = NEAR) -> npt.NDArray[np.int16]:
    """Label the pixels that have an entry of a palette next to them.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    palette : array of uint8, shape (K, 3)
        The colours.
    most : int, optional
        The greatest difference in each channel.

    Returns
    -------
    array of int16, shape (height, width)
        The index of the nearest such entry, `FREE` where there is none.

    Examples
    --------
    >>> near(np.uint8([[[9, 9, 9], [10, 9, 8], [11, 9, 9]]]), np.uint8([[9, 9, 9]])).tolist()
    [[0, 0, -1]]
    """
    return _places(palette, most)[codes_of(image)] + np.int16(FREE)


def nearby(palette: ByteArray, most: int = NEAR) -> npt.NDArray[np.int16]:
    """Return what `near` says of each colour, shape (2^24,), in the order of `codes_of`.

    Examples
    --------
    >>> nearby(np.uint8([[0, 0, 9], [0, 0, 0]]))[:11].tolist()
    [1, 1, -1, -1, -1, -1, -1, -1, 0, 0, 0]
    """
    return _places(palette, most) + np.int16(FREE)


def _places(palette: ByteArray, most: int) -> npt.NDArray[np.int16]:
    """Return by how much each number of `nearby` is above `FREE`.

    Nearly all are 0, of which a picture sees few: memory is taken for these alone.
    """
    first = np.zeros(1 << 24, np.int16)
    steps = np.arange(-most, most + 1)
    around = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3)
    around = around[np.argsort(np.square(around).sum(axis=1), kind="stable")]
    for step in around[::-1]:  # the nearest last: it stays
        colours = palette.astype(np.int32) + step
        inside = ((colours >= 0) & (colours <= 255)).all(axis=1)
        places = np.flatnonzero(inside)[::-1]  # of entries alike, the first
        first[codes_of(colours[places])] = places - FREE
    return first


def page(image: ByteArray) -> Pins | None:
    """Pin a page of text or line art in two colours, its paper and its ink.

    Parameters
    ----------
    image : array of uint8, shape (height, width, 3)
        The picture in sRGB.

    Returns
    -------
    Pins or None
        Each pixel has the colour that is nearer in lightness. None where not nearly all pixels are
        as light as paper or as ink, where these hardly differ, and where what is in between is not
        at edges: that is shading.

    Examples
    --------
    >>> image = np.full((20, 20, 3), 250, np.uint8)
    >>> image[4:16, 9:11] = 20
    >>> page(image).palette.tolist()
    [[20, 20, 20], [250, 250, 250]]
    """
    from scipy import ndimage

    if not _may_be_a_page(image):
        return None
    lightness = _lightness(image)
    counts = np.bincount(lightness.ravel(), minlength=256)
    smooth = np.convolve(counts, TENT, mode="same")
    paper = int(smooth.argmax())
    ink = int(np.where(abs(np.arange(256) - paper) >= CONTRAST, smooth, -1).argmax())
    shares = [counts[max(v - SPREAD, 0) : v + SPREAD + 1].sum() for v in (paper, ink)]
    ends = sorted((ink, paper))
    shares = np.array([*shares, sum(shares)]) / lightness.size
    enough = shares >= (PAPER, INK, BOTH)
    if ends[1] - ends[0] < CONTRAST or not enough.all():
        return None
    between = (lightness > ends[0] + SPREAD) & (lightness < ends[1] - SPREAD)
    steep = ndimage.maximum_filter(lightness, 3) - ndimage.minimum_filter(lightness, 3)
    if np.count_nonzero(steep[between] >= CONTRAST // 2) < EDGES * np.count_nonzero(between):
        return None
    spread = [np.median(image[abs(lightness - end) <= SPREAD // 4], axis=0) for end in ends]
    light = (2 * lightness > sum(ends)).astype(np.int16)
    return Pins(np.rint(spread).astype(np.uint8), light, True)


def _lightness(rgb: ByteArray) -> npt.NDArray[np.int64]:
    """Return sRGB values as greys from 0 to 255."""
    return np.rint(rgb @ LUMA).astype(np.int64)


def _may_be_a_page(image: ByteArray) -> bool:
    """Return whether some pixels, of all rows and columns, have the tones of a page, or nearly."""
    step = 1 + image.size // (3 * SEEN)
    while math.gcd(step, image.shape[1]) > 1:  # else some columns would never be seen
        step += 1
    lightness = _lightness(image.reshape(-1, 3)[::step])
    smooth = np.convolve(np.bincount(lightness, minlength=256), TENT, mode="same")
    apart = abs(lightness - smooth.argmax())
    paper, far = np.mean(apart <= SPREAD), np.mean(apart >= CONTRAST - SPREAD)
    return bool(paper >= LIKELY * PAPER and paper + far >= LIKELY * BOTH)


def joined(pins: Pins | None, labels: npt.NDArray[np.int16], palette: ByteArray) -> Pins:
    """Return the pins of a fixed palette together with others, which count more.

    Parameters
    ----------
    pins : Pins or None
        Those that there are.
    labels : array of int16, shape (height, width)
        The index of each pixel that is to be pinned, `FREE` elsewhere.
    palette : array of uint8, shape (K, 3)
        The colours.

    Returns
    -------
    Pins
        Both.

    Examples
    --------
    >>> palette = np.uint8([[0, 0, 0], [9, 9, 9]])
    >>> joined(None, np.int16([[1, FREE]]), palette).free.tolist()
    [[False, True]]
    """
    rest = np.int16(FREE) if pins is None else pins.labels
    return Pins(palette, np.where(labels == FREE, rest, labels).astype(np.int16), True)
