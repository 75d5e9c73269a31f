"""Where the transparent entry of a palette stands, and colours that stand for transparent ones.

Engines of games and drivers of displays know no opacity, or know it by an index: often the first
entry, or all pixels of one colour, are not drawn.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ByteArray
from fastgrad.dithering.pictures.inputs import Swatches, colors_of
from fastgrad.dithering.pictures.transparency import MODES, Mode

__all__ = ["Entries", "KeyColor", "key_of", "moved"]

MOST = 256  # entries of a palette


class Entries(NamedTuple):
    """Indices of any shape, a palette, uint8 of shape (K, 3), and its opacity, None if opaque."""

    indices: ByteArray
    palette: ByteArray
    opacity: ByteArray | None


class KeyColor(NamedTuple):
    """A colour of which opaque pixels are taken for transparent ones.

    Attributes
    ----------
    color : tuple of int
        The colour in sRGB, as a file gets it.
    place : int or None
        Its index in a given palette; None if it is not one of those.
    """

    color: tuple[int, int, int]
    place: int | None = None

    def without(self, swatches: Swatches | None) -> tuple[KeyColor, Swatches | None]:
        """Return the colour with its place in a given palette, and the palette without it.

        What is seen must not have the colour, for it would be taken for transparent.

        Parameters
        ----------
        swatches : Swatches or None
            The given colours.

        Returns
        -------
        KeyColor, Swatches or None
            The colour, and the others.

        Raises
        ------
        ValueError
            If it is not one of the given colours.
        """
        if swatches is None:
            return self, None
        same = (swatches.device == self.color).all(axis=1)
        same = same if same.any() else (swatches.colors == self.color).all(axis=1)
        if not same.any():
            said = f"#{bytes(self.color).hex()}"
            raise ValueError(f"alpha must be one of the colours of the palette, got {said}")
        place = int(same.argmax())
        red, green, blue = swatches.device[place].tolist()
        rest = swatches._replace(
            colors=np.delete(swatches.colors, place, axis=0),
            device=np.delete(swatches.device, place, axis=0),
        )
        return KeyColor((red, green, blue), place), rest

    def laid(self, entries: Entries, place: int | None = None) -> Entries:
        """Give the transparent pixels of an indexed picture this colour.

        Parameters
        ----------
        entries : Entries
            The picture, whose entries are opaque or transparent.
        place : int, optional
            The index that the colour gets; by default the one in the given palette, else 0.

        Returns
        -------
        Entries
            The picture without opacity. Where nothing is transparent, the colour has an entry only
            if it has a place in a given palette.

        Examples
        --------
        >>> clear = Entries(np.uint8([0, 1]), np.uint8([[9, 9, 9], [0, 0, 0]]), np.uint8([255, 0]))
        >>> KeyColor((255, 0, 255)).laid(clear).palette.tolist()
        [[255, 0, 255], [9, 9, 9]]
        """
        indices, palette, opacity = entries
        if opacity is None or opacity.all():
            if self.place is None:
                return Entries(indices, palette, None)
            opacity = np.full(len(palette), 255, np.uint8)
            palette = np.concatenate([palette, np.zeros((1, 3), np.uint8)])
            entries = Entries(indices, palette, np.append(opacity, np.uint8(0)))
        wanted = place if place is not None else self.place or 0
        indices, palette, opacity = moved(entries, wanted)
        if self.place is None:  # a learned colour that is the same must not be taken for it
            same = (palette == self.color).all(axis=1)
            palette[same, 1] = 1 if self.color[1] == 0 else self.color[1] - 1
        palette[wanted] = self.color
        return Entries(indices, palette, None)


def key_of(alpha: str | None) -> tuple[Mode | None, KeyColor | None]:
    """Return what becomes of opacity, and the colour that stands for it, if one is named.

    Parameters
    ----------
    alpha : str or None
        One of `transparency.MODES`, or a colour like "#rrggbb".

    Returns
    -------
    mode : {"keep", "key", "blend"} or None
        The mode; "key" with a colour.
    key : KeyColor or None
        The colour.

    Raises
    ------
    TypeError, ValueError
        If it is something else.

    Examples
    --------
    >>> key_of("keep"), key_of("#ff00ff")
    (('keep', None), ('key', KeyColor(color=(255, 0, 255), place=None)))
    """
    if alpha is None:
        return None, None
    if isinstance(alpha, str) and alpha.startswith("#"):
        ((red, green, blue),) = colors_of([alpha], "alpha").tolist()
        return "key", KeyColor((red, green, blue))
    return _validate.named(alpha, "alpha", MODES), None


def moved(entries: Entries, place: int) -> Entries:
    """Move the transparent entry of a palette, the first if there are several, to an index.

    Parameters
    ----------
    entries : Entries
        The picture.
    place : int
        The index.

    Returns
    -------
    Entries
        The same picture; the other entries keep their order. Where none is transparent, nothing
        changes.

    Raises
    ------
    ValueError
        If the palette has no such index.

    Examples
    --------
    >>> colors = np.uint8([[9, 9, 9], [80, 80, 80], [0, 0, 0]])
    >>> moved(Entries(np.uint8([0, 1, 2]), colors, np.uint8([255, 255, 0])), 0).indices.tolist()
    [1, 2, 0]
    """
    indices, palette, opacity = entries
    if opacity is None or opacity.all():
        return entries
    if place >= len(palette):
        most = len(palette) - 1
        raise ValueError(f"transparent_index must be at most {most} in this palette, got {place}")
    first = int(np.flatnonzero(opacity == 0)[0])
    order = np.insert(np.delete(np.arange(len(palette)), first), place, first)
    table = np.empty(len(palette), np.uint8)
    table[order] = np.arange(len(palette))
    return Entries(table[indices], palette[order], opacity[order])
