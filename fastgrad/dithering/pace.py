"""How much work a run of `fastgrad.dither` does: by a speed, or by the clock."""

from __future__ import annotations

import copy
import time
from typing import Literal, NamedTuple, TypeAlias

from fastgrad import _validate
from fastgrad.dithering.optimiser.start import Trial

__all__ = ["Pace", "Plan"]

DEFAULT, SLOWEST = 4, 1  # speeds


class Plan(NamedTuple):
    """How much is done at most.

    Attributes
    ----------
    trials : int
        Palettes that are tried out on a small copy of the picture,
    kept : int
        and how many of them are annealed: those that are best before.
    tries : int
        Steps of annealing of each of them; with none, only errors are diffused with it.
    steps : int
        Steps of annealing with `FEW` colours; with more, they are fewer in proportion, down to
        half of them, about.
    part : int
        Pixels of the part of a picture that is annealed, about.
    rounds : int
        Rounds of search and palette fit in that part,
    whole : int
        and in the whole picture.
    sweeps : int
        Sweeps of search in the final palette; a palette that is given has as many as there are
        rounds in the whole picture beside.
    share : float
        Share of the pixels that is in the part, and in the small copy, at most,
    each : int
        unless these are fewer for each colour.
    """

    trials: int
    kept: int
    tries: int
    steps: int
    part: int
    rounds: int
    whole: int
    sweeps: int
    share: float = 1.0
    each: int = 1 << 10

    def for_picture(self, pixels: int) -> Plan:
        """Return the plan for so many pixels: trials would take longest in a small picture.

        Examples
        --------
        >>> PLANS[-1].for_picture(1 << 18).tries, PLANS[-1].for_picture(1 << 20).tries
        (0, 3)
        """
        small = not self.each and pixels < LARGE
        return self._replace(trials=TRIED, tries=0) if small else self

    def for_learned(self, colors: int, *, grey: bool = False, known: bool = False) -> Plan:
        """Return the plan for so many colours that are learned: a part tells all of a few.

        At the fastest, few colours then are final before the whole picture is looked at, but not
        greys beside others that are kept, which gain most by all of it, and take little time. Where
        the best greys are known, they are final as those are that are given; only at the slowest
        are better ones looked for.

        Examples
        --------
        >>> PLANS[-1].for_learned(4).whole, PLANS[-1].for_learned(16).whole
        (0, 1)
        >>> PLANS[3].for_learned(16, known=True).rounds
        0
        """
        if known and self.share < 1:
            return self._replace(rounds=0, whole=0, sweeps=self.whole + self.sweeps)
        if self.each or colors > FEWEST or grey:
            return self
        return self._replace(steps=self.steps // 2, whole=0, share=self.share / 2)

    def of(self, most: int, pixels: int, colors: int) -> int:
        """Return how many of the pixels of a picture are looked at, where `most` would do.

        Examples
        --------
        >>> [PLANS[3].of(1 << 16, 1 << n, colors=16) for n in (20, 18)]
        [65536, 32768]
        >>> PLANS[3].of(1 << 16, 1 << 18, colors=256)
        65536
        """
        return min(most, max(LEAST, self.each * colors, int(pixels * self.share)))

    def steps_for(self, colors: int) -> int:
        """Return the steps of annealing with so many colours: it pays most where they are few."""
        return max(LEAST_STEPS, self.steps // 4, min(self.steps, self.steps * FEW // colors))

    def kept_for(self, colors: int) -> int:
        """Return how many palettes are annealed in trials: few colours, or many, differ little."""
        bits = (colors - 1).bit_length()
        return max(1, self.kept * min(bits, BITS) // max(bits, BITS))

    def trials_for(self, colors: int, pixels: int = 0) -> int:
        """Return the palettes to try out for a picture: those of many colours differ little.

        A trial takes as long whatever the size of the picture, so large ones have some in any case.
        """
        trials = max(self.trials, min(TRIED, 1 + pixels // LARGE))
        return max(1, trials * BITS // max(BITS, (colors - 1).bit_length()))


FEW, FEWEST = 8, 4  # colours
LEAST_STEPS = 2  # of annealing
LEAST = 1 << 12  # pixels of a part, or of a small copy
BITS = 4  # that say which colour: with more of them, there are fewer trials
LARGE = 1 << 20  # pixels of a picture, for each of which there is a trial more at the fastest
TRIED = 4  # speeds, up to so many; as many as a small picture has at the very fastest
PLANS = (  # of speed 1, 2, ... 10
    Plan(16, 16, 10, 24, 1 << 17, 12, 6, 24),
    Plan(12, 12, 10, 20, 1 << 17, 9, 5, 12),
    Plan(10, 10, 8, 16, 1 << 17, 7, 5, 6),
    Plan(8, 2, 4, 12, 1 << 16, 4, 3, 3, share=1 / 8),
    Plan(6, 2, 4, 10, 1 << 16, 4, 3, 3, share=1 / 8),
    Plan(5, 2, 3, 8, 1 << 16, 4, 3, 2, share=1 / 8),
    Plan(4, 2, 3, 8, 1 << 16, 4, 2, 2, share=1 / 8),
    Plan(3, 2, 3, 8, 1 << 15, 4, 2, 2, share=1 / 8),
    Plan(2, 2, 3, 8, 1 << 15, 4, 2, 1, share=1 / 8),
    Plan(2, 2, 3, 8, 1 << 15, 2, 1, 1, share=1 / 8, each=0),
)
Stage: TypeAlias = Literal["palette", "annealing", "rounds", "search"]
SHARES: dict[Stage, float] = {"palette": 0.2, "annealing": 0.45}  # of a budget, at least
ROUNDS = 0.5  # share of what is left after that in which the palette still changes
SEARCH = 3.0  # times as long as in a trial, a search takes in all, about
TWICE = 0.3  # share of a budget: where a search takes less, there is time for another one,
FIRST = 0.35  # and the first begins after this share, to tell how long it takes,
LONGER = 1.1  # or a little less than the next one may


class Pace:
    """How long to work: a speed, or a time budget that begins now.

    Parameters
    ----------
    speed, time_budget
        Options of `fastgrad.dither`.

    Attributes
    ----------
    began : float
        The value of `time.perf_counter` at the beginning.
    plan : Plan
        How much is done at most.
    """

    began: float
    plan: Plan

    def __init__(self, speed: int | None = None, time_budget: float | None = None) -> None:
        self.began = time.perf_counter()
        if speed is not None and time_budget is not None:
            raise ValueError(f"speed must be None with a time_budget, got {speed!r}")
        self._budget, self._annealing = None, 0.0  # seconds: all, and until annealing ends
        if time_budget is not None:
            self._budget = _validate.number(time_budget, "time_budget", 0, 1e9)
            self._annealing = SHARES["annealing"] * self._budget
            speed = SLOWEST
        speed = DEFAULT if speed is None else _validate.integer(speed, "speed", 1, len(PLANS))
        self.plan = PLANS[speed - 1]

    def for_learned(self, colors: int, *, grey: bool = False, known: bool = False) -> Pace:
        """Return the pace for a picture of which so many colours, or greys, are learned."""
        made = copy.copy(self)
        if self._budget is None:  # else there is time to learn better ones
            made.plan = self.plan.for_learned(colors, grey=grey, known=known)
        return made

    def one_of(self, runs: int, done: int = 0) -> Pace:
        """Return the pace of the next of so many runs: a share of the time left, or of trials.

        Examples
        --------
        >>> Pace().plan.trials, Pace().one_of(3).plan.trials, Pace().one_of(3, done=2).plan.trials
        (8, 2, 2)
        """
        if self._budget is None:
            made = copy.copy(self)
            made.plan = self.plan._replace(trials=max(1, self.plan.trials // runs))
            return made
        left = self.began + self._budget - time.perf_counter()
        return Pace(time_budget=max(0.0, left / (runs - done)))

    def after_trial(self, trial: Trial, pixels: int, colors: int) -> Pace:
        """Return the pace of the slowest speed whose least work fits the budget.

        A search goes on as long as pixels move and there is time. Where it takes a small part of
        the budget, as the trial lets it be guessed, there is another one later, see `again`.

        Parameters
        ----------
        trial : Trial
            What a trial of the fastest speed took.
        pixels : int
            Pixels of the picture.
        colors : int
            Colours of the palette.

        Examples
        --------
        >>> trial = Trial(pixels=1 << 14, seconds=0.02, search=0.005)
        >>> Pace(time_budget=60).after_trial(trial, 1 << 20, 16).plan == PLANS[0]
        True
        >>> Pace(time_budget=0).after_trial(trial, 1 << 20, 16).plan.trials == PLANS[-1].trials
        True
        """
        step, budget, made = trial.seconds / PLANS[-1].tries, self._budget or 0.0, copy.copy(self)
        most = {name: getattr(PLANS[0], name) for name in ("whole", "sweeps")}
        for plan in PLANS:
            made.plan = plan._replace(**most)
            part = min(plan.part, pixels)
            palette = min(plan.kept_for(colors), plan.trials_for(colors)) * plan.tries * step
            annealing = LEAST_STEPS * step * part / trial.pixels
            searched = pixels if part == pixels else pixels + part
            search = SEARCH * trial.search * searched / trial.pixels
            made._annealing = (FIRST if search < TWICE * budget else SHARES["annealing"]) * budget
            shares = SHARES["palette"], SHARES["annealing"] - SHARES["palette"]
            if palette <= shares[0] * budget and annealing <= shares[1] * budget:
                break
        return made

    def again(self, began: float, steps: int, ended: float) -> Pace | None:
        """Return the pace of another annealing and search, if there is time for them.

        Parameters
        ----------
        began, ended : float
            When the annealing before began and ended, as `time.perf_counter` counts: all that has
            followed it will take as long again, or a tenth more.
        steps : int
            How many steps it took.

        Returns
        -------
        Pace or None
            The pace by which annealing ends when what follows it has time; None without a budget.

        Examples
        --------
        >>> pace = Pace(time_budget=60)
        >>> [pace.again(pace.began - t, 2, pace.began) is None for t in (1, 100)]
        [False, True]
        """
        if self._budget is None:
            return None
        made, now = copy.copy(self), time.perf_counter()
        made._annealing = self._budget - LONGER * (now - ended)
        left = self.began + made._annealing - now
        return made if left >= LEAST_STEPS * (ended - began) / max(steps, 1) else None

    def rest(self, seconds: float) -> Pace | None:
        """Return the pace of a search in the time that is left; None if that is less, or no budget.

        Examples
        --------
        >>> Pace(time_budget=60).rest(50.0) is None, Pace(time_budget=60).rest(70.0) is None
        (False, True)
        """
        if self._budget is None or self.late("search", seconds):
            return None
        made = copy.copy(self)
        made._annealing = time.perf_counter() - self.began
        return made

    def deadline(self, stage: Stage) -> float | None:
        """Return when a stage must end, as `time.perf_counter` counts; None without a budget."""
        budget = self._budget
        if budget is None:
            return None
        if stage == "palette":
            return self.began + SHARES[stage] * budget
        first, share = self._annealing, {"annealing": 0.0, "rounds": ROUNDS, "search": 1.0}[stage]
        return self.began + first + share * (budget - first)

    def late(self, stage: Stage, seconds: float = 0.0) -> bool:
        """Return whether work of so many seconds would end after the deadline of a stage."""
        deadline = self.deadline(stage)
        return deadline is not None and time.perf_counter() + seconds > deadline
