"""The options of the commands, as tables."""

from __future__ import annotations

import argparse

from fastgrad.cli.options import THREADS, Option, numeric, option
from fastgrad.cli.values import (
    bytes_of,
    file,
    gain,
    mask,
    number,
    opacity,
    page,
    shared,
    size,
    solid,
    suffix,
    tiles,
)
from fastgrad.dithering.eye.colour import SPACES
from fastgrad.dithering.eye.viewing import MOST_PPD, MOST_SIGMA, MOST_WEIGHT
from fastgrad.dithering.files.plan import SUFFIX
from fastgrad.dithering.optimiser.patterns import PATTERNS
from fastgrad.dithering.optimiser.solid import MODES as MODES_OF
from fastgrad.dithering.optimiser.tones import FITS
from fastgrad.dithering.pictures.consoles import SUMMARIES
from fastgrad.dithering.pictures.device_files import FORMATS
from fastgrad.dithering.pictures.images import MAX_LARGE, MAX_PIXELS
from fastgrad.dithering.pictures.palette_files import READERS, WRITERS
from fastgrad.dithering.pictures.placement import PLACEMENTS, TURNS
from fastgrad.dithering.pictures.presets import PRESETS
from fastgrad.dithering.pictures.transparency import MODES

ESTIMATORS = ("local_expectation", "rloo", "gumbel_softmax", "rebar")

