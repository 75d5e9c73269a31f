"""Lines for the terminal: one line each, whatever names and files hold."""

from __future__ import annotations

import contextlib
import difflib
import os
import sys
from collections.abc import Iterable
from typing import TextIO

LONGEST = 1000  # characters of a line
_substitutes: list[TextIO] = []  # for standard streams that were closed


def printable(text: object, *, longest: int = LONGEST) -> str:
    r"""Return text without control characters: they stand as escapes, as in Python's source.

    Parameters
    ----------
    text : object
        Anything; what `str` makes of it is taken.
    longest : int, optional
        Characters, after which the middle is left out.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> print(printable("a\x1b[31m\n.png"))
    a\x1b[31m\n.png
    """
    whole = str(text)
    if len(whole) > longest:
        half = max(longest - 5, 2) // 2
        whole = f"{whole[:half]} ... {whole[-half:]}"
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in whole)


def complain(command: str, error: object) -> None:
    """Print a line on standard error."""
    name = f"fastgrad {command}" if command else "fastgrad"
    try:
        print(f"{name}: {printable(error)}", file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def suggestion(word: str, choices: Iterable[str]) -> str:
    """Return " (did you mean ...?)" if one of the choices is near a word, else nothing.

    Examples
    --------
    >>> suggestion("--pallete", ["--palette", "--preset"])
    ' (did you mean --palette?)'
    """
    known = {choice.lower(): choice for choice in choices}
    near = difflib.get_close_matches(word.lower(), known, n=1, cutoff=0.6)
    return f" (did you mean {known[near[0]]}?)" if near else ""


def prepare() -> None:
    """Make the standard streams such that a line can be printed whatever holds.

    A stream that is closed is replaced by one that goes nowhere, so that no file gets its number;
    characters that a stream cannot encode are written as escapes.
    """
    for name in ("stdin", "stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            stream = open(os.devnull, "r" if name == "stdin" else "w", encoding="utf-8")  # noqa: SIM115
            setattr(sys, name, stream)
            _substitutes.append(stream)
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def is_closed(stream: TextIO) -> bool:
    """Return whether a standard stream was closed from the beginning."""
    return any(stream is substitute for substitute in _substitutes)


def discard(stream: TextIO) -> None:
    """Let what a stream holds go nowhere: at exit Python would try again, and complain."""
    with contextlib.suppress(OSError, ValueError):  # a stream in memory has no number
        number = stream.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
