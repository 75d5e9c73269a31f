"""``fastgrad dither``: from files to files."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from fastgrad import _interrupts as interrupts
from fastgrad import precompile
from fastgrad.cli import messages, results
from fastgrad.cli.values import limits
from fastgrad.dithering import Viewing
from fastgrad.dithering.eye.viewing import LIGHT
from fastgrad.dithering.files import budget, frontier, plan
from fastgrad.dithering.files.outcome import Settings, failure
from fastgrad.dithering.given import COLORS
from fastgrad.dithering.optimiser.tile_limits import Tiles
from fastgrad.dithering.pictures import device_files, masks, palette_files
from fastgrad.dithering.pictures.dot_gains import dot_gain_for
from fastgrad.dithering.pictures.file_errors import FileError, of_option
from fastgrad.dithering.pictures.inputs import Swatches
from fastgrad.dithering.pictures.presets import PRESETS, measured
from fastgrad.dithering.pictures.transparent_entry import key_of
from fastgrad.dithering.together import EXCLUDED, NOTHING, SIZES

OPTIONS = (*(field.name for field in dataclasses.fields(Viewing)), "structure", "estimator")
OPTIONS += ("speed", "time_budget", "rate", "max_bytes", "quality", "fit", "solid", "pattern")
NOT_WITH_TILES = ("colors", "palette", "preset", "measured", "choose", "lock_colors", "fit")
NOT_WITH_TILES += ("solid", "mask", "threshold", "structure", "estimator", "rate", "max_bytes")
NOT_WITH_TILES += ("quality", "alpha", "hidden", "format", "pattern", "dot_gain")
NOT_WITH_TILES += ("transparent_index",)


def dither(given: argparse.Namespace) -> int:
    """Run ``fastgrad dither``; return the exit code."""
    settings = _settings(given)
    sources = plan.find(given.inputs, given.suffix)
    out = given.output or ("-" if sources == ["-"] else None)
    several = len(sources) > 1
    is_folder = out is not None and plan.is_folder(out, several)
    if several and out is not None and not is_folder:
        given.refuse(f"several pictures need a directory as --output, got {out}")
    if given.frontier:
        if several:
            given.refuse("--frontier goes with one picture")
        if settings.ordered:
            given.refuse("--frontier goes with colours that are learned")
        frontier.check()
    if several and given.swatches:
        given.refuse("--swatches goes with one picture")
    if out is not None and not is_folder and given.suffix != plan.SUFFIX:
        given.refuse("--suffix goes with a directory as --output")
    if out == "-" and (given.skip_existing or given.skip_if_larger):
        given.refuse("--skip-existing and --skip-if-larger need a file as --output")
    if given.compare is None:
        given.compare = not given.inputs and not given.quiet
    naming = plan.Naming(
        out,
        given.suffix,
        given.skip_existing,
        given.resize,
        given.compare is True,
        given.report,
        given.swatches,
        given.palette or given.measured,
        tuple(name for name, _ in given.mask or ()),
        given.format,
        given.compare if isinstance(given.compare, str) else None,
        given.frontier,
        given.max_pixels,
    )
    with plan.folder(Path(out) if out is not None and is_folder else None):
        if out == "-":
            _check_standard_output()
        planned = plan.plan(naming, sources, standard_input=_standard_input)
        alone = min(given.jobs, len(planned.jobs)) == 1
        learned = settings.palette is None or settings.lock
        group = "photographs" if learned else "panels"  # of kernels
        with (
            interrupts.allowed(False),  # but while it dithers, and while it measures
            precompile.ahead(group) if alone else contextlib.nullcontext(),
        ):
            return _work(given, settings, planned)


def _standard_input() -> bytes:
    """Read a picture from standard input."""
    if messages.is_closed(sys.stdin):
        raise FileError("cannot read standard input: it is closed")
    try:
        return sys.stdin.buffer.read()
    except OSError as error:
        raise FileError(f"cannot read standard input: {error.strerror}") from None


def _check_standard_output() -> None:
    """Refuse to write a picture where it cannot be, or makes no sense."""
    if sys.stdout.isatty():
        raise FileError("a picture is not written to a terminal: use -o or a pipe")
    if messages.is_closed(sys.stdout):
        raise FileError("cannot write standard output: it is closed")


def _work(given: argparse.Namespace, settings: Settings, planned: plan.Plan) -> int:
    """Dither all pictures, and write the report; return the exit code."""
    errors, skipped, code = planned.errors, planned.skipped, 0
    for error in errors:
        messages.complain("dither", error["error"])
    for one in skipped if not given.quiet else ():
        print(messages.printable(f"skipped {one['input']}: {one['skipped']}"), flush=True)
    jobs, found = planned.jobs, dict[int, results.Produced]()
    plain = {name: x for name, x in vars(given).items() if name not in ("run", "refuse")}
    alone = min(given.jobs, len(jobs)) <= 1
    task = partial(results.produce, argparse.Namespace(**plain), settings, alone)
    how = {"each": given.each, "count": given.jobs, "quiet": given.quiet}
    early = None
    for job, answer in budget.dithered(planned, settings, task, results.size_of, **how):
        if answer.value is not None:
            made: results.Produced = answer.value
            if made.text:
                print(made.text, end="", flush=True)
            found[id(job)] = made
            if not made.complete:
                code = interrupts.exit_code()
                place = job.target or "standard output"
                message = f"interrupted: the best picture so far is in {place}"
                most, size = job.share or settings.options.get("max_bytes"), results.size_of(made)
                if most and size and size > most:
                    message += f"; its {size} bytes are more than --size"
                messages.complain("dither", message)
        elif answer.stopped:
            early = answer.error
            written = any("skipped" not in made.entry for made in found.values())
            if written and str(early):  # else it is the last line
                messages.complain("dither", str(early))
        elif id(job) not in found:
            _note(errors, job, answer.error)
    entries = [made.entry for made in found.values() if "skipped" not in made.entry]
    skipped += [made.entry for made in found.values() if "skipped" in made.entry]
    sections = [made.section for made in found.values() if made.section]
    if not code and (early is not None or interrupts.pending()):
        interrupts.taken()
        if not entries:
            raise early or KeyboardInterrupt
        code = interrupts.exit_code()
        finished = f"{len(entries)} of {len(jobs)} pictures are finished"
        messages.complain("dither", f"interrupted: {finished}")
    if sections:
        results.write_page(Path(given.compare), sections)
        if not given.quiet:
            print(messages.printable(f"wrote {given.compare}"), file=_stream(jobs), flush=True)
    if given.report and (entries or errors or skipped):
        results.write_report(Path(given.report), given, entries, errors, skipped)
    return code or (2 if errors else 0)


def _stream(jobs: list[plan.Job]) -> TextIO:
    """Return where lines are printed: not among the bytes of a picture."""
    return sys.stderr if any(job.target is None for job in jobs) else sys.stdout


def _note(errors: list[dict[str, str]], job: plan.Job, error: BaseException | None) -> None:
    """Print a line of what went wrong with a picture, and keep it for the report."""
    if not isinstance(error, Exception):
        raise error or AssertionError
    if isinstance(error, OSError) and not isinstance(error, ChildProcessError):
        raise error  # of what is printed, which concerns all pictures
    name = job.picture.name
    message = failure(error, name)  # concerns this one: the others, and the report, are written
    errors.append({"input": name, "error": message})
    messages.complain("dither", message)


def _regions(given: argparse.Namespace) -> tuple[dict[str, Any], dict[str, str]]:
    """Read the masks of regions that have a mode of their own, and say what named each."""
    regions: dict[str, Any] = {"text": True} if given.threshold else {}
    named: dict[str, str] = {}
    for name, mode in given.mask or ():
        with of_option("--mask", name):
            mask = masks.read(Path(name))
            other = regions.get(mode, mask)
            if np.ndim(other) and other.shape != mask.shape:
                raise FileError(f"not of the size of {named[mode]}:", name)
        regions[mode] = mask | other
        named.setdefault(mode, f"--mask {name}")
    return {mode: np.asarray(mask, bool) for mode, mask in regions.items()}, named


def _tiles(given: argparse.Namespace) -> Tiles | None:
    """Return the limits of tiles' palettes, and refuse what does not go with them."""
    names = {"palettes": "palettes", "tile_colors": "colors", "channel_bits": "channel_bits"}
    names["shared_color"] = "shared_color"
    found = {names[name]: getattr(given, name) for name in names}
    found = {name: value for name, value in found.items() if value is not None}
    if given.tiles is None:
        if found:
            name = next(n for n in names if names[n] in found).replace("_", "-")
            given.refuse(f"--{name} goes with --tiles")
        return None
    for name in NOT_WITH_TILES:
        value = getattr(given, name)
        if value not in (None, False, 0) and (name, value) not in NOTHING:
            option = "size" if name == "max_bytes" else name.replace("_", "-")
            given.refuse(f"--{option} goes without --tiles")
    try:
        return dataclasses.replace(limits(given.tiles), **found)
    except ValueError as error:
        given.refuse(f"--tiles: {error}")
        raise


