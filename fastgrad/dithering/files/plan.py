"""Which picture files are read and where they go; no file is written that was not named."""

from __future__ import annotations

import contextlib
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from fastgrad.dithering.pictures import (
    device_files,
    images,
    indexed,
    large,
    output_files,
    palette_files,
)
from fastgrad.dithering.pictures.file_errors import FileError, of_option
from fastgrad.dithering.pictures.placement import target_size
from fastgrad.dithering.pictures.tiff_and_zarr import is_zarr

SUFFIX, COMPARISON = "-dithered", "-comparison"
PLOTS = (".png", ".svg", ".pdf")
PHOTOGRAPH = Path(__file__).parent.parent.parent / "data" / "astronaut.jpg"


@dataclass(frozen=True)
class Job:
    """A picture, where it goes (None is standard output), its comparison and share of bytes."""

    picture: images.Picture | large.LargePicture
    target: Path | None
    sheet: Path | None
    share: int | None = None

    @property
    def ending(self) -> str:
        """The ending of the name, which says the format."""
        return _ending(self.picture) if self.target is None else self.target.suffix.lower()


@dataclass(frozen=True)
class Naming:
    """Where pictures go.

    Attributes
    ----------
    output : str or None
        A file, a directory, or - for standard output; None for the present directory.
    suffix : str
        What is put behind the names of pictures in a directory; ``{ext}`` in it stands for the
        ending of the picture that is read, without its dot.
    skip_existing : bool
        Whether what is there already is left as it is.
    resize : tuple or None
        The width and height asked for.
    compare : bool
        Whether there are to be comparisons.
    report, swatches, palette : str or None
        Further files that are written, and the palette that is read.
    masks : tuple of str
        The masks that are read.
    format : str or None
        One of `device_files.FORMATS`, if it is not the ending that says it.
    page, plot : str or None
        The page on which all pictures are compared, and the plot of quality against bytes.
    largest : int
        The number of pixels that a picture may have.
    """

    output: str | None = None
    suffix: str = SUFFIX
    skip_existing: bool = False
    resize: tuple[int | None, int | None] | None = None
    compare: bool = False
    report: str | None = None
    swatches: str | None = None
    palette: str | None = None
    masks: tuple[str, ...] = ()
    format: str | None = None
    page: str | None = None
    plot: str | None = None
    largest: int = images.MAX_LARGE

    @property
    def endings(self) -> tuple[str, ...]:
        """The endings that names of pictures may have."""
        return indexed.ENDINGS if self.format is None else device_files.ENDINGS[self.format]


class Plan(NamedTuple):
    """What can be done; what cannot, with "input" and "error"; what need not, with "skipped"."""

    jobs: list[Job]
    errors: list[dict[str, str]]
    skipped: list[dict[str, str]]
    order: list[Job | dict[str, str]]  # all of them
    there: list[Path]  # files that are there already, and stay


class Names:
    """The files of a run: those that are read, and those that are to be written."""

    def __init__(
        self, sources: Sequence[Path | str], palette: str | None, masks: Sequence[str] = ()
    ) -> None:
        paths = [source for source in sources if isinstance(source, Path)]
        self.read: dict[Any, str] = {output_files.identity(path): "input" for path in paths}
        if palette is not None:
            self.read[output_files.identity(Path(palette))] = "palette"
        self.read |= {output_files.identity(Path(name)): "mask" for name in masks}
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
            raise FileError(f"the output would replace the {self.read[key]}:", path)
        if key in self.written:
            both = what if self.written[key] == what else "files"
            of = "" if source is None else f": {source}"
            raise FileError(f"two {both} would be written to {path}{of}")
        self.written[key] = what


