"""The command line: ``fastgrad dither`` and ``fastgrad info``."""

import argparse
import contextlib
import os
import sys
import time
from pathlib import Path

from fastgrad import dithering
from fastgrad._version import __version__
from fastgrad.dithering import files
from fastgrad.dithering.quality import psnr

JUDGE = 1.5  # standard deviation in pixels of the blur under which errors are reported
SUFFIX = "-dithered"


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"{self.prog}: {message}\n")


def main(argv=None):
    """Run the command line.

    Parameters
    ----------
    argv : list of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        The exit code: 0, 2 for bad input, 130 after an interrupt.
    """
    arguments = _parser().parse_args(argv)
    try:
        return arguments.run(arguments)
    except files.FileError as error:
        print(f"fastgrad {arguments.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"fastgrad {arguments.command}: interrupted, nothing written", file=sys.stderr)
        return 130


def _parser():
    parser = _Parser(prog="fastgrad", description="Gradients over discrete random variables.")
    parser.add_argument("--version", action="version", version=f"fastgrad {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    dither = commands.add_parser("dither", help="dither a picture with a learned palette")
    dither.set_defaults(run=_dither)
    dither.add_argument("image", nargs="?", metavar="IMAGE", help="default: a photograph included")
    dither.add_argument(
        *("-k", "--colors"),
        type=_number(int, 2, 256),
        default=16,
        metavar="K",
        help="colours of the palette, 2 to 256 (default: %(default)s)",
    )
    dither.add_argument(
        "-o", "--output", metavar="OUT", help=f"an indexed PNG (default: <name>{SUFFIX}.png)"
    )
    for name, kind, low, high, default, text in (
        ("--seed", int, 0, 2**63 - 1, 0, "seed of the randomness"),
        ("--steps", int, 1, 10**6, 60, "steps of annealing"),
        ("--sigma", float, 0, 8, 1.0, "standard deviation of the blur in pixels"),
        ("--nu", float, 0, 1e6, 0.05, "weight of the error without blur: larger is less grainy"),
    ):
        dither.add_argument(
            name,
            type=_number(kind, low, high),
            default=default,
            metavar="X" if kind is float else "N",
            help=f"{text} (default: %(default)s)",
        )

    info = commands.add_parser("info", help="print versions, threads and the kernel cache")
    info.set_defaults(run=_info)
    return parser


def _number(kind, low, high):
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


# -- fastgrad dither -----------------------------------------------------------------------------


def _dither(arguments):
    source = Path(__file__).parent / "data" / "astronaut.jpg"
    if arguments.image is not None:
        source = Path(arguments.image)
    out = Path(arguments.output or f"{source.stem}{SUFFIX}.png")
    comparison = out.with_name(out.stem.removesuffix(SUFFIX) + "-comparison.png")
    files.check_targets([out, comparison], source)
    values, original = files.read(source)
    print(f"{source.name}: {original.width} x {original.height}, {arguments.colors} colours")

    result, complete = _run(values, arguments)
    ours = files.indexed(result)
    files.write(ours, out)
    if not complete:
        message = f"interrupted: the best picture so far is in {out}"
        print(f"fastgrad dither: {message}", file=sys.stderr)
        return 130
    began = time.perf_counter()
    rival = files.median_cut(original, arguments.colors)
    seconds = time.perf_counter() - began
    ours = ours.convert("RGB")
    panels = {"original": original, "fastgrad": ours, "Pillow: median cut, Floyd-Steinberg": rival}
    files.write(files.side_by_side(panels), comparison)
    _report(original, {"fastgrad": (ours, result.seconds), "Pillow": (rival, seconds)}, arguments)
    print(f"wrote {out} and {comparison}")
    return 0


def _run(values, arguments):
    """Dither; return the result, and whether it is complete or was cut short by an interrupt."""
    bar, latest = _progress_bar(), None

    def show(progress):
        nonlocal latest
        latest = progress
        if bar is not None:
            bar.total = progress.steps
            bar.set_postfix(loss=f"{progress.loss:.3e}", refresh=False)
            bar.update()

    with bar if bar is not None else contextlib.nullcontext():
        try:
            result = dithering.dither(
                values,
                colors=arguments.colors,
                sigma=arguments.sigma,
                nu=arguments.nu,
                steps=arguments.steps,
                rng=arguments.seed,
                callback=show,
            )
            return result, True
        except KeyboardInterrupt:
            if latest is None:
                raise
            return latest.snapshot(), False


def _progress_bar():
    """Return a progress bar, if tqdm is installed; it shows on a terminal only."""
    try:
        from tqdm import tqdm
    except ImportError:
        return None
    return tqdm(unit="step", disable=None, dynamic_ncols=True)


def _report(original, rows, arguments):
    """Print the errors of each picture."""
    sigmas = sorted({arguments.sigma, JUDGE})
    columns = [(f"linear, blur {s:g}", s, True) for s in sigmas]
    columns += [(f"sRGB, blur {s:g}", s, False) for s in sigmas] + [("sRGB", 0, False)]
    print(
        f"{'PSNR in dB':10}" + "".join(f"{name:>17}" for name, *_ in columns) + f"{'seconds':>10}"
    )
    for name, (image, seconds) in rows.items():
        values = [psnr(image, original, sigma=s, linear=linear) for _, s, linear in columns]
        print(f"{name:10}" + "".join(f"{v:17.2f}" for v in values) + f"{seconds:10.2f}")


# -- fastgrad info -------------------------------------------------------------------------------


def _info(arguments):
    import platform

    import llvmlite
    import numba
    import numpy
    import scipy

    from fastgrad.kernels import jit

    packages = {"numba": numba, "llvmlite": llvmlite, "numpy": numpy, "scipy": scipy}
    rows = {"fastgrad": __version__}
    rows |= {name: package.__version__ for name, package in packages.items()}
    rows |= {
        "python": platform.python_version(),
        "threads": f"{numba.get_num_threads()} of {os.cpu_count()} processors",
        "threading layer": jit.threading_layer(),
        "vectors": _vector_width(),
        "kernel cache": jit.cache_directory() or "none: no place is writable",
    }
    for name, value in rows.items():
        print(f"{name:16}{value}")
    return 0


def _vector_width():
    """Name the widest vectors that LLVM finds on this machine."""
    import llvmlite.binding

    try:
        features = llvmlite.binding.get_host_cpu_features()
    except RuntimeError:
        return "unknown"
    for bits, name in ((512, "avx512f"), (256, "avx2"), (128, "sse2"), (128, "neon")):
        if features.get(name):
            return f"{bits} bits ({name})"
    return "unknown"
