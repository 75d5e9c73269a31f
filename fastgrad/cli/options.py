"""What an option of a command is, and how a parser is told of it."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from fastgrad.cli.values import number


class Option(NamedTuple):
    """An option: its names, and what `argparse.ArgumentParser.add_argument` is told of it."""

    names: tuple[str, ...]
    told: dict[str, Any]
    rivals: str | None = None  # of options with one name here, only one may be given


def option(*names: str, rivals: str | None = None, **told: Any) -> Option:
    """Describe an option."""
    return Option(names, told, rivals)


def numeric(
    name: str, kind: type[int] | type[float], low: float, high: float, text: str, **told: Any
) -> Option:
    """Describe an option whose value is a number from low to high."""
    told = {"metavar": "X" if kind is float else "N", "help": text, **told}
    return option(name, type=number(kind, low, high), **told)


def add(parser: argparse.ArgumentParser, table: dict[str, tuple[Option, ...]]) -> None:
    """Add a table of options, in groups, to a parser."""
    exclusive: dict[str, Any] = {}
    for title, options in table.items():
        group = parser.add_argument_group(title) if title else parser
        for names, told, rivals in options:
            place: Any = group
            if rivals is not None:
                if rivals not in exclusive:
                    exclusive[rivals] = group.add_mutually_exclusive_group()
                place = exclusive[rivals]
            place.add_argument(*names, **told)


THREADS = numeric("--threads", int, 1, 4096, "threads to use (default: one for each processor)")
