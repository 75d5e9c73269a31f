"""What a baseline is; numbers, functions and moving averages."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad.estimators.sums import CentredScores


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """What `reinforce` takes as its `baseline`."""

    min_samples: ClassVar[int] = 1

    def sums(self, distribution):
        """Return what takes the samples in: outcomes and signals."""
        return CentredScores(distribution)

    def centred(self, sums, state):
        """Return the mean over samples of (signal - baseline) score."""
        baseline = self.at(sums.distribution, sums.mean.shape, state)
        return sums.about(baseline, sums.mean.count)

    def at(self, distribution, shape, state):
        """Return the baseline of each example (of each variable, where there is credit)."""
        raise NotImplementedError

    def learn(self, sums, state):
        """Return the state after these samples."""
        return state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant(Baseline):
    """A given number."""

    value: float = 0.0

    def __post_init__(self):
        if not np.isfinite(self.value):
            raise ValueError(f"baseline must be finite, got {self.value!r}")

    def at(self, distribution, shape, state):
        """Return the number."""
        return self.value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Function(Baseline):
    """Whatever a function of the distribution returns: an array that broadcasts to f's values.

    It must not depend on the samples of the call; what it learns from past ones is its own affair.
    """

    function: Callable[[Any], Any]

    def at(self, distribution, shape, state):
        """Call the function."""
        b = finite(self.function(distribution), "the baseline")
        try:
            return np.broadcast_to(b, shape)
        except ValueError:
            raise ValueError(f"the baseline must have shape {shape}, got {b.shape}") from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MovingAverage(Baseline):
    """The mean of f over past calls, each example's own; 0 before the first.

    Parameters
    ----------
    decay : float
        The weight of a call relative to the next one, above 0; 1 is the running mean of all.
    """

    decay: float = 0.9

    def __post_init__(self):
        check_decay(self.decay)

    def at(self, distribution, shape, state):
        """Return the average so far."""
        return self._past(shape, state)["mean"]

    def learn(self, sums, state):
        """Move the average towards the mean of these samples."""
        past = self._past(sums.mean.shape, state)
        weight = self.decay * past["weight"] + 1.0
        mean = past["mean"] + (sums.mean.result - past["mean"]) / weight
        return {"mean": np.asarray(mean), "weight": np.asarray(weight)}

    def _past(self, shape, state):
        return recall(state, mean=np.zeros(shape), weight=np.zeros(()))


def recall(state, **start):
    """Return the arrays of a state, checked against those that it starts from."""
    if state is None:
        return start
    if set(state) != set(start):
        raise ValueError(
            f"state must be that of the last estimate, with {', '.join(start)}, "
            f"got {', '.join(map(str, state)) or 'nothing'}"
        )
    return {
        name: _validate.like(state[name], x.shape, x.dtype, f"state[{name!r}]")
        for name, x in start.items()
    }


def check_decay(decay):
    """Refuse what is not above 0 and at most 1."""
    if _validate.positive(decay, "decay") > 1:
        raise ValueError(f"decay must be at most 1, got {decay!r}")


def finite(x, name):
    """Return an array, unless it holds NaN or infinity."""
    x = _validate.real_array(x, name)
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got {x[~np.isfinite(x)][0]}")
    return x
