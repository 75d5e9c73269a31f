"""The options of the commands, from the tables that the commands read them from."""

import argparse
import re

from builders.files import save
from fastgrad.cli import COMMANDS

HEAD = """# The command

`fastgrad COMMAND`, or `python -m fastgrad COMMAND` where scripts are not on the path. It ends with
0; with 2 for bad input and for what cannot be written, after one line that says why; and with 130
after Ctrl-C. `--help` prints what stands here.
"""
MARKS = re.compile(r"([<>|*_\[\]{}$])")
OPTIONS = re.compile(r"(--[a-z][a-z-]*)")
NAMED = re.compile(r"([a-z0-9-]+) \((.*)\)")  # a value, and what it means


def heading(option):
    """Return how an option is written, with what it takes."""
    name, told = option.names[0], option.told
    takes = told.get("metavar") or "|".join(map(str, told.get("choices", ())))
    if told.get("action") is argparse.BooleanOptionalAction:
        return f"`{name}`, `--no-{name.removeprefix('--')}`"
    if not name.startswith("-"):
        return f"`{takes}`"
    takes = f"[{takes}]" if told.get("nargs") == "?" else takes
    return ", ".join(f"`{f'{name} {takes}'.strip()}`" for name in option.names)


def said(option):
    """Return what an option does; values that are explained become a list."""
    text = option.told["help"] % {"default": option.told.get("default")}
    head, _, values = text.partition(": ")
    named = [NAMED.fullmatch(one) for one in values.split("; ")]
    if not all(named):
        return plain(text)
    lines = [f"  - `{found[1]}`: {plain(found[2])}" for found in named]
    return "\n".join([f"{plain(head)}:", "", *lines])


def plain(text):
    """Escape what would be markup, and write options as such."""
    return OPTIONS.sub(r"`\1`", MARKS.sub(r"\\\1", text))


def page():
    """Return the page."""
    parts = [HEAD]
    for name, command in COMMANDS.items():
        summary = command.summary
        parts.append(f"## fastgrad {name}\n\n{summary[0].upper()}{summary[1:]}.\n")
        for title, options in command.table.items():
            if title:
                parts.append(f"### {title[0].upper()}{title[1:]}\n")
            parts += [f"{heading(option)}\n: {said(option)}\n" for option in options]
    return "\n".join(parts)


def write(folder):
    """Write the page."""
    save(folder / "command.md", page())
