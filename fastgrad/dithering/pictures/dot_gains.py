"""How dot gain is told: a number, a response, or a file of one's own printer."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeAlias

from fastgrad import _validate
from fastgrad.dithering.optimiser.dot_gain import DotGain
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.inputs import Colors, Swatches, swatches_of
from fastgrad.dithering.pictures.presets import Preset

__all__ = ["EXCLUDES", "Gain", "dot_gain_for", "read"]

Gain: TypeAlias = "float | DotGain | os.PathLike[str]"

# Options of `fastgrad.dither` that learn colours, have another search, or other frames.
EXCLUDES = (
    "choose",
    "lock_colors",
    "pattern",
    "previous",
    "structure",
    "rate",
    "max_bytes",
    "quality",
)
KINDS = ("percent", "radius", "table")
LARGEST = 1 << 16  # bytes of a file


def dot_gain_for(
    given: Gain | None, palette: Colors | Swatches | None, preset: str | Preset | None
) -> DotGain | None:
    """Return the response of a printer, for a palette of two colours.

    Parameters
    ----------
    given : float, DotGain or path-like, optional
        The dot gain of a middle tone in percent, see `DotGain.grown`, a response, or a file.
    palette, preset
        Options of `fastgrad.dither`.

    Returns
    -------
    DotGain or None
        The response; None if there is none.

    Raises
    ------
    TypeError, ValueError
        If it is none, or the palette has not two colours.

    Examples
    --------
    >>> dot_gain_for(20, ["#000", "#fff"], None).dots
    'dark'
    """
    if given is None:
        return None
    swatches = swatches_of(palette, preset)
    if swatches is None or len(swatches.colors) != 2:
        count = "none" if swatches is None else len(swatches.colors)
        raise ValueError(f"palette or preset must have two colours with dot_gain, got {count}")
    if isinstance(given, DotGain):
        return given
    if isinstance(given, os.PathLike):
        return read(Path(given))
    return DotGain.grown(_validate.number(given, "dot_gain", 0, 50))


def read(path: Path) -> DotGain:
    """Read a file of JSON, such as ``{"radius": 0.9, "dots": "light"}``.

    Parameters
    ----------
    path : pathlib.Path
        The file. It has one of "percent", "radius" and "table", see `DotGain.grown`,
        `DotGain.round` and `DotGain`, and maybe "dots".

    Returns
    -------
    DotGain
        The response.

    Raises
    ------
    FileError
        If the file cannot be read, or holds something else.
    """
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise FileError("cannot read", path, error.strerror or error) from None
    try:
        told = json.loads(data.decode("utf-8-sig")) if len(data) <= LARGEST else None
    except (ValueError, RecursionError):
        told = None
    found: dict[str, Any] = told if isinstance(told, dict) else {}
    kinds = [kind for kind in KINDS if kind in found]
    if len(kinds) != 1 or set(found) - {*kinds, "dots"}:
        wanted = "JSON with one of percent, radius and table, and maybe dots"
        raise FileError("not a dot gain:", path, wanted)
    make = {"percent": DotGain.grown, "radius": DotGain.round, "table": DotGain}[kinds[0]]
    try:
        return make(found[kinds[0]], found.get("dots", "dark"))
    except (TypeError, ValueError) as error:
        raise FileError("not a dot gain:", path, error) from None
