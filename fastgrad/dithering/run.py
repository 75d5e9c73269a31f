"""One run of `fastgrad.dither`: from a problem to a dithered picture, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal, TypeAlias

import numpy as np

from fastgrad import _validate, random
from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.metrics.structure import cssim
from fastgrad.dithering.optimiser.annealing import Annealing, anneal, schedule
from fastgrad.dithering.optimiser.diffusion import begin
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import Fit, Sample, spacing
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.refinement import as_estimator, refine
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.optimiser.start import Trials
from fastgrad.dithering.result import Dithering, Progress, metrics
from fastgrad.estimators import Estimator, EstimatorName
from fastgrad.objectives import Objective
from fastgrad.random import RNG

__all__ = ["Criterion", "Pace", "Run"]

STEPS = 12  # of annealing, by default
ROUNDS = 10  # of search and fit, after the annealing
SETTLED = 2e-4  # share of pixels: when fewer move in a round, there is no other
LAST_SAMPLE = 1 << 20  # pixels that the fits of these rounds see
Stage: TypeAlias = Literal["palette", "annealing", "search"]
SHARES: dict[Stage, float] = {"palette": 0.2, "annealing": 0.6, "search": 0.95}  # of a time budget


class Pace:
    """How long to work: a number of annealing steps, or a time budget that begins now.

    Parameters
    ----------
    steps, time_budget
        Options of `fastgrad.dither`.

    Attributes
    ----------
    began : float
        The value of `time.perf_counter` at the beginning.
    steps : int
        The number of steps where there is no time budget.
    """

    began: float
    steps: int

    def __init__(self, steps: int | None = None, time_budget: float | None = None) -> None:
        self.began = time.perf_counter()
        if steps is not None and time_budget is not None:
            raise ValueError(f"steps must be None with a time_budget, got {steps!r}")
        self.steps = STEPS if steps is None else _validate.integer(steps, "steps", 1)
        self._budget = None
        if time_budget is not None:
            self._budget = _validate.number(time_budget, "time_budget", 0, 1e9)

    def deadline(self, stage: Stage) -> float | None:
        """Return when a stage must end, as `time.perf_counter` counts; None without a budget."""
        return None if self._budget is None else self.began + SHARES[stage] * self._budget

    def late(self, stage: Stage) -> bool:
        """Return whether the deadline of a stage has passed."""
        deadline = self.deadline(stage)
        return deadline is not None and time.perf_counter() > deadline


@dataclass(frozen=True)
class Criterion:
    """What is lowered beside the blurred error, and how its gradient is estimated.

    Parameters
    ----------
    structure, objective, estimator
        Options of `fastgrad.dither`.
    """

    structure: float = 0.0
    objective: Objective | Callable[[ByteArray], Objective] | None = None
    estimator: EstimatorName | Estimator | None = None

    def __post_init__(self) -> None:
        """Refuse what is out of range, unknown or contradictory before any work."""
        if not _validate.number(self.structure, "structure", 0, 1e9):
            for name in ("objective", "estimator"):
                value = getattr(self, name)
                if value is not None:
                    raise ValueError(f"{name} must be None where structure is 0, got {value!r}")
        given = self.objective
        if not (given is None or isinstance(given, Objective) or callable(given)):
            raise TypeError(f"objective must be an Objective or callable, got {given!r}")
        if self.estimator is not None:
            estimator = as_estimator(self.estimator)
            if isinstance(given, Objective):
                given.require(estimator.name, estimator.needs)

    def of(self, problem: Problem, palette: ByteArray) -> Objective:
        """Return the objective for a palette; by default 1 - CSSIM."""
        if isinstance(self.objective, Objective):
            return self.objective
        if self.objective is not None:
            return self.objective(palette)
        # Tones must be the same for both terms.
        space = "srgb" if problem.viewing.space == "srgb" else "linear"
        return cssim(problem.rgb(), palette, space=space)


def _reward(flicker: ArrayLike, shape: tuple[int, ...]) -> float | FloatArray:
    """Return the checked reward for keeping colours: a number, or one for each pixel."""
    if not np.ndim(flicker):
        return _validate.number(flicker, "flicker", 0, 1e9)
    rewards = _validate.like(flicker, shape, np.dtype(np.float64), "flicker")
    outside = ~((rewards >= 0) & (rewards <= 1e9))
    if outside.any():
        raise ValueError(f"flicker must be from 0 to 1e+09, got {rewards[outside][0]}")
    return rewards


class Run:
    """A picture on its way: `start`, `anneal`, `search` and `refine`, then `result`.

    Parameters
    ----------
    problem : Problem
        What is to be solved.
    pace : Pace
        How long to work.
    flicker, rng, callback
        Options of `fastgrad.dither`.

    Attributes
    ----------
    loss : BlurredError
        The loss of the picture.
    colors : array, shape (K, channels)
        The present palette in the space of the loss; there is none before `start`.
    indices : array of uint8, shape (height, width)
        The present picture; there is none before `search`.
    history : list of float
        The loss after each step of annealing and each round of search.
    """

    problem: Problem
    pace: Pace
    callback: Callable[[Progress], object] | None
    loss: BlurredError
    colors: FloatArray
    indices: ByteArray
    history: list[float]

    def __init__(
        self,
        problem: Problem,
        pace: Pace,
        *,
        flicker: ArrayLike = 0.1,
        rng: RNG = 0,
        callback: Callable[[Progress], object] | None = None,
    ) -> None:
        self.problem, self.pace, self.callback = problem, pace, callback
        self._flicker = np.asarray(_reward(flicker, problem.image.shape[:2]))
        if problem.previous is not None:
            self._flicker = np.where(problem.missed(), 0, self._flicker)
        self._key = random.as_key(rng)
        self.loss = problem.loss()
        self.history = []
        self._fit: Fit | None = None
        self._gap, self._refined = np.zeros(()), False
        self._reports, self._planned = 0, pace.steps

    def start(self) -> None:
        """Choose the palette to begin with; report a quick first picture before that is done."""
        problem, loss = self.problem, self.loss
        if problem.fixed is not None:
            self._planned = 0
            self._begin_with(problem.from_srgb(problem.fixed))
            self._report_first()
        else:
            trials = Trials(problem, rng=self._key.fold_in(0))
            self._fit = Fit(Sample(loss), problem.space, len(problem.locked))
            self._begin_with(trials.palette(0))
            self._report_first()
            self._begin_with(trials.best(self.pace.deadline("palette")))
        problem.release()

    def anneal(self) -> None:
        """Anneal a distribution for each pixel, and learn the palette on the way."""
        if self._fit is None:
            return
        state = Annealing(self.loss, self.colors, rng=self._key.fold_in(1))
        plan = schedule(self.pace.steps, self.pace.deadline("annealing"))
        for value, steps in anneal(state, plan, fit=self._fit):
            self._planned = steps
            self._report(value, partial(self._drawn, state.palette))
        self.colors = state.palette
        self._fit = self._fit._replace(sample=Sample(self.loss, LAST_SAMPLE))

    def search(self) -> None:
        """Diffuse errors, then search and fit the palette in turns until little moves.

        Diffused errors look finer than the annealed picture, and a search makes up for the rest.
        """
        self.indices = indices = self._diffused()
        search = self._searched(indices, self.colors)
        for _ in range(ROUNDS):
            moves = search.sweep()
            self._report(search.errors()[0], partial(self._finished, indices, self.colors))
            if self.pace.late("search") or moves <= SETTLED * indices.size:
                break
            if self._fit is not None:
                tiles = self._fit.sample.cut(indices[None])[:, 0]
                self.colors = self._fit(tiles, self.colors)
                search = self._searched(indices, self.colors)

    def refine(self, criterion: Criterion) -> None:
        """Lower a criterion beside the blurred error, with the palette as it is."""
        palette = self._rounded(self.colors)
        self.indices = refine(
            self.indices,
            self.loss,
            self.problem.from_srgb(palette),
            objective=criterion.of(self.problem, palette),
            weight=criterion.structure,
            estimator=criterion.estimator,
            rng=self._key.fold_in(2),
        )
        self._refined = True

    def result(self) -> Dithering:
        """Return the picture, searched once more in its rounded palette unless it is refined."""
        return self._finished(self.indices, self.colors, sweep=not self._refined)

    def _begin_with(self, colors):
        """Take a palette to begin with; its spacing says what `flicker` is a share of."""
        self.colors, self._gap = colors, self._flicker * spacing(colors)

    def _rounded(self, colors):
        """Return colours in sRGB."""
        fixed = self.problem.fixed
        return self.problem.to_srgb(colors) if fixed is None else fixed

    def _diffused(self, colors=None):
        """Return a picture by error diffusion."""
        colors = self.colors if colors is None else colors
        return begin(self.loss, colors, previous=self.problem.previous, gap=self._gap)

    def _drawn(self, colors):
        """Return the result with a palette that no picture belongs to yet."""
        return self._finished(self._diffused(colors), colors)

    def _searched(self, indices, colors):
        """Return the search that changes a picture in place."""
        return Search(self.loss, indices, colors, previous=self.problem.previous, gap=self._gap)

    def _finished(self, indices, colors, *, sweep=True):
        """Return the result of a picture: of a copy of its indices, in colours that are rounded."""
        rounded, indices = self._rounded(colors), indices.copy()
        colors = self.problem.from_srgb(rounded)
        search = self._searched(indices, colors)
        if sweep:
            search.sweep()
        value, _ = search.errors()
        del search  # before there is another: each holds a picture
        measured = metrics(self.loss, indices, colors)
        seconds = time.perf_counter() - self.pace.began
        return Dithering(indices, np.array(rounded), (*self.history, value), measured, seconds)

    def _report_first(self):
        """Report a picture that takes no time, so that there is one whenever the work ends."""
        if self.callback is not None:
            indices = self._diffused()
            value = self.loss.of(indices, self.colors)
            self._report(value, partial(self._finished, indices, self.colors), keep=False)

    def _report(self, value, snapshot, *, keep=True):
        """Keep a loss in the history, and call back."""
        if keep:
            self.history.append(value)
        self._reports += 1
        if self.callback is not None:
            self.callback(Progress(self._reports, 1 + self._planned + ROUNDS, value, snapshot))