DITHER: dict[str, tuple[Option, ...]] = {
    "": (
        option(
            "inputs",
            nargs="*",
            type=file,
            metavar="IN",
            help="pictures, directories of pictures (without those that this command has made), "
            "patterns such as '*.jpg', or - for standard input; default: a photograph included",
        ),
        option(
            *("-o", "--output"),
            type=file,
            metavar="OUT",
            help="a .png, .gif or .webp (without loss), a directory, which is made if its name "
            "ends in / or there are several pictures, or - for standard output; a .png, .tif or "
            f".zarr for a picture of more than {MAX_PIXELS} pixels "
            "(default: <name>-dithered.png in this directory)",
        ),
        option(
            "--suffix",
            type=suffix,
            default=SUFFIX,
            metavar="TEXT",
            help="put behind the names of pictures in a directory; {ext} in it is the ending of IN "
            "(default: %(default)s)",
        ),
        option("--skip-existing", action="store_true", help="leave pictures that are there"),
        option(
            "--skip-if-larger", action="store_true", help="write none that takes more bytes than IN"
        ),
        option(
            *("-j", "--jobs"),
            type=number(int, 1, 4096),
            default=1,
            metavar="N",
            help="pictures at a time, each in a process with one thread (default: 1)",
        ),
        option(
            "--max-pixels",
            type=number(int, 1, 1 << 40),
            default=MAX_LARGE,
            metavar="N",
            help="refuse pictures of more pixels, counted after --resize (default: %(default)s)",
        ),
        option(
            "--resume",
            action="store_true",
            help=f"of a picture of more than {MAX_PIXELS} pixels, go on from what an interrupt "
            "left in OUT.unfinished",
        ),
        THREADS,
        option(*("-q", "--quiet"), action="store_true", help="print nothing but errors"),
    ),
    "palette": (
        option(
            *("-k", "--colors", "--colours"),
            type=number(int, 2, 256),
            metavar="K",
            help="colours of a learned palette, 2 to 256 (default: 16)",
        ),
        option(
            *("--palette", "--from"),
            rivals="fixed",
            type=file,
            metavar="FILE",
            help=f"take the colours of a file: {', '.join(READERS)}",
        ),
        option(
            "--preset",
            rivals="fixed",
            type=str.lower,
            choices=tuple(PRESETS),
            metavar="NAME",
            help="take the colours of a panel as measured, and write those that its driver "
            "expects: " + "; ".join(f"{name} ({p.summary})" for name, p in PRESETS.items()),
        ),
        option(
            "--measured",
            rivals="fixed",
            type=file,
            metavar="FILE.json",
            help="take the colours of a panel of one's own: what was measured of the patches that "
            "fastgrad palette --patches writes",
        ),
        numeric(
            "--choose", int, 2, 256, "take N of these colours, in which the picture looks best"
        ),
        option(
            "--lock-colors",
            action="store_true",
            help="keep those colours and learn others, up to K in all",
        ),
        option(
            "--swatches",
            type=file,
            metavar="FILE",
            help=f"write the palette: {', '.join(WRITERS)}",
        ),
    ),
    "what is optimised": (
        option(
            "--fit",
            type=str.lower,
            choices=FITS,
            help="bring the picture into the range of the palette: its tones, its colours or both, "
            "fitted to the picture, or only what is beyond (default: all for presets of panels)",
        ),
        option(
            "--pattern",
            type=str.lower,
            choices=PATTERNS,
            help="each pixel by itself, by a pattern: more grain, but still in animations",
        ),
        option(
            "--dot-gain",
            type=gain,
            metavar="PERCENT|FILE.json",
            help="allow for a printer or engraver whose dots reach into the pixels around them: by "
            "how much a chequered field is darker than half, or a response of one's own (black and "
            "white, unless two colours are given)",
        ),
        option(
            "--space",
            type=str.lower,
            choices=tuple(SPACES),
            help="colours in which errors are measured (default: opponent, that of a preset, or "
            "screen where the picture is drawn, oklab where it is smooth)",
        ),
        numeric(
            *("--sigma", float, 0, MOST_SIGMA),
            "standard deviation of the eye's blur in pixels (default: 1)",
            rivals="eye",
        ),
        numeric(
            *("--ppd", float, 1, MOST_PPD),
            "in place of --sigma: pixels per degree of the visual field",
            rivals="eye",
        ),
        numeric(
            *("--nu", float, 0, MOST_WEIGHT),
            "weight of the error without blur, the larger the less grain (default: about 0.05, "
            "more where the picture is drawn or smooth)",
        ),
        numeric(
            "--structure", float, 0, MOST_WEIGHT, "weight of structure, 1 - CSSIM (default: 0)"
        ),
        numeric("--speed", int, 1, 10, "1 is slow and good, 10 fast (default: 4)", rivals="pace"),
        numeric("--time-budget", float, 0.001, 1e6, "seconds for each picture", rivals="pace"),
        numeric(
            *("--rate", float, 0, 1000),
            "weight of the bits per pixel, such as 0.0001: fewer bytes",
            rivals="bytes",
        ),
        option(
            "--size",
            dest="max_bytes",
            rivals="bytes",
            type=bytes_of,
            metavar="BYTES",
            help="the best picture of no more bytes, such as 40kB, or the best pictures of no more "
            "in all; without -k and a palette, it chooses the number of colours too",
        ),
        option("--each", action="store_true", help="--size is that of each picture"),
        numeric(
            *("--quality", float, 0, 100),
            "the smallest file of such a score by SSIMULACRA2: of an animation, that of the worst "
            "tenth of its frames",
            rivals="bytes",
        ),
        numeric("--seed", int, 0, 2**63 - 1, "seed of the randomness (default: 0)"),
        option(
            "--local-weights",
            action=argparse.BooleanOptionalAction,
            help="weigh errors by the local slope of lightness (default: in the spaces of light)",
        ),
        option(
            "--estimator",
            type=str.lower,
            choices=ESTIMATORS,
            help="of the gradient of the mean of --structure (default: local_expectation)",
        ),
    ),
    "consoles": (
        option(
            "--tiles",
            type=tiles,
            metavar="NAME|WxH",
            help="one of a few palettes for each tile of so many pixels, learned together; or the "
            "limits of a console, which the others here change: "
            + "; ".join(f"{name} ({said})" for name, said in SUMMARIES.items()),
        ),
        numeric("--palettes", int, 1, 128, "number of palettes (default: 4)"),
        numeric("--tile-colors", int, 2, 256, "colours in each of them (default: 4)"),
        numeric("--channel-bits", int, 1, 8, "bits of a channel of a colour (default: 8)"),
        option(
            "--shared-color",
            type=shared,
            metavar="learn|none|#rrggbb",
            help="what is entry 0 of all palettes (default: none)",
        ),
    ),
    "inks": (
        option(
            "--solid",
            type=solid,
            metavar="all|none|#rrggbb,...",
            help="colours of the picture that become one ink without grain: those of the palette "
            "and of the device, or those listed (default: all with --preset)",
        ),
        option(
            "--mask",
            action="append",
            type=mask,
            metavar="FILE[:MODE]",
            help=f"a picture that is white where another mode is wanted: {', '.join(MODES_OF)} "
            "(default: text); may be given several times",
        ),
        option(
            "--threshold",
            action="store_true",
            help="no dithering: each pixel is paper or ink, for text and scans (black and white, "
            "unless colours are given)",
        ),
    ),
    "picture": (
        option(
            "--alpha",
            type=opacity,
            metavar=f"{'|'.join(MODES)}|#rrggbb",
            help="opacity stays as far as the palette has room, turns into all or nothing, or is "
            "laid on white; or transparent pixels have the colour, which others then have not "
            "(default: keep; with --preset, blend)",
        ),
        numeric(*("--transparent-index", int, 0, 255, "which entry of the palette is transparent")),
        option(
            "--hidden",
            action="store_true",
            help="keep the colours of transparent pixels, for which there is one entry in eight",
        ),
        option("--resize", type=size, metavar="WxH|W|xH", help="change the size first, in pixels"),
        option(
            "--fit-size",
            type=str.lower,
            choices=PLACEMENTS,
            help="where the proportions of --resize are others: change them, crop, or leave "
            "margins (default: stretch)",
        ),
        option(
            "--rotate",
            type=int,
            choices=TURNS,
            default=0,
            help="turn the picture clockwise first, by degrees",
        ),
        option(
            "--format",
            type=str.lower,
            choices=tuple(FORMATS),
            metavar="NAME",
            help="write what a device takes: "
            + "; ".join(f"{name} ({said})" for name, said in FORMATS.items()),
        ),
    ),
    "what is shown": (
        option("--report", type=file, metavar="FILE.json", help="write figures of every picture"),
        option(
            "--compare",
            type=page,
            nargs="?",
            metavar="FILE.html",
            help="write <name>-comparison.png beside the output, or for all pictures the page "
            "FILE.html, whose slider lies between pictures, and print figures, both with Pillow's "
            "and, where it is installed, imagequant's work (default: for the included photograph)",
        ),
        option("--no-compare", dest="compare", action="store_const", const=False, help="do not"),
        option(
            "--frontier",
            type=file,
            metavar="FILE.png",
            help="draw quality against bytes: ours with many colours and rates, beside imagequant, "
            "pngquant and Pillow, as far as they are installed (minutes of work, and Matplotlib)",
        ),
        option("--preview", action="store_true", help="show the result in the terminal"),
    ),
}
