"""What ``fastgrad dither`` writes and prints of a picture."""

from __future__ import annotations

import argparse
import json
import math
import shutil
import sys
import time
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fastgrad._typing import Array
from fastgrad._version import __version__
from fastgrad.cli import interrupts, messages
from fastgrad.cli.jobs import Job
from fastgrad.cli.running import Outcome, Settings
from fastgrad.dithering.pictures import (
    animation,
    images,
    output_files,
    palette_files,
    png_chunks,
    sheets,
    transparency,
)
from fastgrad.dithering.pictures.other_tools import RIVALS
from fastgrad.dithering.pictures.report import metrics, table

FLICKER = "share of pixels that change though the original stays"


def announce(job: Job, stream: TextIO) -> None:
    """Say what is being worked on."""
    picture = job.picture
    name, frames = messages.printable(Path(picture.name).name), f", {picture.count} frames"
    size = f"{picture.width} x {picture.height}{frames if picture.count > 1 else ''}"
    print(f"{name}: {size}", file=stream, flush=True)


def write(
    given: argparse.Namespace, job: Job, settings: Settings, outcome: Outcome, stream: TextIO
) -> dict[str, Any]:
    """Write a picture, and what else was asked for; return its entry of the report."""
    data, frames = _encode(job, settings, outcome)
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
        "loss": outcome.loss[0] if len(frames) == 1 else outcome.loss,
        "seconds": outcome.seconds,
        "compiling": outcome.compiling,
    }
    if outcome.still:
        entry[FLICKER] = outcome.changed / outcome.still
    if given.swatches:
        path = Path(given.swatches)
        output_files.replace(palette_files.encode(outcome.palette, path.suffix.lower()), path)
    written = [str(path) for path in (job.target, given.swatches) if path] or ["standard output"]
    if outcome.complete and (job.sheet or given.report):
        try:
            with interrupts.allowed():
                entry["metrics"] = _compare(given, job, settings, outcome, stream)
            written += [str(job.sheet)] if job.sheet else []
        except KeyboardInterrupt:  # the picture itself is finished
            interrupts.taken()
            outcome.complete = False
    if given.preview:
        columns, rows = shutil.get_terminal_size()
        print(sheets.half_blocks(outcome.shown, columns, rows - 1), end="", file=stream)
    count = f"{len(outcome.palette)} colours, {outcome.seconds:.2f} s"
    if outcome.compiling >= 1:  # a first run
        count += f" and {outcome.compiling:.2f} s to compile"
    places = messages.printable(" and ".join(written))
    print(f"wrote {places} ({count})", file=stream, flush=True)
    return entry


def _encode(job: Job, settings: Settings, outcome: Outcome) -> tuple[bytes, list[Array]]:
    """Return the data of the file, and the frames that it holds."""
    if job.target is not None:
        ending = job.target.suffix.lower()
    else:
        ending = ".gif" if job.picture.format == "GIF" and len(outcome.frames) > 1 else ".png"
    frames, palette, opacity = outcome.frames, outcome.device, None
    if any(alpha is not None for alpha in outcome.alphas):
        opaque = np.full(frames[0].shape, 255, np.uint8)
        alpha = np.stack([opaque if alpha is None else alpha for alpha in outcome.alphas])
        if ending == ".gif":  # which knows no opacity in between
            alpha = np.where(alpha < 128, 0, 255).astype(np.uint8)
        frames, palette, opacity = transparency.entries(np.stack(frames), palette, alpha)
        frames = list(frames)
    if settings.palette is None:  # an order that was given is kept
        frames, palette, opacity = animation.arranged(frames, palette, opacity)
    data = animation.encode(
        frames,
        palette,
        opacity,
        ending=ending,
        durations=outcome.durations,
        plays=job.picture.plays,
    )
    if ending == ".png":
        data = png_chunks.insert(data, job.picture.metadata)
    return data, frames


def _compare(
    given: argparse.Namespace, job: Job, settings: Settings, outcome: Outcome, stream: TextIO
) -> dict[str, dict[str, float]]:
    """Measure the picture; where there is to be a sheet, beside others, and print the table."""
    original, shown, ppd = outcome.original, outcome.shown, given.ppd or 67
    if original.dtype != np.uint8:
        original = np.rint(255 * original).astype(np.uint8)
    panels, figures = {"original": original, "fastgrad": shown}, {}
    figures["fastgrad"] = metrics(shown, outcome.original, ppd=ppd)
    figures["fastgrad"]["seconds"] = outcome.seconds / len(outcome.frames)
    if job.sheet is None:
        return figures
    fixed = settings.palette if settings.palette is not None and not settings.lock else None
    for name, rival in RIVALS.items():
        began = time.perf_counter()
        picture = rival(original, settings.colors, fixed)
        seconds = time.perf_counter() - began
        if picture is not None:
            panels[name] = picture
            figures[name] = {**metrics(picture, outcome.original, ppd=ppd), "seconds": seconds}
    sheet = sheets.comparison(panels)
    with interrupts.allowed(False):
        output_files.write(sheet, job.sheet)
    if len(outcome.frames) > 1:
        print("of the first frame:", file=stream)
    print(table(figures), file=stream)
    return figures


def report(
    path: Path,
    given: argparse.Namespace,
    entries: list[dict[str, Any]],
    errors: list[dict[str, str]],
) -> None:
    """Write the report of all pictures."""
    options = {
        name: value
        for name, value in vars(given).items()
        if value is not None and name not in ("run", "refuse", "command")
    }
    found = {"fastgrad": __version__, "options": options, "pictures": entries, "errors": errors}
    output_files.replace(f"{json.dumps(_finite(found), indent=2)}\n".encode(), path)


def _finite(value: Any) -> Any:
    """Replace infinities, those of a picture without error, by None, which JSON knows."""
    if isinstance(value, dict):
        return {key: _finite(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
