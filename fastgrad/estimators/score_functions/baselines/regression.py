"""Least squares over past calls: how baselines and the scales of control variates are learned."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.score_functions.baselines.simple import (
    Baseline,
    check_decay,
    finite,
    recall,
)
from fastgrad.estimators.sums import learnable
from fastgrad.kernels.estimators.score_functions.baselines import regression as _kernels

TINY = float(np.finfo(np.float64).tiny)


class Regression:
    """Least squares of a target on columns, from the sums of their products over past calls.

    These sums are the state, in which older calls count less and less. Examples of one call learn
    from past calls, never from each other.
    """

    past: dict[str, FloatArray]

    def __init__(self, state: dict[str, Any] | None, columns: int) -> None:
        start = {"gram": np.zeros((columns + 1, columns + 1)), "weight": np.zeros(())}
        self.past = recall(state, **start)

    @property
    def square(self) -> float:
        """The mean square of the target over past calls, 0 before the first."""
        return self.past["gram"].item(-1) / max(self.past["weight"].item(), 1.0)

    def solve(self, ridge: FloatArray) -> FloatArray:
        """Return the coefficients, each with its ridge penalty: zero before any call."""
        gram = self.past["gram"]
        if len(ridge) == 1 and (square := gram[0, 0] + ridge[0]) > TINY:
            return gram[:1, -1] * (1 / square)  # as `lstsq`, which takes twenty times as long
        n = len(ridge)
        square, target = np.empty((n, n)), np.empty(n)
        if _kernels.solve(_validate.frozen(gram), ridge, square, target):
            return target  # as `lstsq`, in a tenth of its time
        return np.linalg.lstsq(square, target, rcond=None)[0]

    def learn(self, rows: FloatArray, decay: float) -> dict[str, FloatArray]:
        """Return the state after one more call: rows are the columns and the target, (C + 1, n)."""
        return self.add(rows @ rows.T, decay)

    def add(self, gram: FloatArray, decay: float) -> dict[str, FloatArray]:
        """Return the state after one more call, given the products of its rows."""
        gram = decay * self.past["gram"] + learnable(gram, (0, 1))
        return {"gram": gram, "weight": np.asarray(decay * self.past["weight"] + 1.0)}


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class LeastSquares(Baseline):
    """Ridge regression of f on features of the input, fitted to past calls (NVIL).

    Parameters
    ----------
    features : array, shape (*examples, D), or callable
        D features for each value that f returns for a sample (with credit, for each variable). A
        function takes the distribution and returns such an array. A constant feature is added.
    decay : float
        Weight of a call relative to the call after it, as of `MovingAverage`.
    ridge : float
        Ridge penalty, above 0: factor of the squared coefficients, without that of the constant.

    References
    ----------
    Mnih and Gregor, "Neural variational inference and learning in belief networks", ICML 2014.
    """

    features: Any
    decay: float = 0.99
    ridge: float = 1.0

    pools = True

    def __post_init__(self) -> None:
        check_decay(self.decay)
        _validate.positive(self.ridge, "ridge")

    def at(
        self, distribution: Discrete, shape: tuple[int, ...], state: dict[str, Any] | None
    ) -> FloatArray:
        """Predict f."""
        x = self._columns(distribution, shape)
        ridge = np.full(len(x), self.ridge)
        ridge[0] = 0.0
        return (Regression(state, len(x)).solve(ridge) @ x).reshape(shape)

    def learn(self, sums: Any, state: dict[str, Any] | None) -> dict[str, Any] | None:
        """Return the state with the mean of these samples, for each example, added."""
        x = self._columns(sums.distribution, sums.mean.shape)
        rows = np.vstack([x, np.reshape(sums.mean.result, -1)])
        return Regression(state, len(x)).learn(rows, self.decay)

    def _columns(self, distribution: Discrete, shape: tuple[int, ...]) -> FloatArray:
        x = self.features(distribution) if callable(self.features) else self.features
        x = finite(_validate.array(x, "features"), "features").astype(np.float64)
        if x.shape[:-1] != shape or x.ndim == 0:
            expected = ", ".join([*map(str, shape), "D"])
            raise ValueError(f"features must have shape ({expected}), got {x.shape}")
        x = x.reshape(-1, x.shape[-1]).T
        return np.vstack([np.ones(x.shape[1]), x])
