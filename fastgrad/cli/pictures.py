"""``fastgrad dither``: from files to files."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path
from typing import Any

from fastgrad.cli import interrupts, jobs, messages, results, running
from fastgrad.dithering import Viewing
from fastgrad.dithering.pictures import images, palette_files
from fastgrad.dithering.pictures.presets import PRESETS

OPTIONS = (*(field.name for field in dataclasses.fields(Viewing)), "structure", "estimator")
OPTIONS += ("speed", "time_budget")  # of `dithering.dither`


def dither(given: argparse.Namespace) -> int:
    """Run ``fastgrad dither``; return the exit code."""
    settings = _settings(given)
    sources = jobs.find(given.inputs)
    out = given.output or ("-" if sources == ["-"] else None)
    several = len(sources) > 1
    is_folder = out is not None and jobs.is_folder(out, several)
    if several and out is not None and not is_folder:
        given.refuse(f"several pictures need a directory as --output, got {out}")
    if several and given.swatches:
        given.refuse("--swatches goes with one picture")
    if given.compare is None:
        given.compare = not given.inputs
    with jobs.folder(Path(out) if out is not None and is_folder else None):
        planned, errors = jobs.plan(given, sources, out)
        with interrupts.allowed(False):  # but while it dithers, and while it measures
            return _work(given, settings, planned, errors)


def _work(
    given: argparse.Namespace,
    settings: running.Settings,
    planned: list[jobs.Job],
    errors: list[dict[str, str]],
) -> int:
    """Dither all pictures, and write the report; return the exit code."""
    for error in errors:
        messages.complain("dither", error["error"])
    stream = sys.stderr if any(job.target is None for job in planned) else sys.stdout
    entries, code = [], 0
    for job in planned:
        try:
            results.announce(job, stream)
            outcome = running.run(job.picture, settings)
            entries.append(results.write(given, job, settings, outcome, stream))
            if not outcome.complete:
                code = interrupts.exit_code()
                place = job.target or "standard output"
                message = f"interrupted: the best picture so far is in {place}"
                messages.complain("dither", message)
                break
            interrupts.check()
        except OSError:  # of what is printed, which concerns all pictures
            raise
        except Exception as error:  # concerns this one: the others, and the report, are written
            message = _reason(error, job.picture.name)
            errors.append({"input": job.picture.name, "error": message})
            messages.complain("dither", message)
        except KeyboardInterrupt:
            if not entries:
                raise
            interrupts.taken()
            code = interrupts.exit_code()
            count = f"{len(entries)} of {len(planned)} pictures are finished"
            messages.complain("dither", f"interrupted: {count}")
            break
    if given.report and (entries or errors):
        results.report(Path(given.report), given, entries, errors)
    return code or (2 if errors else 0)


def _reason(error: Exception, name: str) -> str:
    """Say in one line what went wrong with a picture."""
    if isinstance(error, images.FileError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"not enough memory for {name}"
    kind, said = type(error).__name__, " ".join(str(error).split())
    return f"unexpected error with {name}: {kind}{said and f': {said}'}"


def _settings(given: argparse.Namespace) -> running.Settings:
    """Check the options that go together, and read the palette."""
    palette, device = None, None
    options: dict[str, Any] = {}
    if given.palette:
        palette, device = palette_files.read(Path(given.palette))
    elif given.preset:
        preset = PRESETS[given.preset]
        palette, device, options = preset.colors, preset.device, preset.options
    if given.lock_colors:
        if palette is None:
            given.refuse("--lock-colors needs --palette or --preset")
        elif (given.colors or 16) <= len(palette):
            given.refuse(f"--lock-colors needs more --colors than the {len(palette)} given")
    elif palette is not None and given.colors:
        given.refuse("--colors goes with --palette or --preset only when there is --lock-colors")
    if given.estimator and not given.structure:
        given.refuse("--estimator goes with a --structure above 0")
    asked = {name: getattr(given, name) for name in OPTIONS if getattr(given, name) is not None}
    alpha = given.alpha or ("blend" if given.preset else "keep")
    if alpha == "keep" and given.output and given.output.lower().endswith(".gif"):
        alpha = "key"
    return running.Settings(
        palette,
        device,
        given.lock_colors,
        given.colors or 16,
        alpha,
        given.resize,
        {**options, **asked, "rng": given.seed or 0},
    )
