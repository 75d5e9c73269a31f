"""Quality against bytes of a picture: ours at many rates, and other tools' work, as a plot."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _interrupts as interrupts
from fastgrad._typing import ByteArray
from fastgrad.dithering.choices import ways
from fastgrad.dithering.eye.viewing import Viewing
from fastgrad.dithering.files.predicted_size import corrected, predicted_size
from fastgrad.dithering.metrics.ssimulacra2 import Ssimulacra2
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.pictures import other_tools
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.report import size_of
from fastgrad.dithering.rates import FIRST
from fastgrad.dithering.thrifty_run import ThriftyRun

__all__ = ["Point", "best", "check", "draw", "others", "ours", "plotted"]

COLORS = (8, 16, 32, 64, 128, 256)
RATES = (0.0, 3e-5, 1e-4, 3e-4, 1e-3)
TOOLS: dict[str, Callable[..., ByteArray | None]] = {
    "imagequant": other_tools.imagequant,
    "imagequant, half as much": partial(other_tools.imagequant, level=0.5),
    "imagequant, no dithering": partial(other_tools.imagequant, level=0.0),
    "pngquant": other_tools.pngquant,
    "Pillow": other_tools.pillow,
}


class Point(NamedTuple):
    """A dithered picture: its colours, the bytes of its PNG, and its score by SSIMULACRA2.

    Of ours, those between the first and the last rate are predicted, too, from the indices and the
    bytes of these two.
    """

    colors: int
    size: float
    score: float
    predicted: float = float("nan")


def ours(
    values: ByteArray,
    viewing: Viewing,
    pace: Pace,
    *,
    colors: Iterable[int] = COLORS,
    rates: Iterable[float] = RATES,
) -> Iterator[Point]:
    """Dither a picture with several numbers of colours, strengths and rates.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    viewing : Viewing
        The conditions; unless they say nu, some strengths are tried.
    pace : Pace
        How long to work on each.
    colors, rates : iterable, optional
        What is tried; rates ascend.

    Yields
    ------
    Point
        What came of it.
    """
    judge = Ssimulacra2(values)
    for count in colors:
        for way in ways(values) if viewing.nu is None else [{}]:
            given: dict[str, Any] = {"colors": count}
            eye = dict(way)
            if "palette" in eye:
                given = {"palette": eye.pop("palette")(count)}
            run = ThriftyRun(Problem(values, replace(viewing, **eye), **given), pace)
            run.start()
            run.anneal()
            run.search()
            made, predicted = [], []
            for rate in rates:
                interrupts.check()
                result = run.at(rate * run.first / FIRST) if rate else run.result()
                predicted.append(predicted_size(result.indices, result.palette))
                picture = result.image
                made.append(Point(count, size_of(picture), judge.score(picture)))
            between = corrected(predicted, made[0].size, made[-1].size)[1:-1].tolist()
            made[1:-1] = [
                point._replace(predicted=size) for point, size in zip(made[1:-1], between)
            ]
            yield from made


def others(values: ByteArray, colors: Iterable[int] = COLORS) -> dict[str, list[Point]]:
    """Let other tools dither a picture, as far as they are installed.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    colors : iterable of int, optional
        Numbers of colours.

    Returns
    -------
    dict of str to list of Point
        By tool. All are written by our encoder, so that encoders do not decide.
    """
    judge = Ssimulacra2(values)
    found: dict[str, list[Point]] = {}
    for name, tool in TOOLS.items():
        for count in colors:
            interrupts.check()
            picture = tool(values, count)
            if picture is not None:
                point = Point(count, size_of(picture), judge.score(picture))
                found.setdefault(name, []).append(point)
    return found


def best(points: Sequence[Point]) -> list[Point]:
    """Return those points, by bytes, that no smaller one equals in quality.

    Examples
    --------
    >>> [p.size for p in best([Point(8, 90, 5.0), Point(4, 70, 6.0), Point(16, 99, 7.0)])]
    [70, 99]
    """
    edge: list[Point] = []
    for point in sorted(points, key=lambda one: (one.size, -one.score)):
        if not edge or point.score > edge[-1].score:
            edge.append(point)
    return edge


def check() -> None:
    """Refuse to plot without Matplotlib.

    Raises
    ------
    FileError
        If it is not installed.
    """
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise FileError("Matplotlib is needed: pip install fastgrad[plot]") from None


def draw(pictures: Mapping[str, Mapping[str, Sequence[Point]]], ending: str) -> bytes:
    """Draw quality against bytes, and predicted against real bytes.

    Parameters
    ----------
    pictures : mapping of str to mapping of str to sequence of Point
        For each picture, points by tool: "fastgrad", whose best are joined, and others.
    ending : str
        One of `fastgrad.dithering.files.plan.PLOTS`.

    Returns
    -------
    bytes
        The contents of the file: a column for each picture.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.5 * len(pictures), 10), layout="constrained")
    rows = figure.subplots(2, len(pictures), squeeze=False)
    for (name, found), axes, below in zip(pictures.items(), *rows):
        for tool, points in found.items():
            edge = best(points) if tool == "fastgrad" else sorted(points)
            (line,) = axes.plot(
                [point.size for point in edge],
                [point.score for point in edge],
                "-" if tool == "fastgrad" else "o--",
                label=tool,
                linewidth=2 if tool == "fastgrad" else 1,
            )
            if tool == "fastgrad":
                axes.plot(
                    [point.size for point in points],
                    [point.score for point in points],
                    ".",
                    color=line.get_color(),
                    alpha=0.4,
                )
                sizes = np.array([point.size for point in points])
                below.loglog(sizes, [point.predicted for point in points], ".")
                for share in (1, 0.92, 1.08):
                    width = 1 if share == 1 else 0.4
                    below.axline((1e3, share * 1e3), (1e4, share * 1e4), color="grey", lw=width)
        axes.set(title=name, xlabel="bytes of a PNG", ylabel="SSIMULACRA2", xscale="log")
        axes.legend()
        below.set(xlabel="bytes of a PNG", ylabel="predicted, and 8 % more or less")
    data = io.BytesIO()
    figure.savefig(data, format=ending.removeprefix("."), dpi=120)
    return data.getvalue()


def plotted(values: ByteArray, name: str, viewing: Viewing, pace: Pace, ending: str) -> bytes:
    """Measure a picture as we and others dither it, and draw the plot.

    Parameters
    ----------
    values : array of uint8, shape (height, width, 3)
        The picture in sRGB.
    name : str
        Its name.
    viewing, pace
        See `ours`.
    ending : str
        One of `fastgrad.dithering.files.plan.PLOTS`.

    Returns
    -------
    bytes
        The contents of the file.
    """
    found = {"fastgrad": list(ours(values, viewing, pace)), **others(values)}
    return draw({Path(name).name: found}, ending)
