"""Baselines of REINFORCE: what is subtracted from f before it is multiplied by the score.

The estimate stays unbiased as long as the baseline of a sample does not depend on that sample.
`Optimal` is made of the other samples of the call. All other baselines depend on the inputs of the
call and on the state left by past calls, and are the same for all samples.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable
from typing import Any, Literal, TypeAlias

from fastgrad import _validate
from fastgrad.estimators.score_functions.baselines.optimal import Optimal
from fastgrad.estimators.score_functions.baselines.regression import LeastSquares, Regression
from fastgrad.estimators.score_functions.baselines.simple import (
    Baseline,
    Constant,
    Function,
    MovingAverage,
)

__all__ = [
    "Baseline",
    "Constant",
    "Function",
    "LeastSquares",
    "MovingAverage",
    "Optimal",
    "Regression",
    "as_baseline",
]

BaselineName: TypeAlias = Literal["moving_average", "optimal", "optimal_pooled"]
BaselineLike: TypeAlias = float | BaselineName | Callable[..., Any] | Baseline | None

ALIASES: dict[str, Baseline] = {
    "moving_average": MovingAverage(),
    "optimal": Optimal(),
    "optimal_pooled": Optimal(pooled=True),
}


def as_baseline(baseline: BaselineLike) -> Baseline:
    """Return the baseline that a user means: None, a number, a name, a function or a baseline."""
    if baseline is None:
        return Constant()
    if isinstance(baseline, Baseline):
        return baseline
    if isinstance(baseline, str):
        return ALIASES[_validate.choice(baseline, "baseline", ALIASES)]
    if isinstance(baseline, numbers.Real) and not isinstance(baseline, bool):
        return Constant(value=float(baseline))
    if callable(baseline):
        return Function(function=baseline)
    raise TypeError(f"baseline must be None, a number, a name or a function, got {baseline!r}")
