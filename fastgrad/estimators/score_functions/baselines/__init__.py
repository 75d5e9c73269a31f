"""Baselines of REINFORCE: what is subtracted from f before it multiplies the score.

The estimate stays unbiased as long as a baseline does not depend on the sample whose score it
meets. `Optimal` looks at the other samples of the call; the rest come from the inputs of the call
and the state of past ones, and are the same for all its samples.
"""

import numbers

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

ALIASES = {
    "moving_average": MovingAverage(),
    "optimal": Optimal(),
    "optimal_pooled": Optimal(pooled=True),
}


def as_baseline(baseline):
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
