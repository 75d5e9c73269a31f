"""The command line: ``fastgrad dither``, ``palette``, ``compare``, ``compile`` and ``info``."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, NamedTuple, NoReturn

import numba

from fastgrad import _interrupts as interrupts
from fastgrad._version import __version__
from fastgrad.cli import messages, options, values
from fastgrad.dithering.pictures import images
from fastgrad.kernels.compiler import jit
from fastgrad.threads import set_num_threads


class Command(NamedTuple):
    """A command of the command line: where in this folder its function and its options stand."""

    function: str
    options: str
    summary: str

    @property
    def run(self) -> Callable[[argparse.Namespace], int]:
        """The function, imported here: a command imports no more than it needs."""
        return _found(self.function)

    @property
    def table(self) -> dict[str, Any]:
        """Its options, in groups."""
        return _found(self.options)


def _found(place: str) -> Any:
    module, _, name = place.partition(".")
    return getattr(import_module(f"{__name__}.{module}"), name)


COMMANDS = {
    "dither": Command(
        "pictures.dither", "arguments.DITHER", "dither a picture with a learned palette"
    ),
    "palette": Command(
        "palettes.palette", "palettes.PALETTE", "show what a panel has, and take measurements"
    ),
    "compare": Command(
        "problems.compare", "problems.COMPARE", "compare all estimators on stock problems"
    ),
    "compile": Command(
        "compilation.compile_kernels",
        "compilation.COMPILE",
        "compile kernels ahead of their first use, on all processors",
    ),
    "info": Command(
        "versions.info", "versions.INFO", "print versions, threads and the kernel cache"
    ),
}


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Print one line, with the nearest of the choices, and end with 2."""
        found = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message, re.DOTALL)
        if found:
            message += messages.suggestion(found[1], re.findall(r"[\w-]+", found[2]))
        command = self.prog.removeprefix("fastgrad").strip()
        messages.complain(command, message)
        self.exit(2)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit code: 0; 2 for bad input, and for a file or stream that cannot be written; 130
        after Ctrl-C, 143 after SIGTERM; 141 when what is printed has no reader any more.
    """
    messages.prepare()
    with interrupts.listening():
        code = _flushed(_run(argv))
        return interrupts.exit_code() if code == 0 and interrupts.pending() else code


def _run(argv: Sequence[str] | None) -> int:
    """Run the command, and say in one line what goes wrong."""
    command = ""
    try:
        with interrupts.allowed():
            given = _parse(argv)
            command = given.command
            _prepare_threads(given)
            return given.run(given)
    except SystemExit as end:  # of argparse: help, or bad arguments
        return end.code if isinstance(end.code, int) else 0
    except KeyboardInterrupt as error:
        interrupts.taken()
        messages.complain(command, str(error) or "interrupted, nothing written")
        return interrupts.exit_code()
    except images.FileError as error:
        messages.complain(command, error)
    except MemoryError:
        messages.complain(command, "not enough memory")
    except BrokenPipeError:  # whoever reads what is printed has had enough
        messages.discard(sys.stdout)
        return 141
    except OSError as error:
        messages.discard(sys.stdout)
        place = error.filename or "standard output"
        messages.complain(command, f"cannot write {place}: {error.strerror or error}")
    return 2


def _flushed(code: int) -> int:
    """Print what is still held back; return the exit code."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        messages.discard(sys.stdout)
        return 141
    except OSError as error:
        messages.discard(sys.stdout)
        messages.complain("", f"cannot write standard output: {error.strerror or error}")
        return code or 2
    return code


def _parse(argv: Sequence[str] | None) -> argparse.Namespace:
    """Read the arguments."""
    parser = _Parser(prog="fastgrad", description="Gradients over discrete random variables.")
    parser.add_argument("--version", action="version", version=f"fastgrad {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    words = values.joined(sys.argv[1:] if argv is None else argv)
    for name, command in COMMANDS.items():
        reader = commands.add_parser(name, help=command.summary)
        if name in words:
            reader.set_defaults(run=command.run, refuse=reader.error)
            options.add(reader, command.table)
    given, unknown = parser.parse_known_args(words)
    if unknown and hasattr(given, "inputs") and all(map(_is_input, unknown)):
        given.inputs = [*given.inputs, *unknown]  # argparse takes those that stand together
    elif unknown:
        table = COMMANDS[given.command].table
        known = [n for group in table.values() for o in group for n in o.names]
        name = unknown[0].partition("=")[0]
        hint = messages.suggestion(name, [n for n in known if n.startswith("-")])
        if os.path.isfile(unknown[0]):
            hint = f" (the file is ./{unknown[0]})"
        given.refuse(f"unrecognized arguments: {' '.join(unknown)}{hint}")
    return given


def _is_input(word: str) -> bool:
    """Return whether an argument that no option has taken is the name of a picture."""
    return bool(word) and "\0" not in word and (word == "-" or not word.startswith("-"))


def _prepare_threads(given: argparse.Namespace) -> None:
    """Check that threads can be had, and use as many as are asked for."""
    if numba.config.THREADING_LAYER != "default":  # type: ignore[attr-defined]
        try:
            jit.threading_layer()
        except ValueError as error:
            asked = numba.config.THREADING_LAYER  # type: ignore[attr-defined]
            reason = " ".join(str(error).split())
            raise images.FileError(f"NUMBA_THREADING_LAYER={asked}: {reason}") from None
    threads = getattr(given, "threads", None)
    if threads is not None:
        most = numba.config.NUMBA_NUM_THREADS  # type: ignore[attr-defined]
        if threads > most:
            given.refuse(f"--threads must be at most {most} here, got {threads}")
        set_num_threads(threads)
