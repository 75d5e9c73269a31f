"""``fastgrad compare``: all estimators on the problems that the literature shares."""

import argparse
import io
from collections.abc import Callable
from pathlib import Path

import numpy as np

from fastgrad import _interrupts as interrupts
from fastgrad import comparison, objectives
from fastgrad._progress import progress_bar
from fastgrad.cli.messages import printable
from fastgrad.cli.options import THREADS, Option, numeric, option
from fastgrad.cli.values import file
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.dithering.pictures import images, output_files

OUTPUT = "fastgrad-compare.png"


def rebar() -> tuple[objectives.Objective, Bernoulli]:
    """REBAR's toy with 3 bits: mean of (b - 0.45)^2, logits 0."""
    return objectives.separable(np.full(3, 0.45)), Bernoulli(np.zeros(3))


def separable() -> tuple[objectives.Objective, Bernoulli]:
    """Double control variates' toy: mean of (b - 0.499)^2 over 200 bits, logits 0."""
    return objectives.separable(np.full(200, 0.499)), Bernoulli(np.zeros(200))


def bernoulli3() -> tuple[objectives.Objective, Categorical]:
    """Three bits as one variable of 8 categories: sum of (b - (0.6, 0.51, 0.48))^2, logits 0."""
    return objectives.bernoulli3(), Categorical(np.zeros(8))


def polynomial() -> tuple[objectives.Objective, Categorical]:
    """ReinMax's programme at its start: mean of |x - 0.45|^1.5 over 128 pairs of categories."""
    target, weights = np.tile([0.45, 0.0], (128, 1)), np.tile([1 / 128, 0.0], (128, 1))
    logits = np.random.default_rng(0).uniform(-0.01, 0.01, (128, 2))
    return objectives.separable(target, weights=weights, power=1.5), Categorical(logits)


PROBLEMS: dict[str, Callable[[], tuple[objectives.Objective, Bernoulli | Categorical]]] = {
    problem.__name__: problem for problem in (rebar, separable, bernoulli3, polynomial)
}

COMPARE: dict[str, tuple[Option, ...]] = {
    "": (
        option(
            "--problem",
            nargs="+",
            choices=tuple(PROBLEMS),
            metavar="NAME",
            help=f"of {', '.join(PROBLEMS)} (default: all)",
        ),
        numeric(
            *("--samples", int, 1, 10**6, "evaluations of f in an estimate (default: 8)"),
            default=8,
        ),
        numeric(
            *("--repeats", int, 2, 10**9, "estimates of each estimator (default: 1000)"),
            default=1000,
        ),
        numeric("--seed", int, 0, 2**63 - 1, "seed of the randomness (default: 0)", default=0),
        option(
            *("-o", "--output"),
            type=file,
            default=OUTPUT,
            metavar="PNG",
            help="the picture to write (default: %(default)s)",
        ),
        THREADS,
    )
}


def compare(given: argparse.Namespace) -> int:
    """Run ``fastgrad compare``; return the exit code."""
    out, names = Path(given.output), list(dict.fromkeys(given.problem or PROBLEMS))
    output_files.check_targets([out])
    try:
        from matplotlib.figure import Figure
        from PIL import Image
    except ImportError:
        raise images.FileError("Matplotlib is needed: pip install fastgrad[plot]") from None

    problems = {}
    with progress_bar("step") as (show, _):
        for i, name in enumerate(names):

            def report(done: int, total: int, label: str, i: int = i, name: str = name) -> None:
                interrupts.check()
                show(i * total + done, total * len(names), f"{name}: {label}")

            f, distribution = PROBLEMS[name]()
            problems[name] = comparison.compare(
                f,
                distribution,
                num_samples=given.samples,
                repeats=given.repeats,
                rng=given.seed,
                callback=report,
            )
    for name, found in problems.items():
        print(f"{name}: {PROBLEMS[name].__doc__}\n\n{found}\n")

    heights = [1.2 + 0.25 * max(8, len(found.rows)) for found in problems.values()]
    figure = Figure(figsize=(11, sum(heights)), layout="constrained")
    parts = figure.subfigures(len(problems), 1, height_ratios=heights, squeeze=False)[:, 0]
    for part, (name, found) in zip(parts, problems.items()):
        found.plot(figure=part, title=name)
    data = io.BytesIO()
    figure.savefig(data, dpi=120)
    with interrupts.allowed(False):
        output_files.write(Image.open(data), out)
        print(f"wrote {printable(out)}")
    return 0
