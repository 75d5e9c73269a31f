"""Palettes that are text: GIMP, JASC, JSON, Paint.NET, and lists of hexadecimal colours.

A reader takes the text of a file and returns its colours, a list of triples of integers; that of
JSON returns two lists where the file has colours of a device. All raise `ValueError`, in words, if
the text is not what it should be.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import numpy as np

from fastgrad._typing import Array

__all__ = ["READERS", "WRITERS", "colours", "decode", "read_hex", "recognise", "write_json"]

Colour: TypeAlias = "tuple[int, ...]"
SIX, EIGHT = re.compile("[0-9a-f]{6}"), re.compile("[0-9a-f]{8}")
SHORT = re.compile("[0-9a-f]{3}")
UTF_16 = ((codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
CONTROLS = re.compile("[\x00-\x08\x0e-\x1f\x7f]")


def decode(data: bytes) -> str | None:
    """Decode a text in UTF-8, UTF-16 or Latin-1.

    Parameters
    ----------
    data : bytes
        The content of a file.

    Returns
    -------
    str or None
        The text, or None if the file holds control characters and is no text.

    Raises
    ------
    ValueError
        If it begins as UTF-16 and goes on otherwise.

    Examples
    --------
    >>> decode("grün".encode("latin-1"))
    'grün'
    """
    encoding = next((name for mark, name in UTF_16 if data.startswith(mark)), None)
    if encoding is None and len(data) >= 4 and data[0] != data[1]:  # no mark: ASCII and zeros
        pairs = data[:2], data[2:4]
        encoding = "utf-16-le" if all(p[1] == 0 < p[0] for p in pairs) else None
        encoding = "utf-16-be" if all(p[0] == 0 < p[1] for p in pairs) else encoding
    if encoding is not None:
        try:
            text = data.decode(encoding).removeprefix("\ufeff")
        except UnicodeDecodeError:
            text = "\0"
        if CONTROLS.search(text) and data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError("it begins as text in UTF-16 and then is none")
    else:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError:
            text = data.decode("latin-1")
    return None if CONTROLS.search(text) else text


def recognise(text: str) -> str | None:
    """Return which of `READERS` a text is for, by its first characters; None if they do not say."""
    head = text.lstrip()
    if head.startswith("GIMP Palette"):
        return ".gpl"
    if head.startswith("JASC-PAL"):
        return ".pal"
    return ".json" if head.startswith(("[", "{")) else None


def colours(found: Iterable[str | Sequence[Any]], *, alpha_first: bool = False) -> list[Colour]:
    """Read colours that are hexadecimal, or lists of three numbers.

    Those of eight digits have their opacity first, or last, or it cannot be told. What all of them
    say together decides: an opacity is mostly ``ff``.

    Parameters
    ----------
    found : iterable of str or of sequence
        Colours such as ``"#1a2b3c"``, ``"0x1A2B3C"``, ``"#fff"`` or ``(26, 43, 60)``.
    alpha_first : bool, optional
        Whether it is known that opacity comes first.

    Returns
    -------
    list of tuple of int
        Colours from 0 to 255. Those that are fully transparent are left out.

    Raises
    ------
    ValueError
        If something is no colour, or eight digits may be read in two ways.

    Examples
    --------
    >>> colours(["#f00", "0x00ff00", (0, 0, 255)])
    [(255, 0, 0), (0, 255, 0), (0, 0, 255)]
    >>> colours(["ff102030", "ff405060"])
    [(16, 32, 48), (64, 80, 96)]
    """
    every = [_digits(one) if isinstance(one, str) else _numbers(one) for one in found]
    long = [one for one in every if isinstance(one, str) and len(one) == 8]
    if long and not alpha_first:
        first = all(one[:2] == "ff" for one in long)
        last = all(one[6:] == "ff" for one in long)
        if not first and not last:
            one = next((one for one in long if one[:6] != one[2:]), long[0])
            raise ValueError(
                f"{one!r} can be read as rrggbbaa, #{one[:6]}, or as aarrggbb, #{one[2:]}: "
                "write colours of six digits"
            )
        alpha_first = not last
    result = []
    for one in every:
        if isinstance(one, str):
            opacity, one = (one[:2], one[2:]) if alpha_first else (one[6:], one[:6])
            if opacity == "00":
                continue
            one = tuple(bytes.fromhex(one))
        result.append(one)
    return result


def _digits(text: str) -> Any:
    """Return eight hexadecimal digits, or the numbers of a colour that has no opacity."""
    digits = text.strip().lower()
    digits = digits.removeprefix("#") if digits[:1] == "#" else digits.removeprefix("0x")
    if SHORT.fullmatch(digits):
        digits = "".join(2 * digit for digit in digits)
    if EIGHT.fullmatch(digits):
        return digits
    if not SIX.fullmatch(digits):
        raise ValueError(f"not a colour: {text.strip()[:20]!r}")
    return tuple(bytes.fromhex(digits))


def _numbers(row: Any) -> Colour:
    """Return the three numbers of a colour."""
    try:
        numbers = tuple(integer(value) for value in row)
    except TypeError:
        raise ValueError(f"not a colour: {str(row)[:20]!r}") from None
    if len(numbers) != 3 or max(numbers) > 255:
        raise ValueError("a colour that is not three numbers from 0 to 255")
    return numbers


def integer(value: Any) -> int:
    """Read plain digits: `int` would also take underscores and other scripts."""
    text = str(value)
    if not re.fullmatch("[0-9]{1,9}", text):
        raise ValueError(f"not a number from 0 to 255: {text[:20]!r}")
    return int(text)


def _lines(text: str) -> list[str]:
    """Split a text into lines that are not empty."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def _seen(rows: Iterable[Sequence[str]]) -> list[Colour]:
    """Read rows of red, green, blue and opacity; leave out what is transparent."""
    pairs = [(_numbers(row[:3]), integer(row[3]) if len(row) > 3 else 255) for row in rows]
    return [colour for colour, opacity in pairs if opacity > 0]


