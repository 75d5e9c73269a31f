"""Palettes of common e-ink panels, and of greys: `fastgrad.presets`.

The colours that a panel shows are not those by which its driver calls them. Pixels are chosen with
the measured `Preset.colors`, and the file gets the `Preset.device` colours in their places.
Measured colours are relative to the panel's white, since the eye adapts to it: each channel is
divided by the channel of white, in linear light. The lightest green of a Game Boy is no white, and
its greens stay as they are.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, ByteArray
from fastgrad.dithering.eye.colour import to_linear, to_srgb

__all__ = ["PRESETS", "Preset", "find", "measured", "patches", "relative_to_white"]

INKS = {
    "black": "000000",
    "white": "ffffff",
    "green": "00ff00",
    "blue": "0000ff",
    "red": "ff0000",
    "yellow": "ffff00",
    "orange": "ff8c00",
}


FEW: dict[str, Any] = {"solid": True, "nu": 0.0}
# Inks are few: they mix in an eye that is far enough away, whose model has longer tails than a
# Gaussian, so that tones are true; closer to the picture's own colours they would hide less.
FAR: dict[str, Any] = {**FEW, "ppd": 50.0}
# Many colours of a picture are beyond coloured inks, so it is fitted to them first; then every
# colour can be met, and errors are weighed as differences of colour are.
AFAR: dict[str, Any] = {**FAR, "fit": "all", "space": "yycxcz"}
# Several greys mix from nearer, so that details may be finer; colours become those that look as
# light.
GREY: dict[str, Any] = {**FEW, "sigma": 1.1, "fit": "clip"}


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
    source : str
        Where the colours are from.
    """

    summary: str
    colors: ByteArray = field(repr=False)
    device: ByteArray = field(repr=False)
    options: dict[str, Any] = field(default_factory=dict)
    codes: tuple[int, ...] | None = None
    source: str = ""


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


def _panel(summary, source, codes=None, **inks):
    """Make a preset of measured inks."""
    seen = [list(bytes.fromhex(value)) for value in inks.values()]
    device = [list(bytes.fromhex(INKS[name])) for name in inks]
    return Preset(summary, relative_to_white(seen), np.array(device, np.uint8), AFAR, codes, source)


def _greys(count, summary):
    """Make a preset of evenly spaced sRGB values."""
    colors = _steps(count)
    options = {**FAR, "fit": "clip"} if count == 2 else GREY
    return Preset(summary, colors, colors, options, source="the definition of sRGB")


def _steps(count):
    """Return greys that are evenly spaced in sRGB, (count, 3)."""
    grey = np.rint(np.linspace(0, 255, count)).astype(np.uint8)
    return np.repeat(grey[:, None], 3, axis=1)


def _reader(black, white, gamma):
    """Return 16 greys of a reader: luminances of its ends, and the power law between them."""
    light = black + (white - black) * np.linspace(0, 1, 16) ** gamma
    return np.repeat(to_srgb(light / white)[:, None], 3, axis=1)


# Panels without the one or the other ink are given the same colours.
_FOUR = {"black": "0a070e", "white": "adb2ae", "yellow": "ac8000", "red": "55180e"}
_OPEN = "github.com/OpenDisplay/epaper-dithering, core/src/measured_palettes.rs"
_SIX = (0, 1, 2, 3, 5, 6)  # waveshareteam/e-Paper, epd7in3e.py
DMG = np.array([[155, 188, 15], [139, 172, 15], [48, 98, 48], [15, 56, 15]], np.uint8)
PRESETS: dict[str, Preset] = {
    "bw": _greys(2, "black and white"),
    "grey4": _greys(4, "4 greys, evenly spaced in sRGB"),
    "grey16": _greys(16, "16 greys, evenly spaced in sRGB"),
    "kindle16": Preset(
        "16 greys of a Kindle DX, whose black is a grey",
        _reader(0.0260, 0.3826, 2.0),  # L* of 18.5 and 68.2
        _steps(16),
        {
            **GREY,
            "fit": "all",
            "solid": False,
        },  # a grey of the file looks like another one of the file
        source="black and white by spectrophotometer: B. Wilson at ireaderreview.com/tag/"
        "kindle-screen; gamma 2: kolmogolovi.blogspot.com/2011/06",
    ),
    "spectra6": _panel(
        "E Ink Spectra 6: black, white, yellow, red, blue, green",
        "github.com/pimoroni/pimoroni-pico/issues/1121",
        _SIX,
        **{"black": "191e21", "white": "e8e8e8", "yellow": "efde44"},
        **{"red": "b21318", "blue": "2157ba", "green": "125f20"},
    ),
    "spectra6-6500k": _panel(
        "the same in light of 6500 K, 7.3 inches, by camera",
        f"{_OPEN}: SPECTRA_7_3_6COLOR, 2026-02-03",
        _SIX,
        **{"black": "1a0d23", "white": "b9cacd", "yellow": "cab800"},
        **{"red": "790900", "blue": "00458b", "green": "285239"},
    ),
    "spectra6-raw": _panel(
        "the same by a camera without a tone curve",
        f"{_OPEN}: SPECTRA_7_3_6COLOR_V2, 2026-03-15",
        _SIX,
        **{"black": "1f1829", "white": "a8b4b6", "yellow": "b4ad00"},
        **{"red": "711813", "blue": "24468b", "green": "32543c"},
    ),
    "spectra6-frame": _panel(
        "the same in picture frames of 7.3 and 13.3 inches",
        "github.com/aitjcize/epaper-image-convert, src/palettes.js",
        _SIX,
        **{"black": "020202", "white": "bec8c8", "yellow": "cdca00"},
        **{"red": "871300", "blue": "05409e", "green": "27663c"},
    ),
    "acep7": _panel(
        "E Ink ACeP and Gallery: black, white, green, blue, red, yellow, orange",
        "github.com/pimoroni/inky, inky/inky_uc8159.py",
        **{"black": "393039", "white": "ffffff", "green": "3a5b46", "blue": "3d3b5e"},
        **{"red": "9c484b", "yellow": "d0be47", "orange": "b16a49"},
    ),
    "acep7-73": _panel(
        "the same of 7.3 inches, AC073TC1A",
        "github.com/pimoroni/inky, inky/inky_ac073tc1a.py",
        **{"black": "000000", "white": "d9f2ff", "green": "037c4c", "blue": "1b2ec6"},
        **{"red": "f55022", "yellow": "ffff44", "orange": "ef792c"},
    ),
    "bwr": _panel(
        "black, white, red e-ink",
        f"{_OPEN}: BWRY_3_97",
        **{k: v for k, v in _FOUR.items() if k != "yellow"},
    ),
    "bwy": _panel(
        "black, white, yellow e-ink",
        f"{_OPEN}: BWRY_3_97",
        **{k: v for k, v in _FOUR.items() if k != "red"},
    ),
    "bwry": _panel("black, white, yellow, red e-ink", f"{_OPEN}: BWRY_3_97", **_FOUR),
    "bwry-42": _panel(
        "the same of 4.2 inches, JD79668",
        "github.com/pimoroni/inky, inky/inky_jd79668.py",
        **{"black": "0d0d0d", "white": "474747", "yellow": "513e0a", "red": "2a0d0a"},
    ),
    "playdate": _panel(
        "Playdate: black, white", "devforum.play.date/t/6765", black="322f27", white="b1aea8"
    ),
    "game-boy": Preset(
        "Game Boy: 4 greens, the lightest first",
        DMG,
        np.repeat(np.array([[255], [170], [85], [0]], np.uint8), 3, axis=1),
        AFAR,
        source="the greens that emulators give its first model",
    ),
}


