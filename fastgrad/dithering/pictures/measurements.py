"""Panels and printers that have been measured: a chart of patches, and what was seen of each."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.eye.colour import LUMINANCE, decode, to_linear, to_srgb
from fastgrad.dithering.pictures import colour_profiles, palette_texts
from fastgrad.dithering.pictures.file_errors import FileError

__all__ = ["Measured", "form", "patches", "read"]

KEYS = ("name", "space", "white", "relative", "patches")
PATCH = ("device", "measured", "code")
SPACES = ("srgb", "lab", "xyz")
WHITES = {"D50": colour_profiles.D50, "D65": (0.95047, 1.0, 1.08883)}
DELTA = 6 / 29  # of CIE L*a*b*, below which its curve is straight
LARGEST = 1 << 20  # bytes of a file
CODES = 256
LEAST = 8  # pixels of a patch's side
FRAME = 2  # pixels of the frame around it


class Measured(NamedTuple):
    """What was measured: a name, colours and those of the device, (K, 3), the driver's codes."""

    name: str
    colors: ByteArray
    device: ByteArray
    codes: tuple[int, ...] | None


def read(given: str | os.PathLike[str] | Mapping[str, Any]) -> Measured:
    """Return what was measured: see `fastgrad.presets.measured`."""
    if isinstance(given, Mapping):
        return _checked(dict(given))
    path = Path(given)
    try:
        with open(path, "rb") as file:
            data = file.read(LARGEST + 1)
        if len(data) > LARGEST:
            raise ValueError(f"more than {LARGEST} bytes")
        found = json.loads(data.decode("utf-8-sig"))
        if not isinstance(found, dict):
            raise ValueError("no object with 'patches'")
        return _checked(found)
    except OSError as error:
        raise FileError("cannot read", path, error.strerror or error) from None
    except UnicodeDecodeError:
        raise FileError("not a measurement:", path, "no text in UTF-8") from None
    except RecursionError:
        raise FileError("not a measurement:", path, "lists in lists without end") from None
    except json.JSONDecodeError as error:
        raise FileError("not a measurement:", path, f"no JSON: {error}") from None
    except (TypeError, ValueError) as error:
        raise FileError("not a measurement:", path, error) from None


def form(
    name: str, colors: ByteArray, device: ByteArray, codes: Sequence[int] | None = None
) -> str:
    """Return the text of a file to fill in.

    Parameters
    ----------
    name : str
        The name of the panel.
    colors : array of uint8, shape (K, 3)
        The colours in sRGB that stand in it at first.
    device : array of uint8, shape (K, 3)
        The colours of the device.
    codes : sequence of int, optional
        The numbers by which the driver calls them.

    Returns
    -------
    str
        A JSON object, as `read` takes it.
    """
    entries = []
    for i, (seen, ink) in enumerate(zip(colors.tolist(), device)):
        entry: dict[str, Any] = {"device": f"#{bytes(ink).hex()}", "measured": seen}
        if codes is not None:
            entry["code"] = int(codes[i])
        entries.append(f"    {json.dumps(entry)}")
    head = f'{{\n  "name": {json.dumps(name)},\n  "space": "srgb",\n  "relative": true,\n'
    return head + '  "patches": [\n' + ",\n".join(entries) + "\n  ]\n}\n"


