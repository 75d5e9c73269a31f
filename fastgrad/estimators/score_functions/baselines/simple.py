"""The base class of baselines; numbers, functions and moving averages as baselines."""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.draws import last_state, remembered
from fastgrad.estimators.score_sums import score_sums


@dataclasses.dataclass(frozen=True, kw_only=True)
class Baseline:
    """Base class of the baselines of `reinforce`.

    A subclass defines `at`, and `learn` if its baseline depends on past calls.

    Attributes
    ----------
    min_samples : int
        The smallest number of samples with which it works.
    pools : bool
        Whether it learns one state from all examples of a call together.
    """

    min_samples: ClassVar[int] = 1
    pools: ClassVar[bool] = False

    def sums(self, distribution: Discrete) -> Any:
        """Return an object whose ``add(z, signal)`` takes a block of outcomes and signals."""
        return score_sums(distribution)

    def centred(self, sums: Any, state: dict[str, Any] | None) -> FloatArray:
        """Return the mean over samples of (signal - baseline) score, the shape of the logits."""
        baseline = self.at(sums.distribution, sums.mean.shape, state)
        return sums.about(baseline, sums.mean.count)

    def at(
        self, distribution: Discrete, shape: tuple[int, ...], state: dict[str, Any] | None
    ) -> Any:
        """Return the baseline of each example (with credit, of each variable): of this shape."""
        raise NotImplementedError

    def learn(self, sums: Any, state: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the state after a call with these samples."""
        return state


@dataclasses.dataclass(frozen=True, kw_only=True)
class Constant(Baseline):
    """A number.

    Parameters
    ----------
    value : float
    """

    value: float = 0.0

    def __post_init__(self) -> None:
        if not isinstance(self.value, numbers.Real) or not np.isfinite(self.value):
            raise ValueError(f"baseline must be finite, got {self.value!r}")

    def at(
        self, distribution: Discrete, shape: tuple[int, ...], state: dict[str, Any] | None
    ) -> Any:
        """Return the number."""
        return self.value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Function(Baseline):
    """A function of the distribution, such as a network that predicts f from the inputs.

    Parameters
    ----------
    function : callable
        Takes the distribution; returns an array that broadcasts to the values of f for one sample.
        It must not depend on the samples of the call; it may have been fitted to past calls.
    """

    function: Callable[[Any], Any]

    def at(
        self, distribution: Discrete, shape: tuple[int, ...], state: dict[str, Any] | None
    ) -> Any:
        """Call the function."""
        b = finite(self.function(distribution), "the baseline")
        try:
            return np.broadcast_to(b, shape)
        except ValueError:
            raise ValueError(f"the baseline must have shape {shape}, got {b.shape}") from None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MovingAverage(Baseline):
    """The mean of f over past calls, separately for each example; 0 before the first call.

    Parameters
    ----------
    decay : float
        Weight of a call relative to the call after it, above 0 and at most 1; with 1 all past calls
        count alike.
    """

    decay: float = 0.9

    def __post_init__(self) -> None:
        check_decay(self.decay)

    def at(
        self, distribution: Discrete, shape: tuple[int, ...], state: dict[str, Any] | None
    ) -> Any:
        """Return the average so far."""
        return self._past(shape, state)["mean"]

    def learn(self, sums: Any, state: dict[str, Any] | None) -> dict[str, Any] | None:
        """Move the average towards the mean of these samples."""
        past = self._past(sums.mean.shape, state)
        weight = self.decay * past["weight"] + 1.0
        mean = past["mean"] + (sums.mean.result - past["mean"]) / weight
        return {"mean": np.asarray(mean), "weight": np.asarray(weight)}

    def _past(self, shape: tuple[int, ...], state: dict[str, Any] | None) -> dict[str, FloatArray]:
        return recall(state, mean=np.zeros(shape), weight=np.zeros(()))


def recall(state: dict[str, Any] | None, **start: FloatArray) -> dict[str, FloatArray]:
    """Return the arrays of a state, checked against its initial arrays; these if it is None."""
    if state is None:
        return start
    if set(last_state(state)) != set(start):
        raise ValueError(
            f"state must be that of the last estimate, with {', '.join(start)}, "
            f"got {', '.join(map(str, state)) or 'nothing'}"
        )
    return {
        name: _validate.like(remembered(state, name), x.shape, x.dtype, f"state[{name!r}]")
        for name, x in start.items()
    }


def check_decay(decay: float) -> None:
    """Raise ValueError unless a decay is above 0 and at most 1."""
    if _validate.positive(decay, "decay") > 1:
        raise ValueError(f"decay must be at most 1, got {decay!r}")


def finite(x: Any, name: str) -> FloatArray:
    """Return an array of real numbers, unless it holds NaN or infinity."""
    x = _validate.real_array(x, name)
    if not np.isfinite(x).all():
        raise ValueError(f"{name} must be finite, got {x[~np.isfinite(x)][0]}")
    return x