def _goes_without(other: str, given: argparse.Namespace, names: Sequence[str]) -> None:
    """Refuse options that do not go with another one, unless they are left out or 0."""
    for name in names:
        if getattr(given, name, None):
            option = "size" if name == "max_bytes" else name.replace("_", "-")
            given.refuse(f"--{option} goes without {other}")


def _settings(given: argparse.Namespace) -> Settings:
    """Check the options that go together, and read the palette."""
    palette, device, codes = None, None, None
    tiles = _tiles(given)
    options: dict[str, Any] = {}
    if given.palette:
        with of_option("--palette", given.palette):
            palette, device = palette_files.read(Path(given.palette), 1 if given.lock_colors else 2)
    elif given.preset or given.measured:
        with of_option("--measured", given.measured or ""):
            preset = PRESETS[given.preset] if given.preset else measured(given.measured)
        palette, device, options = preset.colors, preset.device, dict(preset.options)
        codes = preset.codes
    if given.choose and (palette is None or given.lock_colors):
        given.refuse("--choose needs --from, --palette or --preset, without --lock-colors")
    if given.choose and palette is not None and given.choose > len(palette):
        given.refuse(f"--choose must be at most the {len(palette)} colours given")
    if given.lock_colors:
        if palette is None:
            given.refuse("--lock-colors needs --palette or --preset")
        elif (given.colors or COLORS) <= len(palette):
            given.refuse(f"--lock-colors needs more --colors than the {len(palette)} given")
    elif palette is not None and given.colors:
        given.refuse("--colors goes with --palette or --preset only when there is --lock-colors")
    if given.fit not in (None, "none") and (palette is None or given.lock_colors):
        given.refuse("--fit needs --palette or --preset, without --lock-colors")
    regions, named = _regions(given)
    if (given.threshold or given.dot_gain is not None) and palette is None and not given.colors:
        palette = device = PRESETS["bw"].colors
    if (given.solid not in (None, False) or regions) and (palette is None or given.lock_colors):
        name = "--threshold" if given.threshold else "--mask" if regions else "--solid"
        given.refuse(f"{name} needs --palette or --preset, without --lock-colors")
    if given.lock_colors:
        options = {name: x for name, x in options.items() if name not in ("fit", "solid")}
    if regions:
        options["regions"] = regions
    if given.estimator and not given.structure:
        given.refuse("--estimator goes with a --structure above 0")
    if given.rate or given.max_bytes or given.quality:
        asked = "--size" if given.max_bytes else "--quality" if given.quality else "--rate"
        _goes_without(asked, given, ("structure", "time_budget"))
    if given.each and not given.max_bytes:
        given.refuse("--each goes with --size")
    if given.threads and given.jobs > 1:
        given.refuse("--threads goes with one process: each of --jobs has one thread")
    asked = {name: getattr(given, name) for name in OPTIONS if getattr(given, name) is not None}
    if given.ppd is not None or given.sigma is not None:  # in the place of a preset's blur
        options = {name: x for name, x in options.items() if name not in ("ppd", "sigma")}
    mode, key = key_of(given.alpha)
    alpha = mode or ("blend" if given.preset or given.measured or given.format else "keep")
    if given.format and alpha != "blend":
        given.refuse("--format goes with --alpha blend")
    if given.format and ".png" not in device_files.ENDINGS[given.format]:
        _goes_without(f"--format {given.format}", given, SIZES)
    if given.format and device is not None and not (given.lock_colors or given.choose):
        with of_option("--format", given.format):
            device_files.check(given.format, device)
    if given.fit_size and not given.resize:
        given.refuse("--fit-size goes with --resize")
    if alpha == "keep" and given.output and given.output.lower().endswith(".gif"):
        alpha = "key"
    if given.pattern:
        _goes_without("--pattern", given, EXCLUDED["pattern"])
        if given.alpha == "keep":
            given.refuse("--pattern goes with --alpha key or blend")
        alpha = "key" if alpha == "keep" else alpha
    if given.dot_gain is not None:
        _goes_without("--dot-gain", given, EXCLUDED["dot_gain"])
        if given.space not in (None, *LIGHT):
            given.refuse(f"--space {given.space} goes without --dot-gain")
        if palette is None or len(palette) != 2:
            given.refuse("--dot-gain goes with two colours given, such as --preset bw")
        gain = Path(given.dot_gain) if isinstance(given.dot_gain, str) else given.dot_gain
        with of_option("--dot-gain", str(given.dot_gain)):
            asked["dot_gain"] = dot_gain_for(gain, palette, None)
    if given.hidden and alpha == "blend":
        given.refuse("--hidden goes with --alpha keep or key")
    if given.hidden and given.output and given.output.lower().endswith(".gif"):
        given.refuse("--hidden goes with .png and .webp: a GIF has one transparent colour")
    asked |= {"hidden": True} if given.hidden else {}
    if key is not None:
        if given.hidden or given.choose:
            name = "hidden" if given.hidden else "choose"
            given.refuse(f"--{name} goes without a colour as --alpha")
        try:
            inks = None if palette is None or device is None else Swatches(palette, device, {})
            key, inks = key.without(inks)
        except ValueError as error:
            given.refuse(f"--{error}")
            raise
        if inks is not None:
            palette, device = inks.colors, inks.device
    if given.transparent_index is not None:
        if alpha == "blend":
            given.refuse("--transparent-index goes with --alpha keep, key or a colour")
        if given.output and given.output.lower().endswith(".webp"):
            given.refuse("--transparent-index goes with .png and .gif: a .webp has no palette")
        open_ended = palette is None and not given.colors and (given.max_bytes or given.quality)
        learned = (given.colors or COLORS) - 1
        most = learned if palette is None or given.lock_colors else len(palette)
        if (index := given.transparent_index) > most and not open_ended:
            given.refuse(f"--transparent-index must be at most {most} in this palette, got {index}")
    if tiles is not None:
        asked["tiles"], alpha = tiles, "blend"
    return Settings(
        palette,
        device,
        given.lock_colors,
        given.colors or (COLORS if tiles is None else tiles.entries),
        alpha,
        given.resize,
        {**options, **asked, "rng": given.seed or 0},
        given.format,
        codes,
        given.fit_size or "stretch",
        given.rotate,
        given.resume,
        given.colors is not None or palette is not None,
        given.choose,
        key=key,
        transparent_index=given.transparent_index,
        masks=named,
    )
