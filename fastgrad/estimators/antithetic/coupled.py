"""Parts that estimators with coupled samples share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Estimator, estimate
from fastgrad.estimators.sums import Mean
from fastgrad.kernels.estimators.antithetic import coupled_log_odds as _log_odds
from fastgrad.kernels.estimators.antithetic import coupled_sticks as _kernels
from fastgrad.objectives import Objective

MANY = 64  # categories for which NumPy sorts faster than the kernel counts


class Coupled(Estimator):
    """Base class of estimators with coupled samples in groups.

    Each sample of a group has the distribution given, but the samples of a group depend on each
    other, variable by variable. With credit, the signal is each variable's own. A subclass defines
    `draw` and `sums`, and says whether it takes `binary` variables only.
    """

    binary: ClassVar[bool] = False
    unbiased = True
    min_samples = 2
    group_size = 2

    def __post_init__(self) -> None:
        if self.group_size is not None:
            _validate.integer(self.group_size, "group_size", self.min_samples)

    def group(self, num_samples: int) -> int:
        """Return the size of a group: all samples, where it is not given."""
        return self.group_size or num_samples

    def sums(self, distribution: Discrete, size: int) -> Any:
        """Return an object that sums over groups of this size.

        Its ``add(draws, signal)`` takes a block with its signal (S, M), and ``gradient(over)`` is
        the sum divided by a number, with the columns of the logits.
        """
        raise NotImplementedError

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at the outcomes."""
        return objective.outcomes(distribution, draws, offset=offset)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (draws, `Values`)."""
        value, sums, size = Mean(), None, 1
        for draws, answer in blocks:
            value.add(answer.value)
            size = self.group(len(answer.value))
            sums = sums or self.sums(distribution, size)
            sums.add(draws, cells(answer.signal))
        assert sums is not None, "there is at least one block"
        grad = sums.gradient(value.count // size).reshape(distribution.logits.shape)
        return estimate(value.result, grad, state, value.count)


def cells(signal: Any) -> FloatArray:
    """Return a signal (S, *cells) as (S, M)."""
    x = _validate.real_array(signal, "signal")
    return x.reshape(len(x), -1)


def binary_logits(distribution: Discrete, name: str) -> FloatArray:
    """Return the log odds of outcome 1 of each variable, flat; ValueError where K is not 2."""
    logits, k = distribution.logits, distribution.num_outcomes
    if k != 2:
        raise ValueError(
            f"{name} is for binary variables, Bernoulli or categorical with K = 2, got K = {k}"
        )
    if distribution.single_logit:
        return logits.reshape(-1)
    t = np.empty(logits.size // 2, logits.dtype)
    _log_odds.log_odds(logits.reshape(t.size, 2), t)
    return _validate.frozen(t)


def rows(distribution: Discrete) -> FloatArray:
    """Return logits of all outcomes, (N, K): with a single logit, two for each variable."""
    logits = distribution.rows
    if distribution.single_logit:
        logits = np.stack([-np.maximum(logits, 0), np.minimum(logits, 0)], axis=-1)
    return _validate.frozen(logits)


class BinarySums:
    """Sums over groups, (N,): one for each binary variable. The log odds are t, (N,)."""

    t: FloatArray
    dtype: np.dtype[Any]
    single: bool
    sum: FloatArray

    def __init__(self, distribution: Discrete, name: str) -> None:
        self.t, self.dtype = binary_logits(distribution, name), distribution.logits.dtype
        self.single = distribution.single_logit
        self.sum = np.zeros(self.t.size)

    def gradient(self, over: int) -> FloatArray:
        """Return the sums divided by `over`, by all logits: (N,) or, of two categories, (N, 2)."""
        if self.single:
            grad = np.where(np.isinf(self.t), 0, self.sum / over)
            return grad.astype(self.dtype)
        grad = np.empty((self.t.size, 2), self.dtype)
        _log_odds.gradient(self.sum, self.t, over, grad)
        return grad


def ascending(distribution: Discrete) -> tuple[FloatArray, IntArray]:
    """Return `rows` and the order of their categories from the rarest on; equal ones by index."""
    logits = rows(distribution)
    if logits.shape[1] > MANY:
        return logits, _validate.frozen(np.argsort(logits, axis=1, kind="stable").astype(np.int32))
    order = np.empty(logits.shape, np.int32)
    _kernels.sort(logits, order)
    return logits, _validate.frozen(order)
