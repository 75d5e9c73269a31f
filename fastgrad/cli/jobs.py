"""What ``fastgrad dither`` reads and where it writes; no file is written that was not named."""

from __future__ import annotations

import argparse
import contextlib
import glob
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastgrad.cli.messages import is_closed
from fastgrad.dithering.pictures import animation, images, output_files, palette_files
from fastgrad.dithering.pictures.images import FileError

SUFFIX, COMPARISON = "-dithered", "-comparison"
PHOTOGRAPH = Path(__file__).parent.parent / "data" / "astronaut.jpg"


@dataclass(frozen=True)
class Job:
    """A picture, where it goes (None is standard output), and its comparison, if any."""

    picture: images.Picture
    target: Path | None
    sheet: Path | None


class Names:
    """The files of a run: those that are read, and those that are to be written."""

    def __init__(self, sources: Sequence[Path | str], palette: str | None) -> None:
        paths = [source for source in sources if isinstance(source, Path)]
        self.read: dict[Any, str] = {output_files.identity(path): "input" for path in paths}
        if palette is not None:
            self.read[output_files.identity(Path(palette))] = "palette"
        self.written: dict[tuple[int, int] | str, str] = {}

    def claim(
        self, path: Path, endings: Sequence[str], what: str = "files", source: object = None
    ) -> None:
        """Note that a file is to be written.

        Raises
        ------
        FileError
            If it cannot be written, or is read, or was claimed before.
        """
        output_files.check_targets([path], endings=endings)
        key = output_files.identity(path)
        if key in self.read:
            raise FileError(f"the output would replace the {self.read[key]}: {path}")
        if key in self.written:
            both = what if self.written[key] == what else "files"
            of = "" if source is None else f": {source}"
            raise FileError(f"two {both} would be written to {path}{of}")
        self.written[key] = what


def find(inputs: Sequence[str]) -> list[Path | str]:
    """Expand patterns, where the shell has not, and directories; "-" stays.

    Parameters
    ----------
    inputs : sequence of str
        The names that were given; none stands for the photograph of the package.

    Returns
    -------
    list of pathlib.Path or str
        The pictures, whether there are such files or not.
    """
    if not inputs:
        return [PHOTOGRAPH]
    sources: list[Path | str] = []
    for name in inputs:
        if name == "-":
            sources.append(name)
        elif os.path.isdir(name):
            sources += _inside(Path(name)) or [Path(name)]
        elif not os.path.lexists(name) and glob.has_magic(name):
            sources += [Path(found) for found in sorted(glob.glob(name))] or [Path(name)]
        else:
            sources.append(Path(name))
    return sources


def _inside(folder: Path) -> list[Path]:
    """Return the pictures in a directory, without those that this command writes."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise FileError(f"cannot read the directory {folder}: {error.strerror}") from None
    made = (SUFFIX, COMPARISON)
    return [
        path
        for path in found
        if path.suffix.lower() in images.ENDINGS and path.is_file() and not path.stem.endswith(made)
    ]


def is_folder(out: str, several: bool) -> bool:
    """Return whether an output is a directory, be it one that is still to be made."""
    ends = tuple(filter(None, (os.sep, os.altsep)))
    named = out.endswith(ends) or (several and Path(out).suffix.lower() not in animation.FORMATS)
    return out != "-" and (os.path.isdir(out) or named)


@contextlib.contextmanager
def folder(path: Path | None) -> Iterator[None]:
    """Make a directory, if there is none; take it away again if nothing was put into it."""
    if path is None or os.path.isdir(path):
        yield
        return
    try:
        os.mkdir(path)
    except OSError as error:
        raise FileError(f"cannot make the directory {path}: {error.strerror}") from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def plan(
    given: argparse.Namespace, sources: Sequence[Path | str], out: str | None
) -> tuple[list[Job], list[dict[str, str]]]:
    """Open each picture and settle where it goes.

    Parameters
    ----------
    given : argparse.Namespace
        What the command line asks for.
    sources : sequence of pathlib.Path or str
        The pictures.
    out : str or None
        The output, which is there if it is a directory.

    Returns
    -------
    jobs : list of Job
        What can be done.
    errors : list of dict
        What cannot be done: the "input", and the "error".

    Raises
    ------
    FileError
        If the report or the palette cannot be written, or would replace another file of this run.
    """
    jobs, errors = [], []
    names = Names(sources, given.palette)
    for name, endings in ((given.report, (".json",)), (given.swatches, palette_files.WRITERS)):
        if name is not None:
            names.claim(Path(name), tuple(endings))
    for source in sources:
        try:
            if isinstance(source, Path) and os.path.isdir(source):
                raise FileError(f"not a file: {source} (a directory without pictures)")
            data = source if isinstance(source, Path) else _standard_input()
            picture = _open(data, given.resize)
            target, sheet = _targets(given, source, picture, out)
            if sheet is not None:
                names.claim(sheet, (".png",), "comparisons", source)
            if target is not None:
                names.claim(target, tuple(animation.FORMATS), "pictures", source)
            jobs.append(Job(picture, target, sheet))
        except FileError as error:
            errors.append({"input": str(source), "error": str(error)})
    return jobs, errors


def _standard_input() -> bytes:
    """Read a picture from standard input."""
    if is_closed(sys.stdin):
        raise FileError("cannot read standard input: it is closed")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise FileError(f"cannot read standard input: {error.strerror}") from None


def target_size(
    size: tuple[int | None, int | None] | None, width: int, height: int
) -> tuple[int, int]:
    """Return the size that is asked for, the proportions kept where one side is left open."""
    new_width, new_height = size or (width, height)
    if new_width is None:
        new_width = max(1, round(width * (new_height or height) / height))
    if new_height is None:
        new_height = max(1, round(height * new_width / width))
    return new_width, new_height


def _open(source: Path | bytes, size: tuple[int | None, int | None] | None) -> images.Picture:
    """Open a picture, but one that is too large to be dithered."""
    if size is None:
        try:
            return images.Picture(source)
        except images.TooManyPixels as error:
            raise FileError(f"{error} (--resize makes it smaller)") from None
    picture = images.Picture(source, largest=images.MAX_DECODED)
    width, height = target_size(size, picture.width, picture.height)
    all_frames = width * height * picture.count
    if width * height > images.MAX_PIXELS or all_frames > images.MAX_ANIMATED:
        raise FileError(f"too many pixels after --resize: {picture.name}")
    return picture


def _targets(
    given: argparse.Namespace, source: Path | str, picture: images.Picture, out: str | None
) -> tuple[Path | None, Path | None]:
    """Return where a picture is written, None for standard output, and where its sheet, if any."""
    stem = source.stem if isinstance(source, Path) else "stdin"
    ending = ".gif" if picture.format == "GIF" and picture.count > 1 else ".png"
    target = None
    if out == "-":
        if sys.stdout.isatty():
            raise FileError("a picture is not written to a terminal: use -o or a pipe")
        if is_closed(sys.stdout):
            raise FileError("cannot write standard output: it is closed")
        beside = Path(f"{stem}.png")
    elif out is None or os.path.isdir(out):
        target = beside = Path(out or "", f"{stem}{SUFFIX}{ending}")
    else:
        target = beside = Path(out)
    sheet = beside.with_name(beside.stem.removesuffix(SUFFIX) + f"{COMPARISON}.png")
    return target, sheet if given.compare else None
