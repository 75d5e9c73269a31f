"""The palette with which a run begins: trials on a small copy, as many as there is time for."""

from __future__ import annotations

from collections.abc import Iterator

from fastgrad._typing import FloatArray
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.start import PIXELS, Trials, clustered, of_levels
from fastgrad.dithering.pace import PLANS, Pace
from fastgrad.random import Key

__all__ = ["palettes"]


def palettes(
    problem: Problem, pace: Pace, overview: Problem | None = None, *, rng: Key
) -> Iterator[tuple[FloatArray, Pace]]:
    """Yield a palette for a quick picture, then the best one of all trials.

    Of a drawn picture, of greys, or where colours are dense, that is the same one: there is nothing
    to try. With a time budget, a trial of the fastest speed tells how much work there is time for.

    Parameters
    ----------
    problem : Problem
        The picture and its viewing conditions.
    pace : Pace
        How long to work.
    overview : Problem, optional
        The same problem for a picture whose small copy is to be taken; by default its own.
    rng : Key
        Source of randomness.

    Yields
    ------
    palette : array, shape (K, channels)
        The palette in the space of the loss.
    pace : Pace
        How long to work from then on.
    """
    if problem.drawn or problem.known:
        if problem.greys:
            palette = of_levels(overview or problem)
        elif problem.dense is None:
            palette = clustered(problem, rng=rng)
        else:
            palette = problem.from_srgb(problem.dense)
        yield palette, pace
        yield palette, pace
        return
    problem = overview or problem
    deadline = pace.deadline("palette")
    pixels = problem.image.shape[0] * problem.image.shape[1]
    size, small = (problem.colors, pixels), PIXELS
    if deadline is None:
        plan = pace.plan.for_picture(pixels)
        small = plan.of(PIXELS, pixels, problem.colors)
    else:
        plan = PLANS[-1]

    def trials(count: int) -> Trials:
        how = {"steps": plan.tries, "kept": plan.kept_for(problem.colors)}
        return Trials(problem, count, rng=rng, pixels=small, **how)

    first = trials(plan.trials_for(*size) if deadline is None else 1)
    yield first.palette(0), pace
    best = first.best(deadline)
    if deadline is not None:
        pace = pace.after_trial(first.last, pixels, problem.colors)
        if not pace.late("palette", first.last.seconds):
            plan = pace.plan
            best = trials(plan.trials_for(*size)).best(deadline)
    yield best, pace
