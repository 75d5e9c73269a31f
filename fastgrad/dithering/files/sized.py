"""The work on a picture file whose bytes count: a still picture, or all frames of an animation."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _interrupts as interrupts
from fastgrad.dithering.choices import SCORES, STRENGTHS, Choice, Trade, climb
from fastgrad.dithering.files import one_picture
from fastgrad.dithering.files.outcome import Outcome, Settings
from fastgrad.dithering.files.prepared import prepared
from fastgrad.dithering.optimiser.lzw import in_strings
from fastgrad.dithering.pictures import images
from fastgrad.dithering.pictures.excerpts import Excerpt
from fastgrad.dithering.rates import QualityError, Rates, ScoreRates, SizeError, first_rate

__all__ = ["run"]

COUNTS = (4, 8, 16, 32, 64, 128, 255)  # colours of an animation; pixels that stay need an entry
WAYS = ((False, 1), (True, 1), (True, 2))  # whether frames have their own palettes; the strength
HEAVY = {0: 1, 1: 3, 2: 16}  # moderate rates of those strengths: errors of single pixels weigh more
SOME, MEETINGS = 6, 5  # frames that are tried, and rates of the best of them


def run(
    picture: images.Picture, ending: str, settings: Settings, *, quiet: bool = False
) -> Outcome:
    """Dither all frames of a picture, within the bytes or to the quality that is asked for.

    A still picture is fitted by `fastgrad.dither`. Of an animation, and where there is more in the
    file than `fastgrad.dither` knows of, the rate is searched for all frames together. The quality
    of an animation is the mean of the lowest tenth of its frames'.

    Parameters
    ----------
    picture : images.Picture
        The picture.
    ending : str
        The ending of the file that is to be written.
    settings : Settings
        What is asked for.
    quiet : bool, optional
        Whether nothing is shown meanwhile.

    Returns
    -------
    Outcome
        What is to be written.

    Raises
    ------
    FileError
        If the file is damaged, has no room for what is asked, or cannot be so small or so good.
    KeyboardInterrupt
        If there was nothing yet when it came.
    """
    options = dict(settings.options)
    if not any(options.get(name) for name in ("rate", "max_bytes", "quality")):
        return one_picture.run(picture, settings, quiet=quiet)
    options["ending"] = ending
    work = _Work(picture, ending, settings, quiet)
    if options.get("max_bytes"):
        return work.within(options.pop("max_bytes"), options)
    if options.get("quality"):
        return work.of_quality(options.pop("quality"), options)
    return work.made(options)


class _Plan(NamedTuple):
    """A way to make an animation: the bytes that are expected, and the rate to begin with."""

    size: float
    rate: float
    settings: Settings
    options: dict[str, Any]


class _Work:
    """One picture, dithered with several rates."""

    def __init__(
        self, picture: images.Picture, ending: str, settings: Settings, quiet: bool
    ) -> None:
        self.picture, self.ending, self.settings, self.quiet = picture, ending, settings, quiet

    def made(self, options: dict[str, Any], *, judged: bool = False) -> Outcome:
        """Return what comes of options."""
        settings = replace(self.settings, options=options)
        return one_picture.run(self.picture, settings, quiet=self.quiet, judged=judged)

    def size_of(self, outcome: Outcome) -> int:
        """Return the bytes of a file."""
        return len(outcome.encode(self.ending, self.picture, self.settings)[0])

    def within(self, most: int, options: dict[str, Any]) -> Outcome:
        """Return what has no more bytes than there may be."""
        picture, more = self.picture, 0
        if self.ending == ".png":
            more = sum(12 + len(data) for _, data in picture.metadata)
        if picture.count == 1 and most > more:
            try:
                outcome = self.made({**options, "max_bytes": most - more})
            except SizeError as error:
                least = error.least + more
                raise images.FileError(_impossible(picture.name, least, most)) from None
            if not outcome.complete or self.size_of(outcome) <= most:
                return outcome
        outcome = self.made(options)
        least = self.size_of(outcome)
        rates = Rates(most, self._rated(options, 0, self._count))
        best, over = outcome, least <= most or not outcome.complete
        held = 0  # bytes of the best that is small enough
        while not over:
            outcome = self.made({**options, "rate": rates.rate})
            size = self.size_of(outcome)
            least = min(size, least)
            over = rates.told(size) or not outcome.complete
            if held < size <= most or not (held or outcome.complete):
                best, held = outcome, size
        if not outcome.complete:
            best.complete = False
        if best.complete and least > most:
            raise images.FileError(_impossible(picture.name, least, most))
        return best

    def of_quality(self, quality: float, options: dict[str, Any]) -> Outcome:
        """Return what has a small file and a score that is high enough."""
        picture = self.picture
        if picture.count == 1:
            try:
                return self.made({**options, "quality": quality})
            except QualityError as error:
                raise images.FileError(f"{picture.name}: {error}") from None
        smallest = _Smallest(self, quality)
        try:
            plans = self._plans(quality, options)
            for plan in plans:
                if smallest.outcome is not None and plan.size >= smallest.size:
                    break
                self.settings = plan.settings
                smallest.follow(plan)
            self.settings = (plan := plans[0]).settings
            while smallest.outcome is None and self._take_more():
                smallest.follow(plan)
            if smallest.outcome is None:
                smallest.follow(plan._replace(options=self._with_little_grain(options, 2)))
        except KeyboardInterrupt:
            if smallest.outcome is None:
                raise
            smallest.outcome.complete = False
        if smallest.outcome is None:
            raise images.FileError(f"{picture.name}: {QualityError(smallest.highest, quality)}")
        return smallest.outcome

    @property
    def _free(self) -> bool:
        """Whether colours and their number are to be found."""
        return self.settings.palette is None and not self.settings.counted

    def _plans(self, quality: float, given: dict[str, Any]) -> list[_Plan]:
        """Return ways to make the animation, that of the smallest file first, as far as is known.

        They differ in the number of colours, and in whether frames have their own. A few frames
        tell what the file of such a score will be like.
        """
        if not self._free:
            own = self._with_little_grain(given, 1)
            return [_Plan(0, self._rated(own, 1, self._count), self.settings, own)]
        some = _Work(Excerpt(self.picture, SOME), self.ending, self.settings, self.quiet)

        def strong(choice: Choice) -> dict[str, Any]:
            return self._with_little_grain(given, WAYS[choice.strength][1])

        def moderate(choice: Choice) -> float:
            colors, strength = COUNTS[choice.colors], WAYS[choice.strength][1]
            return self._rated(strong(choice), strength, colors)

        def made(choice: Choice, rate: float) -> Outcome:
            some.settings = self._with(choice)
            options = strong(choice)
            outcome = some.made({**options, "rate": rate or None}, judged=True)
            if not outcome.complete:
                raise KeyboardInterrupt
            return outcome

        frames = (self.picture.count - 1) / (some.picture.count - 1)  # for each but the first

        def whole(outcome: Outcome) -> int:
            first = some.size_of(outcome.first)
            return round(first + (some.size_of(outcome) - first) * frames)

        def merit(choice: Choice) -> float:
            rates = 0.0, moderate(choice)
            plain, rated = ((whole(x), x.score) for x in (made(choice, rate) for rate in rates))
            merits[choice] = Trade(plain, rated).smallness(quality)
            return merits[choice]

        def settled(choice: Choice) -> _Plan:
            rates, size = ScoreRates(quality, moderate(choice)), math.inf
            for _ in range(MEETINGS):
                outcome = made(choice, rates.rate)
                over = rates.told(outcome.score)
                size = min(size, whole(outcome)) if outcome.score >= quality else size
                if over:
                    break
            rate = rates.within or rates.rate
            return _Plan(size, rate, self._with(choice), strong(choice))

        ways = range(len(WAYS) if self._may_be_apart() else 1)
        place = min(int(np.searchsorted(SCORES, quality)), len(COUNTS) - 1)
        merits: dict[Choice, float] = {}
        best = climb(merit, Choice(place, ways[-1]), range(len(COUNTS)), ways)
        # Estimates of both kinds are not alike: what palettes take of a file is never less.
        for place in range(best.colors, min(best.colors + 2, len(COUNTS))):
            if Choice(place, 0) not in merits:
                merit(Choice(place, 0))
        single = [choice for choice in merits if not WAYS[choice.strength][0]]
        last = {best, max(single, key=merits.__getitem__)}
        return sorted(map(settled, sorted(last)), key=lambda plan: plan.size)

    @property
    def _count(self) -> int:
        """The number of colours."""
        palette = self.settings.palette
        return self.settings.colors if palette is None else len(palette)

    def _rated(self, options: dict[str, Any], strength: int, colors: int) -> float:
        """Return a moderate rate for a strength of dithering."""
        strings = in_strings(self.ending, colors, options.get("nu"))
        return HEAVY[strength] * first_rate(strings=strings)

    def _with(self, choice: Choice) -> Settings:
        """Return the settings with a number of colours, in one palette or one for each frame."""
        apart, _ = WAYS[choice.strength]
        return replace(self.settings, colors=COUNTS[choice.colors], apart=apart)

    def _may_be_apart(self) -> bool:
        """Return whether each frame may have a palette of its own: opaque ones, in a GIF."""
        if self.ending != ".gif":
            return False
        with interrupts.allowed():
            return all(frame.alpha is None for frame in prepared(self.picture, self.settings))

    def _take_more(self) -> bool:
        """Take more colours, or more palettes; return whether there are."""
        settings = self.settings
        if self._free and settings.colors < COUNTS[-1]:
            self.settings = replace(settings, colors=min(2 * settings.colors, COUNTS[-1]))
        elif self._free and not settings.apart and self._may_be_apart():
            self.settings = replace(settings, apart=True)
        return self.settings is not settings

    def _with_little_grain(self, options: dict[str, Any], place: int) -> dict[str, Any]:
        """Return options for an animation whose palette is learned: grain is dear there."""
        if self.settings.palette is not None or self.picture.count == 1:
            return options
        said = {name: value for name, value in options.items() if value is not None}
        return {**options, **STRENGTHS[place].options(), **said}


class _Smallest:
    """The smallest file of all that are made whole and have a score that is high enough.

    Parameters
    ----------
    work : _Work
        Makes them.
    quality : float
        The score.
    """

    def __init__(self, work: _Work, quality: float) -> None:
        self._work, self._quality = work, quality
        self.outcome: Outcome | None = None
        self.size, self.highest = math.inf, -math.inf

    def follow(self, plan: _Plan) -> None:
        """Make files of one plan, without a rate and with those that lead to the score."""
        if self._made({**plan.options, "rate": None}) < self._quality:
            return
        rates = ScoreRates(self._quality, plan.rate)
        while not rates.told(self._made({**plan.options, "rate": rates.rate})):
            pass

    def _made(self, options: dict[str, Any]) -> float:
        """Make a file, keep it if it is the smallest, and return its score."""
        outcome = self._work.made(options, judged=True)
        if not outcome.complete:
            if self.outcome is None:  # what there is is better than nothing
                self.outcome = outcome
            raise KeyboardInterrupt
        self.highest = max(self.highest, outcome.score)
        if outcome.score >= self._quality and (size := self._work.size_of(outcome)) < self.size:
            self.outcome, self.size = outcome, size
        return outcome.score


def _impossible(name: str, least: int, most: int) -> str:
    """Say that there is no such file."""
    return f"{name}: no file of {most} bytes was found, the smallest has {least}"
