"""What ``fastgrad dither`` writes and prints of a picture."""

from __future__ import annotations

import argparse
import io
import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any, NamedTuple, TextIO

import numpy as np

from fastgrad import _interrupts as interrupts
from fastgrad._version import __version__
from fastgrad.cli import messages
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.files import frontier, large_picture, prepared, sized
from fastgrad.dithering.files.outcome import Outcome, Settings, larger
from fastgrad.dithering.files.plan import Job
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures import (
    comparison_page,
    images,
    output_files,
    palette_files,
    report,
    sheets,
)
from fastgrad.dithering.pictures.large import LargePicture

FLICKER = "share of pixels that change though the original stays"


class Produced(NamedTuple):
    """What came of a picture.

    Attributes
    ----------
    entry : dict
        Its entry in the report.
    text : str
        What is to be printed.
    complete : bool
        Whether it was finished.
    section : str
        Its part of the page of comparisons, empty if there is none.
    """

    entry: dict[str, Any]
    text: str
    complete: bool
    section: str = ""


def produce(given: argparse.Namespace, settings: Settings, stdout: bool, job: Job) -> Produced:
    """Dither a picture and write it: in this process, or in one of several.

    Parameters
    ----------
    given : argparse.Namespace
        What the command line asks for.
    settings : Settings
        The same, for the optimiser.
    stdout : bool
        Whether lines are printed as they come up, on standard output or, where a picture goes
        there, on standard error.
    job : Job
        The picture.

    Returns
    -------
    Produced
        What came of it.
    """
    quiet = given.quiet or not stdout
    text = io.StringIO()
    stream = text if quiet else sys.stderr if job.target is None else sys.stdout
    announce(job, stream)
    if isinstance(job.picture, LargePicture):
        entry = _in_strips(given, job, job.picture, settings, stream, quiet=quiet)
        return Produced(entry, "" if given.quiet else text.getvalue(), True)
    settings = prepared.chosen(job.picture, settings.within(job.share))
    outcome = sized.run(job.picture, job.ending, settings, quiet=quiet)
    entry, section = write(given, job, settings, outcome, stream)
    return Produced(entry, "" if given.quiet else text.getvalue(), outcome.complete, section)


def _in_strips(
    given: argparse.Namespace,
    job: Job,
    picture: LargePicture,
    settings: Settings,
    stream: TextIO,
    *,
    quiet: bool,
) -> dict[str, Any]:
    """Dither a large picture and write it; return its entry of the report."""
    for name in ("preview", "skip_if_larger", "frontier"):
        if getattr(given, name):
            option = f"--{name.replace('_', '-')}"
            most = images.MAX_PIXELS
            reason = f"{option} goes with pictures of no more than {most} pixels"
            raise images.FileError(f"{picture.name}: {reason}")
    binary = sys.stdout.buffer if job.target is None else None
    try:
        made = large_picture.run(picture, job.target, settings, stream=binary, quiet=quiet)
    except OSError as error:
        messages.discard(sys.stdout)
        raise images.FileError(f"cannot write standard output: {error.strerror}") from None
    if given.swatches:
        path = Path(given.swatches)
        output_files.replace(palette_files.encode(made.palette, path.suffix.lower()), path)
    entry = {
        "input": picture.name,
        "output": str(job.target or "standard output"),
        "width": picture.width,
        "height": picture.height,
        "frames": 1,
        "complete": True,
        "palette": [f"#{bytes(colour).hex()}" for colour in made.palette],
        "device": [f"#{bytes(colour).hex()}" for colour in made.device],
        "loss": made.loss,
        "seconds": made.seconds,
        "compiling": made.compiling,
    }
    written = [str(path) for path in (job.target, given.swatches) if path] or ["standard output"]
    places = messages.printable(" and ".join(written))
    print(
        f"wrote {places} ({len(made.palette)} colours, {made.seconds:.2f} s)",
        file=stream,
        flush=True,
    )
    return entry


def size_of(made: Produced) -> int | None:
    """Return the bytes of a picture, if it was written."""
    return made.entry.get("bytes")


def announce(job: Job, stream: TextIO) -> None:
    """Say what is being worked on."""
    picture = job.picture
    line = f"{messages.printable(Path(picture.name).name)}: {picture.width} x {picture.height}"
    if picture.count > 1:
        line += f", {picture.count} frames"
    elif picture.pages > 1:
        line += f", the first of {picture.pages} pages"
    print(line, file=stream, flush=True)