def find(name: str | Preset) -> Preset:
    """Return the preset of a name.

    Parameters
    ----------
    name : str or Preset
        A key of `PRESETS`, in capitals or not; a preset stays as it is.

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
    return name if isinstance(name, Preset) else PRESETS[_validate.named(name, "preset", PRESETS)]


def measured(given: str | os.PathLike[str] | Mapping[str, Any]) -> Preset:
    """Return a preset of a panel or a printer whose patches have been measured.

    ``fastgrad palette --patches chart.png --form panel.json`` writes the patches, and the file to
    fill in. That is a JSON object with

    - ``"patches"``, a list of an object for each colour: its ``"device"`` is what the driver
      expects in a file, such as ``"#ff0000"``; ``"measured"`` are three numbers, or a list of
      several readings, of which the mean light counts; ``"code"``, optional, is the number by which
      the driver calls the colour;
    - ``"space"``, that of the numbers: ``"srgb"``, from 0 to 255; ``"lab"``, CIE L*a*b*; or
      ``"xyz"``, CIE XYZ in any unit. The default is ``"srgb"``;
    - ``"white"``, of XYZ and L*a*b*: the illuminant's XYZ in the same unit, or ``"D50"`` or
      ``"D65"``. Only for L*a*b* there is a default, D50, as spectrophotometers have it;
    - ``"relative"``, whether colours are divided by the panel's own white, the patch whose colour
      in the file is the lightest, since the eye adapts to it. By default true;
    - ``"name"``, optional.

    Parameters
    ----------
    given : str, path-like or mapping
        The name of such a file, or the object itself.

    Returns
    -------
    Preset
        The colours as they are seen, those of the device, and options for panels.

    Raises
    ------
    FileError
        If the file cannot be read, or is none of this kind: a `ValueError`.
    TypeError, ValueError
        If the object is none of this kind.

    Examples
    --------
    >>> from fastgrad import presets
    >>> patches = [
    ...     {"device": "#000000", "measured": [[25, 30, 33], [25, 30, 33]]},
    ...     {"device": "#ffffff", "measured": [232, 232, 232]},
    ... ]
    >>> presets.measured({"patches": patches}).colors.tolist()
    [[29, 34, 37], [255, 255, 255]]
    """
    from fastgrad.dithering.pictures import measurements  # few programs need them

    found = measurements.read(given)
    return Preset(found.name, found.colors, found.device, AFAR, found.codes, "measured")


def patches(colors: ArrayLike | Sequence[str], size: tuple[int, int] = (800, 480)) -> ByteArray:
    """Return a test chart: a patch of each colour, with a frame of the darkest around it.

    Parameters
    ----------
    colors : array_like, shape (K, 3), or sequence of str
        The colours of the device.
    size : tuple of int, optional
        Width and height in pixels, those of the panel.

    Returns
    -------
    array of uint8, shape (height, width)
        The indices. The patches stand in rows from left to right, in the order of the colours, on
        the lightest one.

    Raises
    ------
    TypeError, ValueError
        If these are no colours, or the chart is too small for them.

    Examples
    --------
    >>> from fastgrad import presets
    >>> chart = presets.patches(presets.find("bwr").device, size=(90, 30))
    >>> [int(chart[15, x]) for x in (15, 45, 75)]
    [0, 1, 2]
    """
    from fastgrad.dithering.pictures import measurements

    return measurements.patches(colors, size)
