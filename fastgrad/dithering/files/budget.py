"""One number of bytes for many picture files: shared so that the sum of their errors is least.

Quick pictures tell what the error of each file is at how many bytes. All files then have the same
price of a byte: none could give one away at which another would gain more than it loses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from fastgrad._progress import progress_bar
from fastgrad._typing import FloatArray
from fastgrad.dithering.eye.viewing import NU
from fastgrad.dithering.files import one_picture, prepared, processes
from fastgrad.dithering.files.outcome import Settings
from fastgrad.dithering.files.plan import Job, Plan
from fastgrad.dithering.files.processes import Answer
from fastgrad.dithering.optimiser.lzw import in_strings
from fastgrad.dithering.pictures.file_errors import FileError
from fastgrad.dithering.pictures.large import LargePicture
from fastgrad.dithering.rates import NEAR, first_rate

__all__ = ["Curve", "dithered", "divided", "surveyed"]

Curve: TypeAlias = "list[tuple[int, float]]"  # bytes of quick pictures, and their errors

QUICK = 10  # the speed of quick pictures
RATES = (0.0, 1.0, 4.0, 16.0, 256.0)  # of quick pictures, by the first that is tried elsewhere
CHOICES = ((256, 0.0), (64, 0.0), (64, 1.0), (16, 0.0), (16, 2.0), (4, 0.0), (2, 256.0))
FINE = 400  # points of a curve that are weighed against each other
LEAST = 1e-3  # error below which a picture is as good as exact, by the largest of its curve
TURNS = 3  # times, at most, that what pictures leave is given to others


def surveyed(settings: Settings, job: Job) -> Curve:
    """Dither a picture quickly in several ways.

    Parameters
    ----------
    settings : Settings
        What is asked for. Where it does not say how many colours there are, some numbers are tried.
    job : Job
        The picture.

    Returns
    -------
    list of (int, float)
        Bytes of the file, and the loss, summed over all pixels; nothing of a picture that is too
        large to have a size.

    Raises
    ------
    KeyboardInterrupt
        If an interrupt came.
    """
    picture = job.picture
    if isinstance(picture, LargePicture):
        return []
    settings = prepared.chosen(picture, settings)
    curve: Curve = []
    options = {name: x for name, x in settings.options.items() if name != "max_bytes"}
    options["speed"] = QUICK
    if settings.counted or picture.count > 1:
        tried = [(settings.colors, rate) for rate in RATES]
    else:
        tried = list(CHOICES)
        if options.get("nu") is None:  # else it depends on the colours, and so do errors
            options["nu"] = NU
    for colors, rate in tried:
        first = first_rate(strings=in_strings(job.ending, colors, options.get("nu")))
        own = {**options, "rate": rate * first, "ending": job.ending}
        made = replace(settings, colors=colors, counted=True, options=own)
        outcome = one_picture.run(picture, made, quiet=True)
        if not outcome.complete:
            raise KeyboardInterrupt
        size = len(outcome.encode(job.ending, picture, made)[0])
        curve.append((size, sum(outcome.loss) * outcome.frames[0].size))
    return curve


def divided(curves: Sequence[Curve], most: int) -> list[int]:
    """Divide bytes among files so that the sum of their errors is least.

    Parameters
    ----------
    curves : sequence of list of (int, float)
        Bytes and errors of pictures of each file. Between them, the logarithm of the error is a
        line over that of the bytes.
    most : int
        Bytes of all files together.

    Returns
    -------
    list of int
        Bytes of each. Where there are more than all pictures need, they have more in proportion.

    Raises
    ------
    FileError
        If the smallest files are too large together.

    References
    ----------
    Y. Shoham and A. Gersho, "Efficient bit allocation for an arbitrary set of quantizers", IEEE
    Transactions on Acoustics, Speech, and Signal Processing 36(9), 1988.

    Examples
    --------
    >>> plain, busy = [(1000, 8.0), (4000, 2.0)], [(1000, 32.0), (4000, 8.0)]
    >>> divided([plain, plain, busy], 8000)
    [2003, 2003, 3994]
    """
    grids = [_grid(curve) for curve in curves]
    least = int(sum(sizes[0] for sizes, _ in grids))
    if least > most:
        raise FileError(f"no files of {most} bytes in all were found, the smallest have {least}")

    def at(price: float) -> FloatArray:
        found = [sizes[np.argmin(errors + price * sizes)] for sizes, errors in grids]
        return np.array(found)

    more = at(0.0)
    if more.sum() <= most:
        return [int(size) for size in more * (most / more.sum())]
    steepest = max(errors[0] for _, errors in grids)  # more than that is no byte worth
    fewer = np.array([sizes[0] for sizes, _ in grids])
    low, high = np.log(steepest) - 100, np.log(steepest) + 1
    for _ in range(60):
        middle = (low + high) / 2
        found = at(float(np.exp(middle)))
        if found.sum() > most:
            low, more = middle, found
        else:
            high, fewer = middle, found
    between = (most - fewer.sum()) / (more.sum() - fewer.sum())
    return [int(size) for size in fewer + between * (more - fewer)]


def _grid(curve: Curve) -> tuple[FloatArray, FloatArray]:
    """Return bytes and errors at many points of a curve."""
    points = np.array(sorted(curve), np.float64)
    floor = max(LEAST * points[:, 1].max(), np.finfo(float).tiny)
    sizes = np.log(points[:, 0])
    errors = np.log(np.maximum(np.minimum.accumulate(points[:, 1]), floor))
    fine = np.linspace(sizes[0], sizes[-1], FINE)
    return np.rint(np.exp(fine)), np.exp(np.interp(fine, sizes, errors))


def dithered(
    planned: Plan,
    settings: Settings,
    task: Callable[[Job], Any],
    size_of: Callable[[Any], int | None],
    *,
    each: bool = False,
    count: int = 1,
    quiet: bool = False,
) -> Iterator[tuple[Job, Answer]]:
    """Dither all pictures, each by itself; or so that all files have so many bytes together.

    Parameters
    ----------
    planned : Plan
        The pictures, and the files that are there already, which have some of the bytes.
    settings : Settings
        What is asked for.
    task : callable
        Dithers a picture, within ``Job.share`` bytes if there is a share, and writes it.
    size_of : callable
        Returns the bytes of what a task has written; None if it has written nothing.
    each : bool, optional
        Whether a size is that of each picture.
    count : int, optional
        Number of processes.
    quiet : bool, optional
        Whether it is not shown how far the look at all pictures has come.

    Yields
    ------
    job : Job
        One of the pictures. It may come again, if others have left bytes that it can use.
    answer : Answer
        What came of it.

    Raises
    ------
    FileError
        If there are too few bytes.
    """
    jobs, most = planned.jobs, settings.options.get("max_bytes")
    if each or not most or len(jobs) + len(planned.there) < 2:
        yield from zip(jobs, processes.answers(task, jobs, count))
        return
    there = sum(path.stat().st_size for path in planned.there)
    if jobs and there >= most:
        raise FileError(f"the files that are there have {there} bytes, which leaves none of {most}")
    curves: dict[int, Curve] = {}
    over = False
    with progress_bar("picture", quiet=quiet) as (show, _):
        survey = processes.answers(partial(surveyed, settings), jobs, count)
        for i, answer in enumerate(survey):
            show(i + 1, len(jobs), "looked at")
            over |= answer.stopped
            if answer.value is None and not answer.stopped:
                yield jobs[i], answer
            elif answer.value is not None:
                curves[i] = answer.value
    if over:
        for job in jobs:
            yield job, Answer(error=KeyboardInterrupt())
        return
    seen = [i for i in curves if curves[i]]
    shares = dict.fromkeys(curves, 1)
    if seen:
        shares |= zip(seen, divided([curves[i] for i in seen], most - there))
    sizes, todo = dict.fromkeys(curves, 0), list(curves)
    for _ in range(TURNS):
        tasks = [replace(jobs[i], share=shares[i]) for i in todo]
        for i, answer in zip(todo, processes.answers(task, tasks, count)):
            yield jobs[i], answer
            over |= answer.stopped
            if answer.value is not None:
                size = size_of(answer.value)
                sizes[i] = shares[i] if size is None else size
        total = there + sum(sizes.values())
        todo = [i for i in todo if sizes[i] >= NEAR * shares[i]]  # those that can use more
        if over or total >= NEAR * most or not todo:
            return
        growth = 1 + (most - total) / sum(sizes[i] for i in todo)
        shares |= {i: int(sizes[i] * growth) for i in todo}