# -- one format after the other ------------------------------------------------------------------


def _read_gpl(text: str) -> list[Colour]:
    head, *lines = _lines(text) or [""]
    if not head.startswith("GIMP Palette"):
        raise ValueError("the first line is not 'GIMP Palette'")
    rows, width = [], 3
    for line in lines:
        if re.match(r"channels:\s*rgba\s*$", line, re.IGNORECASE):  # as Aseprite writes it
            width = 4
        elif not re.match("#|name:|columns:|channels:", line, re.IGNORECASE):
            rows.append(line.split())
    return _seen(row[:width] for row in rows)


def _write_gpl(colors: Array, name: str) -> str:
    rows = [f"{r:3d} {g:3d} {b:3d}\t{r:02x}{g:02x}{b:02x}" for r, g, b in colors]
    return "\n".join(["GIMP Palette", f"Name: {name}", "Columns: 0", "#", *rows, ""])


def _read_pal(text: str) -> list[Colour]:
    lines = _lines(text)
    if lines[:2] != ["JASC-PAL", "0100"] or len(lines) < 3:
        raise ValueError("it does not begin with 'JASC-PAL' and '0100'")
    rows = [line.split()[:4] for line in lines[3:]]
    if len(rows) != integer(lines[2]):
        raise ValueError(f"{len(rows)} colours, not the {lines[2]} that it claims")
    return _seen(rows)


def _write_pal(colors: Array, name: str) -> str:
    rows = [f"{r} {g} {b}" for r, g, b in colors]
    return "\r\n".join(["JASC-PAL", "0100", str(len(rows)), *rows, ""])


def read_hex(text: str) -> list[Colour]:
    """Read hexadecimal colours, with # or 0x or nothing before them, several to a line or not.

    They are set apart by spaces or commas. What follows a ``;`` or ``//`` is a comment, and so is a
    line that begins with ``# ``, and what follows a colour and looks like none.
    """
    found: list[str] = []
    for line in _lines(text):
        if re.match(r"#(\s|$)", line):
            continue
        words = re.split(r"[\s,]+", re.split(";|//", line, maxsplit=1)[0])
        words = [word for word in (word.strip("'\"") for word in words) if word]
        for place, word in enumerate(words):
            if place and not re.match("#|0x|([0-9a-f]{6}|[0-9a-f]{8})$", word, re.IGNORECASE):
                break
            found.append(word)
    paint_net = re.search(r"^\s*;.*paint\.net", text, re.IGNORECASE | re.MULTILINE)
    return colours(found, alpha_first=paint_net is not None)


def _write_hex(colors: Array, name: str) -> str:
    return "".join(f"{r:02x}{g:02x}{b:02x}\n" for r, g, b in colors)


def _write_txt(colors: Array, name: str) -> str:
    rows = [f"FF{r:02X}{g:02X}{b:02X}" for r, g, b in colors]
    return "\r\n".join(["; paint.net Palette File", f"; Palette Name: {name}", *rows, ""])


def _read_json(text: str) -> Any:
    try:
        found = json.loads(text)
    except RecursionError:
        raise ValueError("lists in lists without end") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"no JSON: {error}") from None
    if isinstance(found, dict):
        if "colors" not in found:
            raise ValueError("an object without 'colors'")
        both = found["colors"], found.get("device")
    else:
        both = found, None
    for part in both:
        if not isinstance(part, list) and part is not None:
            raise ValueError("no list of colours")
    colors, device = both
    return colours(colors) if device is None else (colours(colors), colours(device))


def write_json(colors: Array, name: str, device: Array | None = None) -> str:
    """Write colours as JSON, and beside them those of a device, if there are any."""
    parts = {"colors": colors} if device is None else {"colors": colors, "device": device}
    rows = {
        key: [f"#{bytes(colour).hex()}" for colour in np.asarray(part, np.uint8)]
        for key, part in parts.items()
    }
    return json.dumps({"name": name, **rows}, indent=2) + "\n"


READERS = {".gpl": _read_gpl, ".pal": _read_pal, ".json": _read_json}
READERS |= dict.fromkeys((".hex", ".txt"), read_hex)
WRITERS = {".gpl": _write_gpl, ".hex": _write_hex, ".pal": _write_pal, ".json": write_json}
WRITERS[".txt"] = _write_txt
