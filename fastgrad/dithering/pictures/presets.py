"""Palettes of common e-ink panels, and of greys: `fastgrad.presets`.

The colours that a panel shows are not those by which its driver calls them. Pixels are chosen with
the measured `Preset.colors`, and the file gets the `Preset.device` colours in their places.
Measured colours are relative to the panel's white, since the eye adapts to it: each channel is
divided by the channel of white, in linear light.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, ByteArray
from fastgrad.dithering.eye.colour import to_linear, to_srgb

__all__ = ["PRESETS", "Preset", "find", "relative_to_white"]

INKS = {
    "black": "000000",
    "white": "ffffff",
    "green": "00ff00",
    "blue": "0000ff",
    "red": "ff0000",
    "yellow": "ffff00",
    "orange": "ff8c00",
}


# Inks are few: a wider blur lets them mix; closer to the picture's own colours they would hide
# less. Many colours of a picture are beyond them, so it is fitted to them first; then every colour
# can be met, and errors of colour need not count less than those of light.
AFAR: dict[str, Any] = {"fit": "all", "solid": True, "space": "linear", "sigma": 1.5, "nu": 0.0}


@dataclass(frozen=True)
class Preset:
    """A palette that has a name.

    Attributes
    ----------
    summary : str
        Description in one line.
    colors : array of uint8, shape (K, 3)
        The colours as they are seen, in sRGB, in the order of the driver's indices.
    device : array of uint8, shape (K, 3)
        The colours that the driver expects in a file.
    options : dict of str to object
        Options of `fastgrad.dither` that suit the palette.
    codes : tuple of int or None
        The numbers by which the driver calls the colours, where they are not their indices.
    """

    summary: str
    colors: ByteArray = field(repr=False)
    device: ByteArray = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    codes: tuple[int, ...] | None = None


def relative_to_white(colors: ArrayLike) -> ByteArray:
    """Divide colours by the brightest one, channel by channel, in linear light.

    Parameters
    ----------
    colors : array_like of uint8, shape (K, 3)
        Measured colours in sRGB.

    Returns
    -------
    array of uint8, shape (K, 3)
        The same beside a white of 255.

    Examples
    --------
    >>> relative_to_white([[20, 20, 20], [188, 200, 188]]).tolist()
    [[31, 29, 31], [255, 255, 255]]
    """
    linear = to_linear(np.asarray(colors, np.uint8))
    return to_srgb(linear / linear[linear.sum(axis=1).argmax()])


def _panel(summary, codes=None, **inks):
    """Make a preset of measured inks."""
    measured = [list(bytes.fromhex(value)) for value in inks.values()]
    device = [list(bytes.fromhex(INKS[name])) for name in inks]
    return Preset(summary, relative_to_white(measured), np.array(device, np.uint8), AFAR, codes)


def _greys(count, summary):
    """Make a preset of evenly spaced sRGB values."""
    grey = np.rint(np.linspace(0, 255, count)).astype(np.uint8)
    colors = np.repeat(grey[:, None], 3, axis=1)
    return Preset(summary, colors, colors, {"solid": True})


# Spectra 6: github.com/pimoroni/pimoroni-pico/issues/1121. ACeP: github.com/pimoroni/inky,
# inky_uc8159.py. Black, white, yellow and red: a 3.97-inch panel, github.com/OpenDisplay-org/
# epaper-dithering; panels without the one or the other ink are given the same colours. Playdate:
# devforum.play.date/t/6765. Game Boy: the four greens that emulators give its first model.
_FOUR = {"black": "0a070e", "white": "adb2ae", "yellow": "ac8000", "red": "55180e"}
DMG = np.array([[155, 188, 15], [139, 172, 15], [48, 98, 48], [15, 56, 15]], np.uint8)
PRESETS: dict[str, Preset] = {
    "bw": _greys(2, "black and white"),
    "grey4": _greys(4, "4 greys, evenly spaced in sRGB"),
    "grey16": _greys(16, "16 greys, evenly spaced in sRGB"),
    "spectra6": _panel(
        "E Ink Spectra 6: black, white, yellow, red, blue, green",
        codes=(0, 1, 2, 3, 5, 6),  # waveshareteam/e-Paper, epd7in3e.py
        **{"black": "191e21", "white": "e8e8e8", "yellow": "efde44"},
        **{"red": "b21318", "blue": "2157ba", "green": "125f20"},
    ),
    "acep7": _panel(
        "E Ink ACeP and Gallery: black, white, green, blue, red, yellow, orange",
        **{"black": "393039", "white": "ffffff", "green": "3a5b46", "blue": "3d3b5e"},
        **{"red": "9c484b", "yellow": "d0be47", "orange": "b16a49"},
    ),
    "bwr": _panel("black, white, red e-ink", **{k: v for k, v in _FOUR.items() if k != "yellow"}),
    "bwy": _panel("black, white, yellow e-ink", **{k: v for k, v in _FOUR.items() if k != "red"}),
    "bwry": _panel("black, white, yellow, red e-ink", **_FOUR),
    "playdate": _panel("Playdate: black, white", black="322f27", white="b1aea8"),
    "game-boy": Preset(
        "Game Boy: 4 greens, the lightest first",
        relative_to_white(DMG),
        np.repeat(np.array([[255], [170], [85], [0]], np.uint8), 3, axis=1),
        AFAR,
    ),
}


def find(name: str) -> Preset:
    """Return the preset of a name.

    Parameters
    ----------
    name : str
        A key of `PRESETS`, in capitals or not.

    Returns
    -------
    Preset
        The palette.

    Raises
    ------
    ValueError
        If there is none of that name; the error then says which is near.

    Examples
    --------
    >>> from fastgrad import presets
    >>> presets.find("Spectra6").colors.shape
    (6, 3)
    """
    return PRESETS[_validate.named(name, "preset", PRESETS)]
