"""The types of values on the command line: numbers, sizes, names of files, colours."""

from __future__ import annotations

import argparse
import contextlib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from fastgrad.cli.messages import printable
from fastgrad.dithering.files.plan import checked_suffix
from fastgrad.dithering.optimiser.solid import MODES
from fastgrad.dithering.optimiser.tile_limits import Tiles
from fastgrad.dithering.pictures import transparency
from fastgrad.dithering.pictures.consoles import CONSOLES
from fastgrad.dithering.pictures.inputs import colors_of
from fastgrad.dithering.pictures.transparent_entry import key_of

PAGES = (".html", ".htm")


def number(kind: type[int] | type[float], low: float, high: float) -> Callable[[str], float]:
    """Build the type of an argument: a number from low to high."""
    noun = "an integer" if kind is int else "a number"
    least, most = (int(x) if x == int(x) else x for x in (low, high))

    def parse(text: str) -> float:
        try:
            # Python's own rules also take underscores and the digits of other scripts.
            value = kind(text) if text.isascii() and "_" not in text else None
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            shown = printable(text, longest=40)
            raise argparse.ArgumentTypeError(f"must be {noun} from {least} to {most}, got {shown}")
        return value

    return parse


def size(text: str) -> tuple[int | None, int | None]:
    """Read WxH, W or xH: width and height in pixels, None for what follows from the other."""
    found = re.fullmatch("([0-9]{1,5})?(?:x([0-9]{1,5}))?", text)
    values = [None if part is None else int(part) for part in found.groups()] if found else [0]
    if not any(values) or 0 in values:
        shown = printable(text, longest=40)
        raise argparse.ArgumentTypeError(f"must be WxH, W or xH in pixels, got {shown}")
    return values[0], values[1]


def bytes_of(text: str) -> int:
    """Read a number of bytes, such as 40000, 40kB or 1.5MiB."""
    found = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,6})?) ?(k|K|M|)(i?)B?", text)
    value = 0
    if found:
        base = 1024 if found[3] else 1000
        value = int(float(found[1]) * base ** ("", "k", "m").index(found[2].lower()))
    if value < 1:
        shown = printable(text, longest=40)
        raise argparse.ArgumentTypeError(f"must be bytes such as 40000, 40kB or 1MiB, got {shown}")
    return value


def file(text: str) -> str:
    """Read the name of a file or directory; - is a standard stream."""
    if not text or "\0" in text:
        raise argparse.ArgumentTypeError(f"must be the name of a file, got {printable(text)!r}")
    return text


def gain(text: str) -> float | str:
    """Read a dot gain in percent, or the name of a file that has one."""
    if text.lower().endswith(".json"):
        return file(text)
    try:
        return number(float, 0, 50)(text)
    except argparse.ArgumentTypeError:
        shown = printable(text, longest=40)
        raise argparse.ArgumentTypeError(
            f"must be percent from 0 to 50, or a file that ends in .json, got {shown}"
        ) from None


def solid(text: str) -> bool | list[str]:
    """Read which colours stay solid."""
    if text.lower() in ("all", "none"):
        return text.lower() == "all"
    colors = [part.strip() for part in text.split(",")]
    try:
        colors_of(colors, "colour")
    except ValueError:
        shown = printable(text, longest=40)
        raise argparse.ArgumentTypeError(
            f"must be all, none, or colours like #rrggbb,#rrggbb, got {shown}"
        ) from None
    return colors


def limits(text: str) -> Tiles:
    """Return the limits that a console's name or the size of a tile stands for."""
    if text.lower() in CONSOLES:
        return CONSOLES[text.lower()]
    width, _, height = text.lower().partition("x")
    return Tiles((int(width), int(height)))


def tiles(text: str) -> str:
    """Read the name of a console, or the size of a tile, and keep it for the report."""
    if text.lower() in CONSOLES or re.fullmatch("[0-9]{1,3}x[0-9]{1,3}", text):
        with contextlib.suppress(ValueError):
            limits(text)
            return text.lower()
    known, shown = ", ".join(CONSOLES), printable(text, longest=40)
    raise argparse.ArgumentTypeError(f"must be {known} or WxH in pixels, got {shown}")


def shared(text: str) -> bool | str:
    """Read which colour all palettes share."""
    if text.lower() in ("learn", "none"):
        return text.lower() == "learn"
    try:
        (color,) = colors_of([text], "colour").tolist()
    except ValueError:
        shown = printable(text, longest=40)
        raise argparse.ArgumentTypeError(
            f"must be learn, none, or a colour like #rrggbb, got {shown}"
        ) from None
    return f"#{bytes(color).hex()}"


def opacity(text: str) -> str:
    """Read what becomes of opacity: the name of a mode, or a colour."""
    try:
        mode, key = key_of(text.lower())
    except ValueError as error:
        _, hint, near = str(error).partition(" (did you mean")
        known, shown = ", ".join(transparency.MODES), printable(text, longest=40)
        raise argparse.ArgumentTypeError(
            f"must be one of {known}, or a colour like #rrggbb, got {shown}{hint}{near}"
        ) from None
    return str(mode) if key is None else f"#{bytes(key.color).hex()}"


def mask(text: str) -> tuple[str, str]:
    """Read the name of a mask, and behind a colon the mode for what is white in it."""
    name, colon, mode = text.rpartition(":")
    if not colon or mode.lower() not in MODES:
        if colon and name and not Path(text).exists() and Path(name).exists():
            said = f"{printable(mode, longest=40)} behind {printable(name, longest=40)}"
            raise argparse.ArgumentTypeError(f"must end in one of {', '.join(MODES)}, got {said}")
        name, mode = text, "text"
    return file(name), mode.lower()


def page(text: str) -> str | bool:
    """Read where a comparison goes: into the page of that name or, without one, into a picture."""
    if not text:
        return True
    if not text.lower().endswith(PAGES) or "\0" in text:
        shown = printable(text, longest=40)
        raise argparse.ArgumentTypeError(f"must be a name that ends in .html, got {shown}")
    return text


def suffix(text: str) -> str:
    """Read what is put behind names."""
    try:
        return checked_suffix(text)
    except ValueError:
        shown = printable(text, longest=40)
        raise argparse.ArgumentTypeError(f"must be part of a file's name, got {shown}") from None


def joined(arguments: Sequence[str]) -> list[str]:
    """Tie two options to what is behind them, where it would be taken for something else.

    That is --compare and a page, or none: what follows it else is a picture. And --suffix and a
    text that begins with a dash, but is no option of one letter.
    """
    left, made = list(arguments), []
    if left[:1] != ["dither"]:
        return left
    while left:
        argument = left.pop(0)
        if argument == "--":
            return [*made, argument, *left]
        if len(argument) > len("--co") and "--compare".startswith(argument):
            named = bool(left) and left[0].lower().endswith(PAGES)
            argument = f"--compare={left.pop(0) if named else ''}"
        elif len(argument) > len("--su") and "--suffix".startswith(argument):
            dashed = left and re.fullmatch(r"-(?!-|.?\d*$).*", left[0], re.DOTALL)
            argument = f"--suffix={left.pop(0)}" if dashed else argument
        made.append(argument)
    return made
