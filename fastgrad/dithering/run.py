"""One run of `fastgrad.dither`: from a problem to a dithered picture, stage by stage."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from fastgrad import random
from fastgrad._typing import ArrayLike, ByteArray, FloatArray
from fastgrad.dithering.criterion import Criterion
from fastgrad.dithering.first_palette import palettes
from fastgrad.dithering.optimiser.annealing import Annealing, anneal, schedule
from fastgrad.dithering.optimiser.compensation import Steering, compensated, steered
from fastgrad.dithering.optimiser.diffusion import FEW, begin, diffuse
from fastgrad.dithering.optimiser.learning import fitted
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.palette import Fit, Sample, spacing
from fastgrad.dithering.optimiser.parts import tiled
from fastgrad.dithering.optimiser.patterns import PatternName, patterned
from fastgrad.dithering.optimiser.printed import PrintedError, diffused, searching
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.dithering.optimiser.repeats import tidied
from fastgrad.dithering.optimiser.search import Search
from fastgrad.dithering.optimiser.spare import successors
from fastgrad.dithering.optimiser.weights import rewards
from fastgrad.dithering.pace import Pace
from fastgrad.dithering.result import Dithering, Progress, Stage, metrics
from fastgrad.random import RNG

__all__ = ["SEEN", "TILE", "Run"]

SETTLED = 2e-4  # share of pixels: when fewer move in a sweep, there is no other
SETTLINGS = 8  # times that entries of the palette change places, at most
SEEN = 1 << 15  # pixels that tell how the colours depend on each other,
TILE = 16  # in tiles of so many rows and columns


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
    full_loss, loss : BlurredError
        The loss of the picture, and of those pixels of it that are not pinned.
    colors : array, shape (K, channels)
        The present palette in the space of the loss; there is none before `start`.
    indices : array of uint8, shape (height, width)
        The present picture; there is none before `search`.
    history : list of float
        The loss after each step of annealing and each round of search: of the part that is
        annealed, then of the picture, and for the last sweeps of the target that they lower.
    """

    problem: Problem
    pace: Pace
    callback: Callable[[Progress], object] | None
    full_loss: BlurredError
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
        if problem.fixed is None:
            grey = problem.linear.shape[2] == 1
            pace = pace.for_learned(problem.colors, grey=grey, known=problem.known)
        self.problem, self.pace, self.callback = problem, pace, callback
        self._flicker = rewards(flicker, problem.image, problem.fixed, problem.previous)
        self._key = random.as_key(rng)
        self.full_loss = problem.loss()
        self.loss = problem.unpinned(self.full_loss)
        self._target: BlurredError | None = None  # what the last sweeps lower instead
        self.history = []
        self._fit: Fit | None = None
        self._kept, self._taken, self._value = {}, 0.0, float("nan")
        self._picture: ByteArray | None = None
        self._whole = True  # the palette is learned on all pixels
        self._annealed = 0.0, 1, 0.0  # when annealing began, its steps, and when it ended
        plan = pace.plan
        self._steps = 0 if problem.drawn or problem.known else plan.steps_for(problem.colors)
        self._sweeps = plan.sweeps
        self._reports, self._planned = 0, 1 + self._steps + plan.rounds + plan.whole + plan.sweeps

    def all(self, pattern: PatternName | None = None) -> None:
        """Do all of it, and lay a pattern in the place of the search if there is one."""
        self.start()
        self.anneal()
        if pattern is None or self.problem.fixed is None:  # else there is nothing to learn
            self.search()
        if pattern is not None:
            self.lay(pattern)

    def start(self, overview: Problem | None = None) -> None:
        """Choose the palette to begin with; report a quick first picture before that is done.

        Parameters
        ----------
        overview : Problem, optional
            The same problem for a picture whose small copy is to be taken; by default its own.
        """
        problem, plan = self.problem, self.pace.plan
        if problem.fixed is not None:
            self._sweeps = plan.whole + plan.sweeps
            self._planned = 1 + (
                sum(steered(self.loss, self._sweeps)) if self._steers else self._sweeps
            )
            self._begin_with(problem.from_srgb(problem.fixed))
            self._report_first()
        else:
            found = palettes(problem, self.pace, overview, rng=self._key.fold_in(0))
            self._begin_with(next(found)[0])
            self._report_first()
            palette, self.pace = next(found)
            self._begin_with(palette)
        problem.release()

    def anneal(self) -> None:
        """Anneal a distribution for each pixel, and learn the palette on the way.

        Of a large picture only a part is annealed, and searched: that is enough for a palette. The
        edges of a drawn one are not: their colours look as they are. Dense ones are known.
        """
        if self.problem.fixed is not None:
            return
        plan = self.pace.plan
        size, part = plan.of(plan.part, self.loss.weights.size, self.problem.colors), self.loss
        if plan.rounds:  # else there is nothing to learn
            part = tiled(self.loss, size)
        sample = Sample(part, SEEN, TILE)
        self._fit = Fit(sample, self.problem.space, len(self.problem.locked))
        if self._steps:
            self._cool(part, self._fit._replace(sample=Sample(part, 2 * size)))
        if part is not self.loss:
            search = Search(part, diffuse(part, self.colors), self.colors)
            self._learn(search, self._fit, plan.rounds)
            self._whole = False
            self._fit = self._fit._replace(sample=Sample(self.loss, SEEN, TILE))

    def _cool(self, part, fit):
        """Anneal a part of the picture."""
        state = Annealing(part, self.colors, rng=self._key.fold_in(1 + 2 * len(self.history)))
        steps, began = self._steps, time.perf_counter()
        for value, now in anneal(state, schedule(steps, self.pace.deadline("annealing")), fit=fit):
            self._planned, steps = self._planned + now - steps, now
            self.colors = state.palette
            self._report("annealing", value, self._snapshot)
        self._annealed = began, steps, time.perf_counter()

    def search(self, begin: ByteArray | None = None) -> None:
        """Diffuse errors, search and fit the palette in turns, and search in the rounded palette.

        Diffused errors look finer than the annealed picture; but one to change may be given.
        """
        plan, began, self._target = self.pace.plan, time.perf_counter(), None
        if begin is None and (finished := self.problem.finished()) is not None:
            self.indices, self._picture, self._value = finished, finished, 0.0
            return self._report("search", 0.0, self._snapshot)
        rounds = plan.whole + (plan.rounds if self._whole else 0)
        self.indices = self._picture = self._diffused() if begin is None else begin
        if self._fit is not None and not rounds:
            self._aim()
        search = self._searched(self.indices, self.colors)
        self._taken = time.perf_counter() - began
        if self._fit is not None and rounds and isinstance(search, Search):  # of learned colours
            self._learn(search, self._fit, rounds, wake=self._whole)
            self._aim()
            search.loss = self._target or self.loss
            search.recolor(self.colors, wake=self._whole or self._target is not None)
        if self._steers and isinstance(search, Search):
            self._steer(search)
        else:
            self._sweeping(search, self._sweeps)
        if self._fit is not None:
            search = self._settled(search)
        self._value = self._error(search)

    def refine(self, criterion: Criterion) -> None:
        """Lower a criterion beside the blurred error, with the palette as it is."""
        from fastgrad.dithering.optimiser.refinement import refine  # late: it needs all estimators

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
        self._value = self.loss.of(self.indices, self.problem.from_srgb(palette))

    def lay(self, pattern: PatternName) -> None:
        """Dither by a pattern instead, with the palette as it is."""
        rgb, palette = self.problem.rgb(), self._rounded(self.colors)
        self.indices = patterned(rgb, palette, pattern)
        self._value = self.loss.of(self.indices, self.problem.from_srgb(palette))

    def result(self) -> Dithering:
        """Return the picture as it is now."""
        return self._result(self.indices, self._rounded(self.colors), self._value)

    def _begin_with(self, colors):
        """Take a palette to begin with; its spacing says what `flicker` is a share of."""
        self.colors, before = colors, self.problem.previous
        if before is not None:
            self._kept = {"previous": before, "gap": self._flicker * spacing(colors)}

    def _rounded(self, colors):
        """Return colours in sRGB."""
        fixed = self.problem.fixed
        return self.problem.to_srgb(colors) if fixed is None else fixed

    def _diffused(self, colors=None):
        """Return a picture by error diffusion."""
        colors = self.colors if colors is None else colors
        if isinstance(self.loss, PrintedError):  # what is pinned is seen beside the rest
            return self.problem.pinned(diffused(self.loss, colors))
        return begin(self.loss, colors, fitted=self.problem.fitted, **self._kept)

    def _aim(self):
        """Round the palette, which is final then, and aim at what makes up for what is missing."""
        self.colors = self.problem.from_srgb(self._rounded(self.colors))
        if self.problem.pins is None:
            self._target = compensated(self.loss, self.indices, self.colors)

    def _searched(self, indices, colors):
        """Return the search that changes a picture in place."""
        return searching(self._target or self.loss, indices, colors, **self._kept)

    def _error(self, search):
        """Return the loss of a search's picture, whatever it lowers."""
        plain = search.loss is not self._target
        return search.errors()[0] if plain else self.loss.of(search.indices, search.colors)

    def _sweep(self, search, snapshot):
        """Search once, report it, and return the number of moves."""
        began, moves = time.perf_counter(), search.sweep()
        self._taken = max(self._taken, time.perf_counter() - began)
        self._report("search", search.errors()[0], snapshot)
        return moves

    def _learn(self, search, fit, rounds, *, wake=True):
        """Search and fit the palette in turns."""
        for _ in range(rounds):
            if self.pace.late("rounds", self._taken):
                break
            moves = self._sweep(search, self._snapshot)
            self.colors = fitted(search, fit, self.colors, self.history[-1], wake=wake)
            if moves <= SETTLED * search.indices.size:
                break

    @property
    def _steers(self):
        """Whether a search is steered: where a few fixed colours are all there is to be true by."""
        fixed, previous = self.problem.fixed, self.problem.previous
        few = fixed is not None and len(fixed) <= FEW  # else moves are small
        return few and previous is None and self.loss.nu == 0

    def _sweeping(self, search, count):
        """Search until hardly a pixel moves."""
        for _ in range(count):
            if self.pace.late("search", 2 * self._taken):  # what follows takes no longer than one
                break
            if self._sweep(search, self._snapshot) <= SETTLED * self.indices.size:
                break

    def _steer(self, search):
        """Search, and make up for what single moves are too large for."""
        before, steps, after = steered(self.loss, self._sweeps)
        self._sweeping(search, before)
        steering = Steering(self.loss, search.colors)
        for _ in range(steps):
            if self.pace.late("search", 3 * self._taken):
                break
            steering.steer(search)
            self._sweep(search, self._snapshot)
        steering.end(search)
        self._sweeping(search, after)

    def _settled(self, search):
        """Leave no entry of the palette idle, pin what is next to one, and draw twice alike."""
        for _ in range(SETTLINGS):
            if self.pace.late("search", 2 * self._taken):
                break
            before, shown = self._rounded(self.colors), self.problem.pinned(self.indices)
            if (palette := self.problem.settle(shown, before)) is None:
                break
            self.indices[...] = successors(before, palette)[self.indices]
            self.colors = self.problem.from_srgb(palette)
            self.loss = self.problem.unpinned(self.full_loss)
            search = self._searched(self.indices, self.colors)
            search.sweep()
        if self.problem.pins is not None and isinstance(search, Search):
            search.relabel()
        if tidied(self.problem, self.loss, self.indices, self.colors):
            search = self._searched(self.indices, self.colors)
        return search

    def _snapshot(self):
        """Return the result of a picture in the present colours, which are rounded."""
        rounded = self._rounded(self.colors)
        colors = self.problem.from_srgb(rounded)
        indices = self._diffused(colors) if self._picture is None else self._picture.copy()
        (search := self._searched(indices, colors)).sweep()
        return self._result(indices, rounded, self._error(search))

    def _result(self, indices, rounded, value):
        """Return the result of a picture in rounded colours, whose loss without pins is known."""
        colors = self.problem.from_srgb(rounded)
        if self.problem.pins is not None:
            indices = self.problem.pinned(indices)
            if not self.problem.pins.exact(self.full_loss.planes, colors):  # else they add nothing
                value = self.full_loss.of(indices, colors)
        measured = metrics(self.full_loss, indices, colors)
        seconds = time.perf_counter() - self.pace.began
        return Dithering(indices, np.array(rounded), (*self.history, value), measured, seconds)

    def _report_first(self):
        """Report a picture that takes no time, so that there is one whenever the work ends."""
        if self.callback is not None:
            value = self.loss.of(self._diffused(), self.colors)
            self._report("palette", value, self._snapshot, keep=False)

    def _report(self, stage: Stage, value, snapshot, *, keep=True):
        """Keep a loss in the history, and call back."""
        if keep:
            self.history.append(value)
        self._reports += 1
        if self.callback is not None:
            self.callback(Progress(self._reports, self._planned, value, snapshot, stage))
