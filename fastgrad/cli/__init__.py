"""The command line: ``fastgrad dither``, ``fastgrad compare`` and ``fastgrad info``."""

import argparse
import sys

from fastgrad._version import __version__
from fastgrad.cli import arguments, pictures, problems, results, versions
from fastgrad.dithering.pictures import images


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
        The exit code: 0, 2 for bad input, 130 after an interrupt, 141 when what is printed has no
        reader any more.
    """
    given = _parser().parse_args(argv)
    try:
        code = given.run(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever reads what is printed has had enough
        results.discard(sys.stdout)
        return 141
    except images.FileError as error:
        print(f"fastgrad {given.command}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"fastgrad {given.command}: interrupted, nothing written", file=sys.stderr)
        return 130


def _parser():
    parser = _Parser(prog="fastgrad", description="Gradients over discrete random variables.")
    parser.add_argument("--version", action="version", version=f"fastgrad {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    dither = commands.add_parser("dither", help="dither a picture with a learned palette")
    dither.set_defaults(run=pictures.dither, refuse=dither.error)
    arguments.add_dither(dither)

    compare = commands.add_parser("compare", help="compare all estimators on stock problems")
    compare.set_defaults(run=problems.compare)
    compare.add_argument(
        "--problem",
        nargs="+",
        choices=problems.PROBLEMS,
        metavar="NAME",
        help=f"of {', '.join(problems.PROBLEMS)} (default: all)",
    )
    for name, low, high, default, text in (
        ("--samples", 1, 10**6, 8, "evaluations of f in an estimate"),
        ("--repeats", 2, 10**9, 1000, "estimates of each estimator"),
        ("--seed", 0, 2**63 - 1, 0, "seed of the randomness"),
    ):
        compare.add_argument(
            name,
            type=arguments.number(int, low, high),
            default=default,
            metavar="N",
            help=f"{text} (default: %(default)s)",
        )
    compare.add_argument(
        *("-o", "--output"),
        default=problems.OUTPUT,
        metavar="PNG",
        help="the picture to write (default: %(default)s)",
    )

    info = commands.add_parser("info", help="print versions, threads and the kernel cache")
    info.add_argument(
        "--estimators", action="store_true", help="print the table of all estimators instead"
    )
    info.set_defaults(run=versions.info)
    return parser
