"""Which colours of fields, lines and text are pinned: as many as leave room for what is not flat.

The steps of a ramp may be flat, too, or long lines. If each of them can have its colour, it has; if
not, none has: entries for some would leave few for what is between, and show as bands.
"""

from __future__ import annotations

import numpy as np

from fastgrad._typing import Array, ByteArray
from fastgrad.dithering.optimiser.drawn import FREE, codes_of, inks_of, lines_of, rgb_of
from fastgrad.dithering.optimiser.selection import needed, selected

__all__ = ["FEW", "chosen_of"]

CORE = 4  # least number of such pixels in a colour's fields
FEW = 32  # entries up to which flat colours compete for them with all others
ROOM = 8  # one entry in so many is left for what is not flat
STEP = 0.35  # share of shaded pixels in those of a colour from which on it is a step of a ramp


def chosen_of(
    codes: Array, amid: Array, ramps: Array, kept: ByteArray, colors: int
) -> tuple[ByteArray, Array]:
    """Return the flat colours of a picture that are to be pinned, beside those that are kept.

    Parameters
    ----------
    codes : array of int32, shape (height, width)
        The colours of the picture as `codes_of` makes numbers of them, `FREE` where none is seen.
    amid : array of int32
        Those of the pixels that are amid their own colour.
    ramps : array of int32
        Those of all others that are `shaded`.
    kept : array of uint8, shape (L, 3)
        The colours with which the palette begins.
    colors : int
        Number of colours K of the palette.

    Returns
    -------
    chosen : array of uint8, shape (N, 3)
        The colours.
    left_out : array of int32
        The codes of other flat ones, for which there is room, but which are not needed.

    Examples
    --------
    >>> fields, ramp = np.repeat(np.int32([7, 9]), [90, 40]), np.repeat(np.arange(20, 40), 9)
    >>> codes = np.concatenate([fields, ramp]).reshape(1, -1)
    >>> amid = np.concatenate([fields, ramp[::2]])
    >>> none = np.empty((0, 3), np.uint8)
    >>> [len(chosen_of(codes, amid, ramp[1::2], none, colors)[0]) for colors in (16, 26)]
    [2, 22]
    """
    room = colors - len(kept)
    room -= max(1, room // ROOM)
    flat, sizes = np.unique(amid[~np.isin(amid, codes_of(kept))], return_counts=True)
    flat, sizes = flat[sizes >= CORE], sizes[sizes >= CORE]
    lines = np.unique(np.concatenate([lines_of(codes), lines_of(codes.T)]))
    lines = lines[~np.isin(lines, flat) & ~np.isin(lines, codes_of(kept)) & (lines != FREE)]
    steps = _steps(codes, ramps)
    if np.union1d(np.concatenate([flat, lines]), steps).size <= room:
        steps = steps[:0]
    own = ~np.isin(flat, steps)
    flat, sizes, lines = flat[own], sizes[own], lines[~np.isin(lines, steps)]
    if len(flat) > room:
        large = sizes >= amid.size / (4 * room)
        return selected(rgb_of(flat[large]), sizes[large], kept, room), flat[:0]
    flat = flat[np.argsort(-sizes, kind="stable")]
    drawn = np.concatenate([flat, lines])
    fits = len(drawn) <= room
    ground = np.isin(codes, np.concatenate([drawn, codes_of(kept)]))
    drawn = drawn if fits else flat
    inks = inks_of(codes, ground) if fits else flat[:0]
    inks = inks[~np.isin(inks, steps)]
    won = _needed(codes, np.concatenate([drawn, inks]), kept, colors)
    inks = inks[won[len(drawn) :]]
    drawn = drawn[won[: len(drawn)]] if colors <= FEW else drawn
    chosen = np.concatenate([drawn, inks[: 3 * (room - len(drawn)) // 4]])
    return rgb_of(chosen), flat[~np.isin(flat, chosen)]


def _steps(codes: Array, ramps: Array) -> Array:
    """Return the colours that are steps of ramps, of which the shaded pixels are given."""
    found, counts = np.unique(ramps, return_counts=True)
    if not len(found):
        return found
    places = np.searchsorted(found[:-1], codes)
    sizes = np.bincount(places[codes == found[places]], minlength=len(found))
    return found[counts > STEP * sizes]


def _needed(codes: Array, wanted: Array, kept: ByteArray, colors: int) -> Array:
    """Return which of some colours need an entry more than the rest of a picture does."""
    own, counts = np.isin(codes, wanted), np.empty(len(wanted), np.int64)
    counts[np.argsort(wanted)] = np.unique(codes[own], return_counts=True)[1]
    rest = rgb_of(codes[~own & (codes != FREE)])
    return needed(rgb_of(wanted), counts, rest, kept, colors)
