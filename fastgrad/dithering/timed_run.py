"""A run of `fastgrad.dither` that anneals and searches again as long as its time budget lasts."""

from __future__ import annotations

from fastgrad._typing import ByteArray, FloatArray
from fastgrad.dithering.result import Dithering
from fastgrad.dithering.run import Run

__all__ = ["TimedRun"]

LEAST = 5  # sweeps of the whole picture, for which there is time when a search goes on


class TimedRun(Run):
    """A `Run` that uses a time budget up."""

    _best: tuple[FloatArray, ByteArray, float] | None = None  # of all searches before the present

    def search(self, begin: ByteArray | None = None) -> None:
        """Search, then anneal and search anew in the time that is left, and keep the best picture.

        How long all takes that follows an annealing is known by then: the next one is given what is
        left but that. It begins with the palette that was learned. When there is no time for
        another one, the search goes on from the best picture.
        """
        super().search(begin)
        if self.problem.fixed is not None or self.problem.pins is not None:
            return  # nothing is annealed, or the pixels that count are no longer the same
        while self._steps and (pace := self.pace.again(*self._annealed)):
            self._try(pace, anneals=True)
        while pace := self.pace.rest(LEAST * self._taken):
            if not self._try(pace, anneals=False):
                break

    def _try(self, pace, *, anneals):
        """Search once more, and return whether the picture is better than the best one before."""
        self.pace, plan = pace, pace.plan
        self._best = _, indices, value = self.colors, self.indices, self._value
        self._planned += anneals * self._steps + plan.rounds + plan.whole + plan.sweeps
        if anneals:
            self.anneal()
        super().search(None if anneals else indices.copy())
        better = self._value < value
        if not better:
            self.colors, self.indices, self._value = self._best
        self._best = None
        return better

    def _snapshot(self) -> Dithering:
        if self._best is None:
            return super()._snapshot()
        colors, indices, value = self._best
        return self._result(indices.copy(), self._rounded(colors), value)
