"""``fastgrad dither``: from files to files."""

import glob
import sys
from pathlib import Path

from fastgrad.cli import results, running
from fastgrad.dithering.pictures import animation, images, palette_files
from fastgrad.dithering.pictures.presets import PRESETS

SUFFIX = "-dithered"
PHOTOGRAPH = Path(__file__).parent.parent / "data" / "astronaut.jpg"


def dither(given):
    """Run the command."""
    settings = _settings(given)
    sources = _sources(given)
    out = given.output or ("-" if sources == ["-"] else None)
    if len(sources) > 1 and out is not None and (out == "-" or not Path(out).is_dir()):
        given.refuse(f"several pictures need a directory that exists as --output, not {out}")
    if len(sources) > 1 and given.swatches:
        given.refuse("--swatches goes with one picture")
    if given.compare is None:
        given.compare = not given.inputs
    extra = [(given.report, (".json",)), (given.swatches, tuple(palette_files.WRITERS))]
    for name, endings in extra:
        if name:
            images.check_targets([Path(name)], endings=endings)

    jobs, errors = _plan(given, sources, out)
    for error in errors:
        _complain(error["error"])
    stream = sys.stderr if any(job.target is None for job in jobs) else sys.stdout
    entries = []
    for job in jobs:
        results.announce(job, stream)
        try:
            outcome = running.run(job.picture, settings)
            entries.append(results.write(given, job, settings, outcome, stream))
        except (images.FileError, MemoryError) as error:
            memory = f"not enough memory for {job.picture.name}"
            message = memory if isinstance(error, MemoryError) else str(error)
            errors.append({"input": job.picture.name, "error": message})
            _complain(message)
        except KeyboardInterrupt:
            if not entries:
                raise
            _complain(f"interrupted: {len(entries)} of {len(jobs)} pictures are finished")
            return _end(given, entries, errors, 130)
        else:
            if not outcome.complete:
                place = job.target or "standard output"
                _complain(f"interrupted: the best picture so far is in {place}")
                return _end(given, entries, errors, 130)
    return _end(given, entries, errors, 2 if errors else 0)


def _end(given, entries, errors, code):
    """Write the report; return the exit code."""
    if given.report and (entries or errors):
        results.report(Path(given.report), given, entries, errors)
    return code


def _complain(message):
    """Print a line on standard error."""
    print(f"fastgrad dither: {message}", file=sys.stderr)


def _settings(given):
    """Check the options that go together, and read the palette."""
    palette, device, options = None, None, {}
    if given.palette:
        palette, device = palette_files.read(Path(given.palette))
    elif given.preset:
        preset = PRESETS[given.preset]
        palette, device, options = preset.colors, preset.device, preset.options
    if given.lock_colors:
        if palette is None:
            given.refuse("--lock-colors needs --palette or --preset")
        if (given.colors or 16) <= len(palette):
            given.refuse(f"--lock-colors needs more --colors than the {len(palette)} given")
    elif palette is not None and given.colors:
        given.refuse("--colors goes with --palette or --preset only when there is --lock-colors")
    names = ("space", "sigma", "ppd", "nu", "local_weights", "structure", "estimator", "steps")
    names += ("time_budget",)
    asked = {name: getattr(given, name) for name in names if getattr(given, name) is not None}
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


def _sources(given):
    """Expand patterns, where the shell has not."""
    if not given.inputs:
        return [PHOTOGRAPH]
    sources = []
    for name in given.inputs:
        if name != "-" and not Path(name).exists() and glob.has_magic(name):
            sources += [Path(found) for found in sorted(glob.glob(name))] or [Path(name)]
        else:
            sources.append(name if name == "-" else Path(name))
    return sources


def _plan(given, sources, out):
    """Open each picture and settle where it goes; return the jobs and the errors."""
    jobs, errors, taken = [], [], set()
    known = {source.resolve() for source in sources if isinstance(source, Path)}
    for source in sources:
        try:
            picture = images.Picture(sys.stdin.buffer.read() if source == "-" else source)
            target, sheet = _targets(given, source, picture, out)
            if target in taken:
                raise images.FileError(
                    f"two pictures would be written to {target or '-'}: {source}"
                )
            taken.add(target)
            for path in (target, sheet):
                if path is not None and path.exists() and path.resolve() in known:
                    raise images.FileError(f"the output would replace the input: {path}")
            jobs.append(results.Job(picture, target, sheet))
        except images.FileError as error:
            errors.append({"input": str(source), "error": str(error)})
    return jobs, errors


def _targets(given, source, picture, out):
    """Return where a picture is written, None for standard output, and where its sheet, if any."""
    stem = "stdin" if source == "-" else source.stem
    ending = ".gif" if picture.format == "GIF" and picture.count > 1 else ".png"
    if out == "-":
        target, beside = None, Path(f"{stem}.png")
        if sys.stdout.isatty():
            raise images.FileError("a picture is not written to a terminal: use -o or a pipe")
    elif out is None or Path(out).is_dir():
        target = beside = Path(out or "", f"{stem}{SUFFIX}{ending}")
    else:
        target = beside = Path(out)
    sheet = None
    if given.compare:
        sheet = beside.with_name(beside.stem.removesuffix(SUFFIX) + "-comparison.png")
        images.check_targets([sheet], source if isinstance(source, Path) else None)
    if target is not None:
        path = source if isinstance(source, Path) else None
        images.check_targets([target], path, endings=tuple(animation.FORMATS))
    return target, sheet
