"""``fastgrad palette``: a panel's colours, a chart of them, and what was measured of it."""

from __future__ import annotations

import argparse
from pathlib import Path

from fastgrad import _interrupts as interrupts
from fastgrad.cli.messages import printable
from fastgrad.cli.options import Option, option
from fastgrad.cli.values import file, size
from fastgrad.dithering.pictures import (
    device_files,
    indexed,
    measurements,
    output_files,
    palette_files,
    png,
    presets,
)
from fastgrad.dithering.pictures.file_errors import of_option
from fastgrad.dithering.pictures.presets import PRESETS, Preset

PALETTE: dict[str, tuple[Option, ...]] = {
    "": (
        option(
            "--preset",
            rivals="fixed",
            type=str.lower,
            choices=tuple(PRESETS),
            metavar="NAME",
            help=f"a panel that is known: {', '.join(PRESETS)}",
        ),
        option(
            "--palette",
            rivals="fixed",
            type=file,
            metavar="FILE",
            help=f"colours of a file: {', '.join(palette_files.READERS)}",
        ),
        option(
            "--measured",
            rivals="fixed",
            type=file,
            metavar="FILE.json",
            help="what was measured of patches: the file of --form, filled in",
        ),
        option(
            "--patches",
            type=file,
            metavar="OUT",
            help="write a chart of a patch for each colour, in those of the device: to be shown "
            "and measured",
        ),
        option(
            "--form",
            type=file,
            metavar="OUT.json",
            help="write the file to fill in with what is measured of each patch",
        ),
        option(
            *("-o", "--output"),
            type=file,
            metavar="OUT",
            help=f"write the colours as they are seen: {', '.join(palette_files.WRITERS)}; a .json "
            "has those of the device too",
        ),
        option(
            "--size",
            type=size,
            default=(800, 480),
            metavar="WxH",
            help="of the chart, in pixels (default: 800x480)",
        ),
        option(
            "--format",
            type=str.lower,
            choices=tuple(device_files.FORMATS),
            metavar="NAME",
            help="write the chart as a device takes it: see fastgrad dither",
        ),
    )
}


def palette(given: argparse.Namespace) -> int:
    """Run ``fastgrad palette``; return the exit code."""
    if not (given.preset or given.palette or given.measured):
        given.refuse("--preset, --palette or --measured says whose colours")
    if None in given.size:
        given.refuse("--size must be WxH in pixels")
    if given.format and not given.patches:
        given.refuse("--format goes with --patches")
    _check(given)
    found, name = _found(given)
    written: dict[str, bytes] = {}
    if given.patches:
        written[given.patches] = _chart(given, found)
    if given.form:
        text = measurements.form(name, found.colors, found.device, found.codes)
        written[given.form] = text.encode()
    if given.output:
        ending = Path(given.output).suffix.lower()
        written[given.output] = palette_files.encode(
            found.colors, ending, name=name, device=found.device
        )
    if not written:
        print("\n".join(_lines(found)))
    with interrupts.allowed(False):
        for place, data in written.items():
            output_files.replace(data, Path(place))
            print(f"wrote {printable(place)}")
    return 0


def _check(given: argparse.Namespace) -> None:
    """Refuse outputs that cannot be written, or would be one file or the one that is read."""
    source = given.palette or given.measured
    chart = device_files.ENDINGS[given.format] if given.format else indexed.ENDINGS[:1]
    places = {"--patches": (given.patches, chart), "--form": (given.form, (".json",))}
    places["--output"] = (given.output, palette_files.WRITERS)
    places = {asked: place for asked, place in places.items() if place[0] is not None}
    if len({output_files.identity(Path(name)) for name, _ in places.values()}) < len(places):
        given.refuse("each output must have a name of its own")
    for asked, (name, endings) in places.items():
        with of_option(asked, name):
            output_files.check_targets(
                [Path(name)], None if source is None else Path(source), endings=endings
            )


def _found(given: argparse.Namespace) -> tuple[Preset, str]:
    """Return the colours that are asked for, and their name."""
    if given.preset:
        return PRESETS[given.preset], given.preset
    if given.measured:
        with of_option("--measured", given.measured):
            found = presets.measured(given.measured)
        return found, found.summary
    with of_option("--palette", given.palette):
        colors, device = palette_files.read(Path(given.palette))
    name = Path(given.palette).stem
    return Preset(name, colors, device), name


def _chart(given: argparse.Namespace, found: Preset) -> bytes:
    """Return the file of a chart."""
    try:
        indices = presets.patches(found.device, given.size)
    except ValueError as error:
        given.refuse(f"--{error}")
        raise
    if given.format:
        stem = Path(given.patches).stem
        return device_files.encode(
            indices, found.device, given.format, codes=found.codes, stem=stem
        )
    return png.encode([indices], found.device)


def _lines(found: Preset) -> list[str]:
    """Return a table of the colours."""
    lines = [found.summary]
    if found.source:
        lines.append(f"from {found.source}")
    codes = found.codes or range(len(found.colors))
    rows = zip(codes, found.colors, found.device)
    return [
        *lines,
        "code  seen     device",
        *(f"{n:4d}  #{bytes(c).hex()}  #{bytes(d).hex()}" for n, c, d in rows),
    ]
