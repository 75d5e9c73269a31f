"""``fastgrad compile``: kernels compiled ahead, for images and for CI.

They are compiled for the processor at hand, also where the package came with kernels, which are for
all processors of a level; from then on the former are used.
"""

from __future__ import annotations

import argparse

from fastgrad import precompile
from fastgrad.cli.messages import printable
from fastgrad.cli.options import Option, option
from fastgrad.cli.values import number
from fastgrad.dithering.pictures.file_errors import FileError


def group(text: str) -> str:
    """Read the name of a group of kernels."""
    if text not in precompile.GROUPS:
        known, shown = ", ".join(precompile.GROUPS), printable(text, longest=40)
        raise argparse.ArgumentTypeError(f"must be one of {known}, got {shown}")
    return text


COMPILE: dict[str, tuple[Option, ...]] = {
    "": (
        option(
            "groups",
            nargs="*",
            metavar="GROUP",
            type=group,
            help=f"what to compile: {', '.join(precompile.GROUPS)} (default: all)",
        ),
        option(
            *("-j", "--jobs"),
            type=number(int, 1, 4096),
            metavar="N",
            help="processes to use (default: one for each processor)",
        ),
    )
}


def compile_kernels(given: argparse.Namespace) -> int:
    """Run ``fastgrad compile``; return the exit code."""
    groups = given.groups or tuple(precompile.GROUPS)
    try:
        done = precompile.precompile(groups, jobs=given.jobs)
    except RuntimeError as error:
        raise FileError(str(error)) from None
    size = done.bytes / 1e6
    print(f"{done.kernels} kernels, {size:.1f} MB in {done.place} ({done.seconds:.1f} s)")
    return 0
