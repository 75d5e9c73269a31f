"""What consoles allow of a background: the limits of palettes that tiles have, by name."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ByteArray
from fastgrad.dithering.optimiser.tile_limits import Tiles

__all__ = ["CONSOLES", "SUMMARIES", "Console", "limits_of"]

Console: TypeAlias = Literal["nes", "snes", "gbc", "mega-drive", "sms"]

# The colours of the NES's picture unit 2C02, whose signal is not RGB: emulators show its 64 codes
# by tables that differ, of which this is one. The last columns, which are black, are left out.
_2C02 = """
666666 002a88 1412a7 3b00a4 5c007e 6e0040 6c0600 561d00 333500 0b4800 005200 004f08 00404d 000000
adadad 155fd9 4240ff 7527fe a01acc b71e7b b53120 994e00 6b6d00 388700 0c9300 008f32 007c8d
fffeff 64b0ff 9290ff c676ff f36aff fe6ecc fe8170 ea9e22 bcbe00 88d800 5ce430 45e082 48cdde 4f4f4f
c0dfff d3d2ff e8c8ff fbc2ff fec4ea feccc5 f7d8a5 e4e594 cfef96 bdf4ab b3f3cc b5ebf2 b8b8b8
"""
_INKS: ByteArray = np.array([list(bytes.fromhex(ink)) for ink in _2C02.split()], np.uint8)

# Sizes of palettes and bits: nesdev.org/wiki/PPU_attribute_tables, snes.nesdev.org/wiki/Palettes
# (backgrounds of 4 bits a pixel, as in mode 1), gbdev.io/pandocs/Palettes.html, plutiedev.com/
# palettes, smspower.org/Development/Palette. Colour 0 shows the backdrop on the NES, the SNES and
# the Mega Drive, so that it is shared; in backgrounds of the other two it is like any other.
CONSOLES: Mapping[str, Tiles] = MappingProxyType(
    {
        "nes": Tiles((16, 16), palettes=4, colors=4, shared_color=True, inks=_INKS),
        "snes": Tiles((8, 8), palettes=8, colors=16, channel_bits=5, shared_color=True),
        "gbc": Tiles((8, 8), palettes=8, colors=4, channel_bits=5),
        "mega-drive": Tiles((8, 8), palettes=4, colors=16, channel_bits=3, shared_color=True),
        "sms": Tiles((8, 8), palettes=2, colors=16, channel_bits=2),
    }
)
SUMMARIES: Mapping[str, str] = MappingProxyType(
    {
        "nes": "NES: areas of 16 x 16, 4 palettes of 4 with a shared one, colours of the 2C02",
        "snes": "SNES: tiles of 8 x 8, 8 palettes of 16 with a shared one, 5 bits",
        "gbc": "Game Boy Color: tiles of 8 x 8, 8 palettes of 4, 5 bits",
        "mega-drive": "Mega Drive: tiles of 8 x 8, 4 palettes of 16 with a shared one, 3 bits",
        "sms": "Master System: tiles of 8 x 8, 2 palettes of 16, 2 bits",
    }
)


def limits_of(tiles: Tiles | str) -> Tiles:
    """Return the limits of a console by its name, in capitals or not; limits stay as they are.

    Parameters
    ----------
    tiles : Tiles or str
        Limits, or one of `CONSOLES`.

    Returns
    -------
    Tiles
        The limits.

    Raises
    ------
    TypeError, ValueError
        If it is neither; the error then says which name is near.

    Examples
    --------
    >>> limits_of("SNES").entries
    128
    """
    if isinstance(tiles, Tiles):
        return tiles
    if not isinstance(tiles, str):
        raise TypeError(f"tiles must be Tiles or the name of a console, got {tiles!r}")
    return CONSOLES[_validate.named(tiles, "tiles", CONSOLES)]
