"""How much work a run of `fastgrad.dither` does: by a speed, or by the clock."""

from __future__ import annotations

import time
from typing import Literal, NamedTuple, TypeAlias

from fastgrad import _validate

__all__ = ["Pace", "Plan"]

DEFAULT, SLOWEST = 4, 1  # speeds


class Plan(NamedTuple):
    """How much is done at most.

    Attributes
    ----------
    trials : int
        Palettes that are tried out on a small copy of the picture.
    steps : int
        Steps of annealing.
    rounds : int
        Rounds of search and palette fit.
    sweeps : int
        Sweeps of search in the final palette.
    """

    trials: int
    steps: int
    rounds: int
    sweeps: int


PLANS = (  # of speed 1, 2, ... 10
    Plan(12, 24, 16, 24),
    Plan(10, 20, 12, 16),
    Plan(8, 16, 10, 12),
    Plan(6, 12, 8, 6),
    Plan(5, 10, 7, 6),
    Plan(4, 8, 6, 5),
    Plan(3, 6, 5, 5),
    Plan(2, 4, 4, 4),
    Plan(1, 3, 3, 3),
    Plan(1, 2, 2, 2),
)
Stage: TypeAlias = Literal["palette", "annealing", "rounds", "search"]
SHARES: dict[Stage, float] = {"palette": 0.2, "annealing": 0.45, "rounds": 0.65, "search": 1.0}


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
        self._budget = None
        if time_budget is not None:
            self._budget = _validate.number(time_budget, "time_budget", 0, 1e9)
            speed = SLOWEST
        speed = DEFAULT if speed is None else _validate.integer(speed, "speed", 1, len(PLANS))
        self.plan = PLANS[speed - 1]

    def deadline(self, stage: Stage) -> float | None:
        """Return when a stage must end, as `time.perf_counter` counts; None without a budget."""
        return None if self._budget is None else self.began + SHARES[stage] * self._budget

    def late(self, stage: Stage, seconds: float = 0.0) -> bool:
        """Return whether work of so many seconds would end after the deadline of a stage."""
        deadline = self.deadline(stage)
        return deadline is not None and time.perf_counter() + seconds > deadline