def patches(colors: ArrayLike | Sequence[str], size: tuple[int, int]) -> ByteArray:
    """Return the indices of a chart of patches: see `fastgrad.presets.patches`."""
    try:
        device = np.array(palette_texts.colours(colors), np.uint8).reshape(-1, 3)  # type: ignore
    except (TypeError, ValueError) as error:
        raise ValueError(f"colors must be a list of colours, got {error}") from None
    if not 2 <= len(device) <= CODES:
        raise ValueError(f"colors must be 2 to {CODES} colours, got {len(device)}")
    if len(size) != 2:
        raise ValueError(f"size must be a width and a height, got {size!r}")
    width = _validate.integer(size[0], "size", 1, 1 << 15)
    height = _validate.integer(size[1], "size", 1, 1 << 15)
    count = len(device)
    sides = [min(width // n, height // -(-count // n)) for n in range(1, count + 1)]
    across = 1 + int(np.argmax(sides))
    down, cell = -(-count // across), (height // -(-count // across), width // across)
    gap = max(1, min(cell) // 12)
    if min(cell) - 2 * (gap + FRAME) < LEAST:
        raise ValueError(f"size must have room for {count} patches, got {width} x {height}")
    light = to_linear(device) @ np.array(LUMINANCE)
    chart = np.full((height, width), light.argmax(), np.uint8)
    for i in range(count):
        row, column = divmod(i, across)
        top, left = row * height // down, column * width // across
        for inset, index in ((gap, light.argmin()), (gap + FRAME, i)):
            rows = slice(top + inset, top + cell[0] - inset)
            chart[rows, left + inset : left + cell[1] - inset] = index
    return chart


def _checked(found: dict[str, Any]) -> Measured:
    """Return a measurement, whose parts are checked."""
    _keys(found, KEYS, "a measurement")
    entries = found.get("patches")
    if not isinstance(entries, list) or not 2 <= len(entries) <= CODES:
        got = len(entries) if isinstance(entries, list) else entries
        raise ValueError(f"'patches' must be a list of 2 to {CODES} objects, got {got!r}")
    space = _validate.named(found.get("space", "srgb"), "'space'", SPACES)
    relative = _validate.choice(found.get("relative", True), "'relative'", (False, True))
    white = _white(found.get("white"), space)
    device, codes, seen = [], [], []
    for number, entry in enumerate(entries, 1):
        place = f"patch {number}"
        if not isinstance(entry, dict):
            raise ValueError(f"{place} must be an object with 'device' and 'measured'")
        _keys(entry, PATCH, place)
        for name in ("device", "measured"):
            if name not in entry:
                raise ValueError(f"{place} must have {name!r}")
        device += _color(entry["device"], place)
        codes.append(entry.get("code"))
        readings = _readings(entry["measured"], place)
        seen.append(_linear(readings, space, white, place).mean(axis=0))
    inks = np.array(device, np.uint8).reshape(-1, 3)
    if len(np.unique(inks, axis=0)) < len(inks):
        raise ValueError("each patch must have another 'device' colour than the others")
    linear = np.array(seen)
    if relative:
        linear = _relative(linear, int((to_linear(inks) @ np.array(LUMINANCE)).argmax()))
    colors = to_srgb(linear)
    if len(np.unique(colors, axis=0)) < 2:
        raise ValueError("all patches look the same")
    return Measured(str(found.get("name", "measured")), colors, inks, _codes(codes))


def _keys(found: dict[str, Any], known: tuple[str, ...], what: str) -> None:
    """Refuse what nobody would read: a name that is misspelt would count for nothing."""
    for name in found:
        if name not in known:
            raise ValueError(f"{what} must have no {name!r}, but {', '.join(known)}")


def _color(given: Any, place: str) -> list[tuple[int, ...]]:
    """Return the one colour of a patch."""
    try:
        (color,) = palette_texts.colours([given])
    except (TypeError, ValueError):
        wanted = "a colour like '#rrggbb' or [r, g, b]"
        raise ValueError(f"'device' of {place} must be {wanted}, got {given!r}") from None
    return [color]


def _white(given: Any, space: str) -> FloatArray:
    """Return the XYZ of the illuminant."""
    if space == "srgb":
        if given is not None:
            raise ValueError(f"'white' must be left out with sRGB, got {given!r}")
        return np.array(WHITES["D65"])
    if given is None and space == "lab":
        return np.array(WHITES["D50"])
    if isinstance(given, str) and given.upper() in WHITES:
        return np.array(WHITES[given.upper()])
    white = _three(given)
    if white is None or not (white > 0).all():
        raise ValueError(
            f"'white' must be D50, D65 or the XYZ of the illuminant with {space}, got {given!r}"
        )
    return white


def _three(given: Any) -> FloatArray | None:
    """Return three finite numbers, or None."""
    if not isinstance(given, (list, tuple)) or len(given) != 3:
        return None
    if not all(isinstance(x, (int, float)) and not isinstance(x, bool) for x in given):
        return None
    numbers = np.array(given, np.float64)
    return numbers if np.isfinite(numbers).all() else None


def _readings(given: Any, place: str) -> FloatArray:
    """Return the readings of a patch, (N, 3)."""
    several = isinstance(given, (list, tuple)) and given and isinstance(given[0], (list, tuple))
    rows = [_three(row) for row in (given if several else [given])]
    if any(row is None for row in rows):
        wanted = "three numbers, or a list of such readings"
        raise ValueError(f"'measured' of {place} must be {wanted}, got {given!r}")
    return np.array(rows)


def _linear(readings: FloatArray, space: str, white: FloatArray, place: str) -> FloatArray:
    """Return readings in linear sRGB, of which some are beyond its range."""
    low, high = (0, 0, 0), (255, 255, 255)
    if space == "lab":
        low, high = (0, -128, -128), (100, 128, 128)
    elif space == "xyz":
        high = tuple(1.2 * white)  # a patch that glows
    if not ((readings >= low) & (readings <= high)).all():
        numbers = readings[((readings < low) | (readings > high)).any(axis=1)][0].tolist()
        raise ValueError(
            f"'measured' of {place} must be within the range of {space}, got {numbers}"
        )
    if space == "srgb":
        return decode(readings / 255)
    xyz = readings
    if space == "lab":
        y = (readings[:, 0] + 16) / 116
        f = np.stack([y + readings[:, 1] / 500, y, y - readings[:, 2] / 200], axis=1)
        xyz = white * np.where(f > DELTA, f**3, 3 * DELTA**2 * (f - 4 / 29))
    columns = colour_profiles.colorants(colour_profiles.PRIMARIES[1])
    assert columns is not None
    cones = colour_profiles.BRADFORD
    gain = (cones @ np.array(colour_profiles.D50)) / (cones @ white)
    adapted = np.linalg.solve(cones, gain[:, None] * (cones @ xyz.T))
    return np.linalg.solve(columns, adapted).T


def _relative(linear: FloatArray, paper: int) -> FloatArray:
    """Return colours divided by that of the paper, channel by channel."""
    white = linear[paper]
    if not (white > 1e-3).all():
        raise ValueError(f"patch {paper + 1}, the lightest of the device, must not be black")
    if (linear @ np.array(LUMINANCE)).argmax() != paper:
        raise ValueError(
            f"patch {paper + 1}, the lightest of the device, must be measured as the lightest too"
        )
    return linear / white


def _codes(given: list[Any]) -> tuple[int, ...] | None:
    """Return the driver's numbers, if there are any."""
    if all(code is None for code in given):
        return None
    for number, code in enumerate(given, 1):
        if isinstance(code, bool) or not isinstance(code, int) or not 0 <= code < CODES:
            wanted = f"an integer from 0 to {CODES - 1}, as that of the others"
            raise ValueError(f"'code' of patch {number} must be {wanted}, got {code!r}")
    if len(set(given)) < len(given):
        raise ValueError("each patch must have another 'code' than the others")
    return tuple(given)
