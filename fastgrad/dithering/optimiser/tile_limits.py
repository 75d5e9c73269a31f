"""What a console allows: palettes of so many colours, one of them for each tile of a picture."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye import colour
from fastgrad.dithering.eye.colour import Space

__all__ = ["Tiles"]

MOST = 256  # entries of all palettes: the indices of a file are bytes
MOST_SIDE = 128  # pixels of a side of a tile
AROUND = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)

_LINEAR = colour.to_linear(np.arange(256, dtype=np.uint8))


@dataclass(frozen=True, eq=False)
class Tiles:
    """Limits of a picture whose tiles have a palette each, as in the hardware of consoles.

    Each tile takes its pixels' colours from one of a few palettes, which all tiles share. Entry m
    of palette p has the index ``p * colors + m``.

    Parameters
    ----------
    size : tuple of int, optional
        Width and height of a tile in pixels, 1 to 128.
    palettes : int, optional
        Number of palettes.
    colors : int, optional
        Number of colours in each, at least 2; there are at most 256 in all palettes together.
    channel_bits : int, optional
        Bits of a channel of a colour, 1 to 8. A value of b bits is shown as the 8 bits that repeat
        it, so that the greatest is 255. By default 8, unless there are ``inks``.
    shared_color : bool or str, optional
        Whether entry 0 is the same colour in all palettes: True for one that is learned, or one
        like ``"#rrggbb"``.
    inks : array_like of uint8, shape (G, 3), optional
        The colours that there are, in sRGB, which excludes ``channel_bits``.

    Attributes
    ----------
    entries : int
        Number of entries of all palettes.
    fixed : array of uint8, shape (L, 3)
        The shared colour if it is given, or nothing.

    Raises
    ------
    TypeError, ValueError
        If a limit has the wrong type or is out of range, or the shared colour cannot be shown.

    Examples
    --------
    >>> limits = Tiles((8, 8), palettes=4, colors=4, channel_bits=5)
    >>> limits.entries
    16
    >>> limits.shown([[18, 100, 255]]).tolist()
    [[16, 99, 255]]
    """

    size: tuple[int, int] = (8, 8)
    palettes: int = 4
    colors: int = 4
    channel_bits: int | None = None
    shared_color: bool | str = False
    inks: ArrayLike | None = None

    def __post_init__(self) -> None:
        """Refuse what no picture can have."""
        size = self.size
        if not isinstance(size, (tuple, list)) or len(size) != 2:
            raise ValueError(f"size must be (width, height), got {size!r}")
        sides = [_validate.integer(side, "size", 1, MOST_SIDE) for side in size]
        object.__setattr__(self, "size", tuple(sides))
        _validate.integer(self.palettes, "palettes", 1, MOST // 2)
        _validate.integer(self.colors, "colors", 2, MOST)
        if self.entries > MOST:
            raise ValueError(
                f"palettes * colors must be at most {MOST}, got {self.palettes} * {self.colors}"
            )
        if self.inks is not None:
            if self.channel_bits is not None:
                raise ValueError(f"channel_bits must be None with inks, got {self.channel_bits!r}")
            inks = _validate.array(self.inks, "inks")
            if inks.dtype != np.uint8:
                raise TypeError(f"inks must be uint8, got dtype {inks.dtype}")
            if inks.ndim != 2 or inks.shape[1] != 3 or len(inks) < 2:
                raise ValueError(f"inks must have shape (G, 3), G at least 2, got {inks.shape}")
            object.__setattr__(self, "inks", np.unique(inks, axis=0))
        elif self.channel_bits is not None:
            _validate.integer(self.channel_bits, "channel_bits", 1, 8)
        given = self.shared_color
        if isinstance(given, str):
            if not re.fullmatch("#?[0-9a-fA-F]{6}", given):
                raise ValueError(f"shared_color must be like '#rrggbb', got {given[:40]!r}")
            fixed = self.fixed
            if not np.array_equal(self.shown(fixed), fixed):
                near = bytes(self.shown(fixed)[0]).hex()
                raise ValueError(
                    f"shared_color must be one that can be shown, such as '#{near}', got {given!r}"
                )
        else:
            _validate.choice(given, "shared_color", (False, True))

    @property
    def entries(self) -> int:
        """The number of entries of all palettes."""
        return self.palettes * self.colors

    @property
    def fixed(self) -> ByteArray:
        """The shared colour in sRGB if it is given, or nothing."""
        if not isinstance(self.shared_color, str):
            return np.empty((0, 3), np.uint8)
        return np.array([list(bytes.fromhex(self.shared_color.removeprefix("#")))], np.uint8)

    @cached_property
    def levels(self) -> ByteArray:
        """The values that a channel may have, if colours have bits, in 8 bits."""
        bits = 8 if self.channel_bits is None else self.channel_bits
        values = np.arange(1 << bits) * ((1 << 8) // (1 << bits))  # the bits come first
        shown = np.zeros_like(values)
        for shift in range(0, 8, bits):  # and are repeated
            shown |= values >> shift
        return shown.astype(np.uint8)

    @property
    def variables(self) -> Array:
        """The number of the colour that each entry has: a shared one has a single number, 0."""
        numbers = np.arange(self.entries).reshape(self.palettes, self.colors)
        if self.shared_color is not False:
            numbers = numbers - np.arange(self.palettes)[:, None]
            numbers[:, 0] = 0
        return numbers.reshape(-1)

    def candidates(self, rgb: ArrayLike) -> ByteArray:
        """Return colours that can be shown, the nearest to a colour in sRGB, (3,), among them."""
        if self.inks is not None:
            return np.asarray(self.inks)
        levels = self.levels
        place = np.rint(np.asarray(rgb) * ((len(levels) - 1) / 255)).astype(np.int64)
        return levels[np.clip(place + AROUND, 0, len(levels) - 1)]

    def nearest(self, color: FloatArray, space: Space) -> ByteArray:
        """Return the colour that can be shown nearest to another.

        Parameters
        ----------
        color : array, shape (3,)
            A colour in a space.
        space : Space
            The space, in which distances are measured.

        Returns
        -------
        array of uint8, shape (3,)
            The colour in sRGB.
        """
        inside = np.clip(np.asarray(color, np.float64)[None], *space.bounds)
        rgb = colour.to_srgb(np.clip(space.back(inside), 0, 1))[0]
        found = self.candidates(rgb)
        apart = np.square(space.into(_LINEAR[found]) - color).sum(axis=1)
        return found[int(apart.argmin())]

    def shown(self, colors: ArrayLike) -> ByteArray:
        """Return the nearest colours that can be shown, in sRGB, (K, 3) uint8."""
        rgb = np.asarray(colors, np.uint8)
        space = colour.SPACES["srgb"]
        return np.array([self.nearest(c, space) for c in space.into(colour.to_linear(rgb))])