def find(inputs: Sequence[str], suffix: str = SUFFIX) -> list[Path | str]:
    """Expand patterns, where the shell has not, and directories; "-" stays.

    Parameters
    ----------
    inputs : sequence of str
        The names that were given; none stands for the photograph of the package.
    suffix : str, optional
        What the names of pictures end with that are made, and not read again.

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
        elif os.path.isdir(name) and not is_zarr(name):
            sources += _inside(Path(name), suffix) or [Path(name)]
        elif not os.path.lexists(name) and glob.has_magic(name):
            sources += [Path(found) for found in sorted(glob.glob(name))] or [Path(name)]
        else:
            sources.append(Path(name))
    return sources


def _inside(folder: Path, suffix: str) -> list[Path]:
    """Return the pictures in a directory, without those that are made here."""
    try:
        found = sorted(folder.iterdir())
    except OSError as error:
        raise FileError("cannot read the directory", folder, error.strerror) from None
    made = tuple({SUFFIX, COMPARISON, suffix.rpartition("}")[2]} - {""})
    return [
        path
        for path in found
        if path.suffix.lower() in images.ENDINGS and path.is_file() and not path.stem.endswith(made)
    ]


def checked_suffix(text: str) -> str:
    """Return what is put behind the names of pictures, if it can be part of a file's name.

    Raises
    ------
    ValueError
        If it holds a separator of directories, or braces that are not around ``ext``.
    """
    rest = text.replace("{ext}", "")
    if any(mark in rest for mark in {os.sep, os.altsep, "/", "\0", "{", "}"} - {None}):
        raise ValueError(f"suffix must be part of a file's name, got {text[:40]!r}")
    return text


def is_folder(out: str, several: bool) -> bool:
    """Return whether an output is a directory, be it one that is still to be made."""
    ends = tuple(filter(None, (os.sep, os.altsep)))
    named = out.endswith(ends) or (several and Path(out).suffix.lower() not in indexed.ENDINGS)
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
        raise FileError("cannot make the directory", path, error.strerror) from None
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(path)


def plan(
    naming: Naming,
    sources: Sequence[Path | str],
    *,
    standard_input: Callable[[], bytes] | None = None,
) -> Plan:
    """Open each picture and settle where it goes.

    Parameters
    ----------
    naming : Naming
        Where pictures go: into a directory that is there, if into one.
    sources : sequence of pathlib.Path or str
        The pictures.
    standard_input : callable, optional
        Returns the picture that "-" stands for.

    Returns
    -------
    Plan
        What can be done, what cannot, and what need not.

    Raises
    ------
    FileError
        If the report or the palette cannot be written, or would replace another file of this run.
    """
    made = Plan([], [], [], [], [])
    names = Names(sources, naming.palette, naming.masks)
    for option, name, endings in (
        ("--report", naming.report, (".json",)),
        ("--swatches", naming.swatches, palette_files.WRITERS),
        ("--compare", naming.page, (".html", ".htm")),
        ("--frontier", naming.plot, PLOTS),
    ):
        if name is not None:
            with of_option(option, name):
                names.claim(Path(name), tuple(endings))
    for source in sources:
        try:
            zarr = isinstance(source, Path) and is_zarr(source)
            if isinstance(source, Path) and os.path.isdir(source) and not zarr:
                raise FileError(f"not a file: {source} (a directory without pictures)")
            if isinstance(source, Path):
                data: Path | bytes = source
            else:
                assert standard_input is not None
                data = standard_input()
            picture = _open(data, naming.resize, naming.largest)
            target, sheet = _targets(naming, source, picture)
            if target is not None and naming.skip_existing and os.path.lexists(target):
                left = {"input": str(source), "skipped": f"{target} is there already"}
                made.skipped.append(left)
                made.there.append(target)
                made.order.append(left)
                continue
            if sheet is not None:
                names.claim(sheet, (".png",), "comparisons", source)
            if target is not None:
                names.claim(target, _endings(naming, picture), "pictures", source)
                size = target_size(naming.resize, picture.width, picture.height)
                indexed.check_sides(size, naming.format or target.suffix.lower(), picture.name)
            made.jobs.append(Job(picture, target, sheet))
            made.order.append(made.jobs[-1])
        except FileError as error:
            made.errors.append({"input": str(source), "error": str(error)})
            made.order.append(made.errors[-1])
    return made


def _open(
    source: Path | bytes, size: tuple[int | None, int | None] | None, largest: int
) -> images.Picture | large.LargePicture:
    """Open a picture, but one that is too large to be dithered."""
    if size is None:
        zarr = isinstance(source, Path) and is_zarr(source)
        try:
            if not zarr:
                return images.Picture(source, largest=min(largest, images.MAX_PIXELS))
        except images.TooManyPixels:
            pass
        try:
            return large.find(source, largest)
        except images.TooManyPixels as error:
            raise FileError(f"{error} (--resize makes it smaller)") from None
    picture = images.Picture(source, largest=images.MAX_DECODED)
    width, height = target_size(size, picture.width, picture.height)
    for n, most in ((1, min(largest, images.MAX_PIXELS)), (picture.count, images.MAX_ANIMATED)):
        if width * height * n > most:
            raise FileError(f"more than {most} pixels after --resize:", picture.name)
    return picture


def _endings(naming: Naming, picture: images.Picture | large.LargePicture) -> Sequence[str]:
    """Return how the name of a picture's output may end."""
    return large.ENDINGS if isinstance(picture, large.LargePicture) else naming.endings


def _targets(
    naming: Naming, source: Path | str, picture: images.Picture | large.LargePicture
) -> tuple[Path | None, Path | None]:
    """Return where a picture is written, None for standard output, and where its sheet, if any."""
    stem = source.stem if isinstance(source, Path) else "stdin"
    out, target = naming.output, None
    suffix = naming.suffix.replace("{ext}", Path(str(source)).suffix.lower().removeprefix("."))
    if out == "-":
        beside = Path(f"{stem}.png")
    elif out is None or os.path.isdir(out):
        ending = _ending(picture) if naming.format is None else naming.endings[0]
        target = beside = Path(out or "", f"{stem}{suffix}{ending}")
    else:
        target = beside = Path(out)
    sheet = beside.with_name((beside.stem.removesuffix(suffix) or stem) + f"{COMPARISON}.png")
    if naming.compare and isinstance(picture, large.LargePicture):
        reason = f"a comparison goes with pictures of no more than {images.MAX_PIXELS} pixels"
        raise FileError(f"{picture.name}: {reason}")
    return target, sheet if naming.compare else None


def _ending(picture: images.Picture | large.LargePicture) -> str:
    """Return the ending of a file that says none: that of an animation stays."""
    return ".gif" if picture.format == "GIF" and picture.count > 1 else ".png"
