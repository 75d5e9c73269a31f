"""Numbers and sizes as arguments, and the options of ``fastgrad dither``."""

import argparse
import re

from fastgrad.dithering.pictures.palette_files import READERS, WRITERS
from fastgrad.dithering.pictures.presets import PRESETS
from fastgrad.dithering.pictures.transparency import MODES

SPACES = ("opponent", "linear", "srgb", "oklab")


def number(kind, low, high):
    """Build an argument type: a number from low to high."""

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            value = None
        if value is None or not low <= value <= high:
            noun = "an integer" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"must be {noun} from {low} to {high}, not {text}")
        return value

    return parse


def size(text):
    """Read WxH, W or xH: width and height in pixels, None for what follows from the other."""
    found = re.fullmatch(r"(\d{1,5})?(?:x(\d{1,5}))?", text)
    values = [None if part is None else int(part) for part in found.groups()] if found else [0]
    if not any(values) or 0 in values:
        raise argparse.ArgumentTypeError(f"must be WxH, W or xH in pixels, not {text}")
    return tuple(values)


def add_dither(parser):
    """Add the options of ``fastgrad dither`` to its parser."""
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="IN",
        help="pictures, patterns such as '*.jpg', or - for standard input; "
        "default: a photograph included",
    )
    parser.add_argument(
        *("-o", "--output"),
        metavar="OUT",
        help="a .png or .gif, a directory, or - for standard output "
        "(default: <name>-dithered.png in this directory)",
    )

    palette = parser.add_argument_group("palette")
    palette.add_argument(
        *("-k", "--colors"),
        type=number(int, 2, 256),
        metavar="K",
        help="colours of a learned palette, 2 to 256 (default: 16)",
    )
    fixed = palette.add_mutually_exclusive_group()
    fixed.add_argument(
        "--palette", metavar="FILE", help=f"take the colours of a file: {', '.join(READERS)}"
    )
    fixed.add_argument(
        "--preset",
        choices=PRESETS,
        metavar="NAME",
        help="take the colours of a panel as measured, and write those that its driver expects: "
        + "; ".join(f"{name} ({preset.summary})" for name, preset in PRESETS.items()),
    )
    palette.add_argument(
        "--lock-colors",
        action="store_true",
        help="keep those colours and learn others, up to K in all",
    )
    palette.add_argument(
        "--swatches", metavar="FILE", help=f"write the palette: {', '.join(WRITERS)}"
    )

    optimiser = parser.add_argument_group("what is optimised")
    optimiser.add_argument("--space", choices=SPACES, help="where errors are measured")
    eye = optimiser.add_mutually_exclusive_group()
    eye.add_argument(
        "--sigma",
        type=number(float, 0, 8),
        metavar="X",
        help="standard deviation of the eye's blur in pixels",
    )
    eye.add_argument(
        "--ppd",
        type=number(float, 1, 200),
        metavar="X",
        help="pixels per degree of the visual field, instead of --sigma",
    )
    for name, kind, low, high, text in (
        ("--nu", float, 0, 1e6, "weight of the error without blur: larger is less grainy"),
        ("--structure", float, 0, 1e6, "weight of structure, 1 - CSSIM (default: 0)"),
        ("--steps", int, 1, 10**6, "steps of annealing"),
        ("--time-budget", float, 0.001, 1e6, "seconds for each picture"),
        ("--seed", int, 0, 2**63 - 1, "seed of the randomness (default: 0)"),
    ):
        kind_name = "X" if kind is float else "N"
        parse = number(kind, low, high)
        optimiser.add_argument(name, type=parse, metavar=kind_name, help=text)

    optimiser.add_argument(
        "--local-weights",
        action=argparse.BooleanOptionalAction,
        help="weigh errors by the local slope of lightness (default: in the spaces of light)",
    )
    optimiser.add_argument(
        "--estimator",
        choices=("local_expectation", "rloo", "gumbel_softmax", "rebar"),
        help="of the gradient of the mean of --structure (default: local_expectation)",
    )

    picture = parser.add_argument_group("picture")
    picture.add_argument(
        "--alpha",
        choices=MODES,
        help="opacity stays as far as the palette has room, turns into all or nothing, or is laid "
        "on white (default: keep; with --preset, blend)",
    )
    picture.add_argument(
        "--resize", type=size, metavar="WxH|W|xH", help="change the size first, in pixels"
    )

    shown = parser.add_argument_group("what is shown")
    shown.add_argument("--report", metavar="FILE.json", help="write figures of every picture")
    shown.add_argument(
        "--compare",
        action=argparse.BooleanOptionalAction,
        help="write <name>-comparison.png beside the output and print figures, both with Pillow's "
        "and, where it is installed, imagequant's work (default: for the included photograph)",
    )
    shown.add_argument("--preview", action="store_true", help="show the result in the terminal")