def write(
    given: argparse.Namespace, job: Job, settings: Settings, outcome: Outcome, stream: TextIO
) -> tuple[dict[str, Any], str]:
    """Write a picture, and what else was asked for; return its entry and its section."""
    assert not isinstance(job.picture, LargePicture)
    data, frames = outcome.encode(job.ending, job.picture, settings)
    reason = larger(job.picture, data) if given.skip_if_larger else None
    if reason is not None and outcome.complete:
        print(messages.printable(f"skipped {job.target}: {reason}"), file=stream, flush=True)
        return {"input": job.picture.name, "skipped": reason}, ""
    if job.target is None:
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except OSError as error:
            messages.discard(sys.stdout)
            raise images.FileError(f"cannot write standard output: {error.strerror}") from None
    else:
        output_files.replace(data, job.target)
    entry: dict[str, Any] = {
        "input": job.picture.name,
        "output": str(job.target or "standard output"),
        "width": frames[0].shape[1],
        "height": frames[0].shape[0],
        "frames": len(frames),
        "complete": outcome.complete,
        "palette": [f"#{bytes(colour).hex()}" for colour in outcome.palette],
        "device": [f"#{bytes(colour).hex()}" for colour in outcome.device],
        "bytes": len(data),
        "loss": outcome.loss[0] if len(frames) == 1 else outcome.loss,
        "seconds": outcome.seconds,
        "compiling": outcome.compiling,
    }
    if outcome.still:
        entry[FLICKER] = outcome.changed / outcome.still
    if given.swatches:
        path = Path(given.swatches)
        output_files.replace(
            palette_files.encode(outcome.swatches(settings), path.suffix.lower()), path
        )
    written = [str(path) for path in (job.target, given.swatches) if path] or ["standard output"]
    section = ""
    if outcome.complete:
        try:
            if job.sheet or given.compare or given.report:
                with interrupts.allowed():
                    made = _compare(given, job, settings, outcome, stream)
                    if isinstance(given.compare, str):
                        name = Path(job.picture.name).name
                        section = comparison_page.section(
                            name, made.panels, made.figures, files=made.files
                        )
                entry["metrics"] = made.figures
                written += [str(job.sheet)] if job.sheet else []
            if given.frontier:
                with interrupts.allowed():
                    plot = _frontier(given, job.picture.name, settings, outcome)
                output_files.replace(plot, Path(given.frontier))
                written.append(given.frontier)
        except KeyboardInterrupt:  # the picture itself is finished
            interrupts.taken()
            outcome.complete = False
    if given.preview:
        columns, rows = shutil.get_terminal_size()
        print(sheets.half_blocks(outcome.shown, columns, rows - 1), end="", file=stream)
    count = f"{len(outcome.palette)} colours, {len(data)} bytes, {outcome.seconds:.2f} s"
    if outcome.compiling >= 1:  # a first run
        count += f" and {outcome.compiling:.2f} s to compile"
    places = messages.printable(" and ".join(written))
    print(f"wrote {places} ({count})", file=stream, flush=True)
    return entry, section


def _compare(
    given: argparse.Namespace, job: Job, settings: Settings, outcome: Outcome, stream: TextIO
) -> report.Compared:
    """Measure the picture; where it is to be compared, beside others, and print the table."""
    fixed = settings.palette if settings.palette is not None and not settings.lock else None
    made = report.against_others(
        outcome.shown,
        outcome.original,
        colors=settings.colors,
        palette=fixed,
        ppd=given.ppd or 67,
        seconds=outcome.seconds / len(outcome.frames),
        others=bool(given.compare),
        packed=outcome.packed,
    )
    if job.sheet is not None:
        sheet = sheets.comparison(made.panels)
        with interrupts.allowed(False):
            output_files.write(sheet, job.sheet)
    if given.compare:
        if len(outcome.frames) > 1:
            print("of the first frame:", file=stream)
        print(made.figures, file=stream)
    return made


def _frontier(given: argparse.Namespace, name: str, settings: Settings, outcome: Outcome) -> bytes:
    """Return a plot of quality against bytes of the picture, of the first frame."""
    values = outcome.original
    if values.dtype != np.uint8:
        values = np.rint(255 * values).astype(np.uint8)
    options = settings.options
    asked = {n: options[n] for n in Viewing.__dataclass_fields__ if options.get(n) is not None}
    ending = Path(given.frontier).suffix.lower()
    return frontier.plotted(values, name, Viewing(**asked), Pace(given.speed), ending)


def write_page(path: Path, sections: list[str]) -> None:
    """Write the page of comparisons."""
    made = comparison_page.page("Dithered by fastgrad, and by others", sections)
    output_files.replace(made.encode(), path)


def write_report(
    path: Path,
    given: argparse.Namespace,
    entries: list[dict[str, Any]],
    errors: list[dict[str, str]],
    skipped: list[dict[str, str]],
) -> None:
    """Write the report of all pictures."""
    options = {
        name: value
        for name, value in vars(given).items()
        if value is not None and name not in ("run", "refuse", "command")
    }
    found = {"fastgrad": __version__, "options": options, "pictures": entries, "errors": errors}
    found["skipped"] = skipped
    output_files.replace(f"{json.dumps(_finite(found), indent=2)}\n".encode(), path)


def _finite(value: Any) -> Any:
    """Replace infinities, those of a picture without error, by None, which JSON knows."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
