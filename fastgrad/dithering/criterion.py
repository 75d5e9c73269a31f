"""What is lowered beside the blurred error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from fastgrad import _validate
from fastgrad._typing import ByteArray
from fastgrad.dithering.eye.viewing import MOST_WEIGHT
from fastgrad.dithering.metrics.structure import cssim
from fastgrad.dithering.optimiser.problem import Problem
from fastgrad.objectives import Objective

if TYPE_CHECKING:
    from fastgrad.estimators import Estimator, EstimatorName

__all__ = ["Criterion"]


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
        if not _validate.number(self.structure, "structure", 0, MOST_WEIGHT):
            for name in ("objective", "estimator"):
                value = getattr(self, name)
                if value is not None:
                    raise ValueError(f"{name} must be None where structure is 0, got {value!r}")
        given = self.objective
        if not (given is None or isinstance(given, Objective) or callable(given)):
            raise TypeError(f"objective must be an Objective or callable, got {given!r}")
        if self.estimator is not None:
            from fastgrad.estimators.registry import as_estimator  # late: it imports all of them

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
