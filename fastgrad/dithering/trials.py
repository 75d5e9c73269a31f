"""Runs that are tried for a size or a quality: quick ones of many choices, the best in full."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import numpy as np

from fastgrad.dithering.choices import MISSED, Choice, Trade, climb, scores
from fastgrad.dithering.given import Given
from fastgrad.dithering.rates import NEAR, QualityError, SizeError
from fastgrad.dithering.result import Dithering
from fastgrad.dithering.thrifty_run import ThriftyRun

__all__ = ["Begin", "Trials"]

OCTAVE = 2  # places by which a number of colours is doubled
COUNTS = tuple(round(2 ** (1 + i / OCTAVE)) for i in range(7 * OCTAVE + 1))  # that are tried
AT_32, DOUBLED = 1.8, 1.2  # bits a pixel at the first rate: of 32 colours, and what doubling adds
LITTLE = 1  # the place of little grain, with which trials begin
FULL = 3  # choices at most that are made in full, if by estimates they are no worse than the best
LOG_BYTES, POINTS = 0.08, 2.0  # than by these: estimates are off by as much


class Begin(Protocol):
    """Makes a run for a number of colours, and takes it through `Run.search`.

    Further options are those of `Viewing`, and the palette, that are not as asked for.
    """

    def __call__(self, count: int | None, *, quick: bool = False, **eye: Any) -> ThriftyRun:
        """Return the run, a quick one if it only is to tell what others will be like."""
        ...


class Trials:
    """Runs that are tried: of which number of colours and strength a picture is made.

    Quick runs tell about which choices to try; a few of them are made in full, and compared.

    Parameters
    ----------
    given, begin
        As for `fastgrad.dithering.thrift.thrifty`.
    size_of, score_of : callable
        Return the bytes and the score of a result.
    strengths : sequence of dict
        What may be chosen, as `ways` returns it.
    """

    def __init__(
        self,
        given: Given,
        begin: Begin,
        size_of: Callable[[Dithering], int],
        score_of: Callable[[Dithering], float],
        strengths: Sequence[dict[str, Any]],
    ) -> None:
        self._given, self._begin, self._strengths = given, begin, strengths
        self._size_of, self._score_of = size_of, score_of

    def within(self, most: int) -> ThriftyRun:
        """Return the run of the best picture that was found within so many bytes."""
        given = self._given
        if given.counted:
            run = self._begin(given.colors)
            if (size := run.fit_into(most, self._size_of)) > most:
                raise SizeError(size, most)
            return run
        pixels = given.values.shape[0] * given.values.shape[1]
        doublings = round(math.log(max(8 * most / pixels, 1e-3) / AT_32, DOUBLED))
        choices = self._best(4 + doublings, lambda trade: trade.score_at(most), POINTS)
        best, highest, full, choice = None, -math.inf, False, choices[0]
        sizes: list[int] = []
        for other in choices:
            run = self._run(other)
            sizes.append(size := run.fit_into(most, self._size_of))
            if size > most:
                continue
            if (score := self._score_of(run.result())) > highest:
                best, highest, choice = run, score, other
                full = run.exact or size >= NEAR * most
        step = OCTAVE if best is not None else -OCTAVE
        while not full:  # bytes are left, and more colours may serve; or there are too many
            if choice.colors == (0 if step < 0 else len(COUNTS) - 1):
                break
            choice = self._moved(choice, step)
            run = self._run(choice)
            sizes.append(size := run.fit_into(most, self._size_of))
            if size > most:
                if best is not None:
                    break
                continue
            score = self._score_of(run.result())
            if step > 0 and score <= highest:
                break
            best, highest = run, score
            full = step < 0 or run.exact or size >= NEAR * most
        if best is None:
            raise SizeError(min(sizes), most)
        return best

    def of_quality(self, quality: float) -> ThriftyRun:
        """Return the run of the smallest file that was found with such a score."""
        place = int(np.searchsorted(scores(self._given.values), quality)) + 1
        choices = self._best(place, lambda trade: trade.smallness(quality), LOG_BYTES)
        best, least, highest, choice = None, math.inf, -math.inf, choices[0]
        while best is None:
            for other in choices:
                run, score = self._of(other, quality)
                highest = max(highest, score)
                if score >= quality and (size := self._size_of(run.result())) < least:
                    best, least = run, size
            if best is None and choice.colors == self._places[-1]:
                raise QualityError(highest, quality)
            choice = self._moved(choice, OCTAVE)
            choices = [choice]
        return best

    def _of(self, choice: Choice, quality: float) -> tuple[ThriftyRun, float]:
        """Return a run with as low a rate as a score asks for, and its score; it may be lower."""
        run = self._run(choice)
        if (score := run.lower_to(quality, self._score_of)) >= quality:
            return run, score
        other = self._run(choice, quick=True)  # which told that it may be reached
        held = other.lower_to(quality, self._score_of)
        return (other, held) if held > score else (run, score)

    def _moved(self, choice: Choice, step: int) -> Choice:
        """Return a choice of more colours, or of fewer, as far as there are any."""
        places = self._places
        return choice._replace(colors=min(max(choice.colors + step, places[0]), places[-1]))

    @property
    def _places(self) -> range:
        """The places of the numbers of colours that there are."""
        return range(1 if self._given.counted else len(COUNTS))

    def _best(self, place: int, merit: Callable[[Trade], float], off: float) -> list[Choice]:
        """Return the choices of most merit by quick runs, less by no more than `off`."""
        merits: dict[Choice, float] = {}

        def tried(choice: Choice) -> float:
            run = self._run(choice, quick=True)
            plain = run.result()
            points = [(self._size_of(plain), self._score_of(plain))]
            if not run.exact:
                rated = run.at(run.first)
                points.append((self._size_of(rated), self._score_of(rated)))
            merits[choice] = merit(Trade(points[0], points[-1]))
            return merits[choice]

        first = min(max(OCTAVE * place, 0), self._places[-1])
        weaker = range(len(self._strengths))
        start = Choice(first, min(LITTLE, weaker[-1]))
        best = climb(tried, start, self._places, weaker, (OCTAVE, 1))
        for strength in weaker:  # which is seldom a hill
            if (choice := best._replace(strength=strength)) not in merits:
                tried(choice)
        ordered = sorted(merits, key=lambda choice: -merits[choice])
        least = max(merits[ordered[0]] - off, -MISSED / 2)
        return ordered[:1] + [other for other in ordered[1:FULL] if merits[other] >= least]

    def _run(self, choice: Choice, *, quick: bool = False) -> ThriftyRun:
        """Begin a run."""
        given, eye = self._given, self._strengths[choice.strength]
        count = given.colors
        if not given.counted:
            taken = 0 if count is None else given.entries - count  # a transparent one
            count = max(COUNTS[choice.colors] - taken, COUNTS[0])
        if "palette" in eye:
            count, eye = None, {**eye, "palette": eye["palette"](count)}
        return self._begin(count, quick=quick, **eye)
