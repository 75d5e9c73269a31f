"""Tone and gamut: the map from a picture's colours to those that a palette can show.

Inks are duller than a screen: their black is a grey, and most of their colours are pale. A picture
that is given to the search as it is loses whatever is beyond them: shadows turn into one black,
and errors that nothing can make up for turn into casts of other colours. The map has few numbers, a
curve of lightness and a scale of chroma for each of six hues, and they are chosen for the picture
at hand: so that what the palette shows at best differs least from the picture, in its contrasts
first and in its colours second. Whatever is still beyond the palette's reach goes to the colour
there that looks most like it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.dithering.eye.colour import SPACES, decode, encode, unit_srgb
from fastgrad.dithering.eye.gamut import BEYOND, Gamut, paler
from fastgrad.dithering.eye.grain import grain
from fastgrad.dithering.optimiser.tone_curve import FAINT, KNOTS, TRUE, fit_curve
from fastgrad.kernels.dithering.optimiser import tones as kernels

__all__ = ["APART", "FITS", "Fit", "ToneMap", "fit_pairs", "fit_tones", "places_of_pairs"]

Fit: TypeAlias = Literal["all", "tone", "gamut", "clip", "none"]
FITS: tuple[Fit, ...] = ("all", "tone", "gamut", "clip", "none")

NODES = 17  # of a table, along each channel
HUES = 6  # around the circle
SCALES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)  # of chroma, that are tried
PAIRS = 3000  # of pixels, whose contrasts are compared
APART = (1, 2, 4, 8, 16, 32)  # pixels between the two
LEVELS = 33  # of lightness, at which grain is known
ROWS = 1 << 16  # pixels that are mapped at once


@dataclass(frozen=True)
class ToneMap:
    """A map of colours that brings a picture into the reach of a palette.

    Calling it maps a picture.

    Attributes
    ----------
    curve : array, shape (13,)
        The lightness, in Oklab, that lightness 0, 1/12, ..., 1 becomes.
    chroma : array, shape (6,)
        The factor of chroma at the hues 0, 60, ..., 300 degrees in Oklab.
    table : array of float32, shape (17, 17, 17, 3)
        The sRGB values in [0, 1] that sRGB values at 0, 1/16, ..., 1 become.
    grey : bool
        Whether the palette has greys only.

    Examples
    --------
    >>> import numpy as np
    >>> picture = np.linspace(0, 255, 64).astype(np.uint8).reshape(8, 8)
    >>> panel = np.uint8([[60, 60, 60], [200, 200, 200]])
    >>> mapped = fit_tones(picture, panel)(picture)
    >>> bool(mapped.min() >= 60), bool(mapped.max() <= 200)
    (True, True)
    """

    curve: FloatArray
    chroma: FloatArray
    table: FloatArray = field(repr=False)
    grey: bool = False

    def __call__(self, image: ArrayLike) -> Array:
        """Map a picture.

        Parameters
        ----------
        image : array_like, shape (height, width, 3) or (height, width)
            sRGB or grey values, uint8 or float in [0, 1].

        Returns
        -------
        array of uint8 or float32, shape (height, width, 3)
            The mapped picture; (height, width) if it and the palette are grey.
        """
        image = _validate.array(image, "image")
        whole = image.dtype == np.uint8
        layers = image if image.ndim == 3 else image[..., None]
        out = np.empty((*image.shape[:2], 3), np.uint8 if whole else np.float32)
        height = max(1, ROWS // max(1, image.shape[1]))
        for top in range(0, len(out), height):
            rows = layers[top : top + height]
            made = _looked_up(self.table, unit_srgb(rows).astype(np.float32))
            out[top : top + height] = np.rint(255 * made) if whole else made
        return out[..., 0] if image.ndim == 2 and self.grey else out


def fit_tones(
    image: ArrayLike,
    palette: ArrayLike,
    fit: Fit = "all",
    *,
    seen: ArrayLike | None = None,
) -> ToneMap:
    """Fit the map of tones and colours to a picture and a palette.

    Parameters
    ----------
    image : array_like, shape (height, width, 3) or (height, width)
        sRGB or grey values, uint8 or float in [0, 1].
    palette : array_like of uint8, shape (K, 3)
        The colours in sRGB.
    fit : {"all", "tone", "gamut", "clip"}, optional
        What is fitted: the curve of lightness, the scales of chroma, or both; with "clip" neither.
        Colours that are still beyond the palette's reach go to the nearest ones there.
    seen : array_like of bool, shape (height, width), optional
        The pixels that count.

    Returns
    -------
    ToneMap
        The map.

    Notes
    -----
    The curve is piecewise linear and rises from the lightness of the palette's black to that of its
    white, or to less. It minimises the sum over pairs of pixels, at distances from 1 to 32 pixels,
    of the squared difference between their contrast after and before, divided by the contrast; and
    with less weight the squared difference of lightness itself. That is a least-squares problem
    with bounds: the slope is no less than a quarter of an even one, unless dots that stand apart
    would hide what contrast that keeps, see `fastgrad.dithering.eye.grain.grain`. Of a picture that
    is nearly black, such a curve may make a field of dots: where these weigh clearly more than the
    contrasts, tones stay as they are. The scale of each hue minimises the same of colours, after
    what is beyond the palette's reach has gone to the nearest colour there.

    References
    ----------
    Z. Mai, H. Mansour, R. Mantiuk, P. Nasiopoulos, R. Ward and W. Heidrich, "Optimizing a tone
    curve for backward-compatible high dynamic range image and video compression", IEEE
    Transactions on Image Processing 20(6), 2011: a curve by least squares from a histogram.
    """
    image = _validate.array(image, "image")
    places = places_of_pairs((image.shape[0], image.shape[1]))
    pairs = image[places[..., 0], places[..., 1]]
    if seen is not None:
        visible = np.asarray(seen)[places[..., 0], places[..., 1]] > 0
        pairs = pairs[visible.all(axis=1)]
    return fit_pairs(pairs, palette, fit)


def fit_pairs(pixels: Array, palette: ArrayLike, fit: Fit = "all") -> ToneMap:
    """Fit the map of tones and colours to pairs of pixels of a picture: see `fit_tones`.

    Parameters
    ----------
    pixels : array, shape (N, 2, 3) or (N, 2)
        sRGB or grey values, uint8 or float in [0, 1], at `places_of_pairs`, without those of which
        one does not count.
    palette, fit
        As in `fit_tones`.

    Returns
    -------
    ToneMap
        The map.
    """
    fit = _validate.named(fit, "fit", FITS[:-1])
    colors = np.ascontiguousarray(palette, np.uint8)
    reach, pairs = _reach(colors.tobytes()), _in_oklab(pixels)
    curve, chroma = np.linspace(0, 1, KNOTS + 1), np.ones(HUES)
    if fit in ("all", "tone") and len(pairs):
        curve = fit_curve(pairs[..., 0], *_grain(colors.tobytes()))
    if fit in ("all", "gamut") and len(pairs):
        chroma = _chroma(pairs, curve, reach)
    axis = decode(np.linspace(0, 1, NODES))
    nodes = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    mapped = _mapped(SPACES["oklab"].into(nodes), curve, chroma)
    grey = bool((colors == colors[:, :1]).all())
    return ToneMap(curve, chroma, _looked_up(reach, mapped), grey)


@lru_cache(maxsize=16)
def _reach(palette: bytes) -> FloatArray:
    """Return the table of the colours, in sRGB, nearest to each one that a palette reaches."""
    gamut = Gamut(np.frombuffer(palette, np.uint8).reshape(-1, 3))
    axis = decode(np.linspace(0, 1, NODES))
    nodes = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), axis=-1)
    table = encode(gamut.nearest(nodes.reshape(-1, 3)))
    return table.reshape(nodes.shape).astype(np.float32)


@lru_cache(maxsize=16)
def _grain(palette: bytes) -> tuple[FloatArray, FloatArray]:
    """Return the lightness of greys from black to white, and the grain that each has."""
    inks = np.frombuffer(palette, np.uint8).reshape(-1, 3)
    ends = decode(_reach(palette)[[0, -1], [0, -1], [0, -1]].astype(np.float64))
    black, white = SPACES["oklab"].into(ends)[:, 0]
    light = np.linspace(black, white, LEVELS)
    greys = Gamut(inks).nearest(np.repeat(light[:, None] ** 3, 3, axis=1))
    return light, grain(greys, inks)


def _looked_up(table: FloatArray, values: FloatArray) -> FloatArray:
    """Interpolate a table at sRGB values, (..., 3) or (..., 1), linearly in each channel."""
    values = np.ascontiguousarray(np.broadcast_to(values, (*values.shape[:-1], 3)))
    out = np.empty(values.shape, np.float32)
    table = _validate.frozen(np.ascontiguousarray(table))
    kernels.look_up(out.reshape(-1, 3), values.reshape(-1, 3), table)
    return out


def places_of_pairs(shape: tuple[int, int]) -> npt.NDArray[np.int64]:
    """Return where pairs of pixels stand, spread evenly over a picture of this height and width.

    Returns
    -------
    array of int64, shape (N, 2, 2)
        Row and column of both; the second is up to 32 pixels further down, or to the right.

    Examples
    --------
    >>> places_of_pairs((1000, 1000))[1].tolist()
    [[754, 569], [754, 571]]
    """
    height, width = shape
    turn = np.arange(PAIRS)
    rows = (turn * 0.7548776662466927 % 1 * height).astype(np.int64)
    columns = (turn * 0.5698402909980532 % 1 * width).astype(np.int64)
    step = np.array(APART)[turn % len(APART)]
    down = (turn // len(APART)) % 2 == 1
    below, beside = rows + step * down, columns + step * ~down
    others = np.minimum(below, height - 1), np.minimum(beside, width - 1)
    return np.stack([np.stack([rows, columns], axis=1), np.stack(others, axis=1)], axis=1)


def _in_oklab(pairs: Array) -> FloatArray:
    """Return pairs of pixels in Oklab, (N, 2, 3)."""
    both = unit_srgb(pairs if pairs.ndim == 3 else pairs[..., None])
    linear = np.broadcast_to(decode(both.astype(np.float64)), (*both.shape[:2], 3))
    return SPACES["oklab"].into(linear)


def _mapped(lab: FloatArray, curve: FloatArray, chroma: FloatArray) -> FloatArray:
    """Return colours in Oklab, (..., 3), after the map, as sRGB values in [0, 1]."""
    shape, lab = lab.shape, lab.reshape(-1, 3)  # one product of matrices, not one for each row
    made = np.empty_like(lab)
    made[..., 0] = np.interp(lab[..., 0], np.linspace(0, 1, KNOTS + 1), curve)
    turn = np.arctan2(lab[..., 2], lab[..., 1]) / (2 * np.pi) * HUES
    scale = np.interp(turn, np.arange(HUES + 1), np.append(chroma, chroma[0]), period=HUES)
    made[..., 1:] = lab[..., 1:] * scale[..., None]
    return _in_srgb(made).reshape(shape)


def _in_srgb(lab: FloatArray) -> FloatArray:
    """Return colours in Oklab, (N, 3), as sRGB values in [0, 1]: paler, where they are beyond."""
    linear = SPACES["oklab"].back(lab)
    beyond = ((linear < -BEYOND) | (linear > 1 + BEYOND)).any(axis=-1)
    linear[beyond] = paler(lab[beyond])
    return encode(linear).astype(np.float32)


def _chroma(pairs: FloatArray, curve: FloatArray, reach: FloatArray) -> FloatArray:
    """Return the scale of chroma of each hue."""
    turn = np.arctan2(pairs[:, 0, 2], pairs[:, 0, 1]) / (2 * np.pi) * HUES
    low = np.floor(turn).astype(np.int64)
    part = turn - low
    step = pairs[:, 0] - pairs[:, 1]
    size = np.sqrt(np.square(step).sum(axis=1)) + FAINT
    values = np.empty((HUES, len(SCALES)))
    toned = pairs.copy()
    toned[..., 0] = np.interp(pairs[..., 0], np.linspace(0, 1, KNOTS + 1), curve)
    flat = toned.reshape(-1, 3)  # one product of matrices, not one for each pair
    for i, scale in enumerate(SCALES):
        encoded = _looked_up(reach, _in_srgb(flat * [1.0, scale, scale]))
        shown = SPACES["oklab"].into(decode(encoded.astype(np.float64))).reshape(pairs.shape)
        off = np.square(shown[:, 0] - shown[:, 1] - step).sum(axis=1) / size
        off += TRUE * np.square(shown[:, 0] - toned[:, 0]).sum(axis=1)
        values[:, i] = np.bincount(low % HUES, (1 - part) * off, HUES)
        values[:, i] += np.bincount((low + 1) % HUES, part * off, HUES)
    values += values.mean(axis=0) * 0.1  # hues that the picture hardly has go with the others
    return np.array(SCALES)[values.argmin(axis=1)]
