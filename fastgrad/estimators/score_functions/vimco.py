"""VIMCO: the gradient of a bound that takes several samples at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Reduction, estimate
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.score_sums import score_sums
from fastgrad.estimators.sums import Mean
from fastgrad.kernels.estimators.score_functions import vimco as _kernels
from fastgrad.objectives import Objective, Values

__all__ = ["VIMCO"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VIMCO(ScoreFunction):
    """VIMCO: the gradient of a multi-sample bound, with a baseline made of the other samples.

    f is the log weight l of a sample. Samples come in groups, and the bound of a group is
    ``L = log mean exp(l)``. Value and gradient estimate the mean of L over groups, not the mean of
    f, which is smaller; the gradient is unbiased for the mean of L. It is the sum over the samples
    of a group of ``(L - L_s) score(z_s)``, where L_s is the bound with l_s replaced by the mean of
    the other log weights of the group. Credit is not used, since the bound is not a sum of terms.

    If l itself depends on the parameters, as ``l = log p(x, z) - log q(z)`` does on the logits of
    q, its own gradient is not part of the estimate: add the mean of it, weighted by softmax(l).

    A log weight may be -inf, a weight of zero. Where all other weights of a group are zero, L_s is
    -inf, and the sample has no finite baseline: its term is then left out. A group whose weights
    are all zero makes the value -inf.

    Parameters
    ----------
    group_size : int, optional
        Number of samples in a group, at least 2; by default all samples are one group.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> vimco = fg.estimator("vimco")
    >>> log_weight = lambda x: np.log(x @ np.array([1.0, 2.0, 3.0])).sum(axis=-1)
    >>> estimate = vimco(log_weight, np.zeros((2, 3)), num_samples=500, rng=0)
    >>> float(estimate.value.round(1)), bool(estimate.grad[0, 2] > 0)
    (1.4, True)

    References
    ----------
    Mnih and Rezende, "Variational inference for Monte Carlo objectives", ICML 2016.
    """

    group_size: int | None = None

    name = "vimco"
    unbiased = False
    weighs = True
    asks: ClassVar[tuple[str, ...]] = ("score",)
    min_samples = 2
    reduction: ClassVar[Reduction] = "log_mean_exp"
    paper = "Mnih and Rezende, 'Variational inference for Monte Carlo objectives', 2016"

    def __post_init__(self) -> None:
        if self.group_size is not None:
            _validate.integer(self.group_size, "group_size", 2)

    def group(self, num_samples: int) -> int:
        """Return the number of samples in a group."""
        return self.group_size or num_samples

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Values:
        """Evaluate the log weights, which may be -inf, at the outcomes."""
        return objective.outcomes(distribution, draws, offset=offset, masked=True)

    def weighed(
        self, distribution: Discrete, draws: Any, answers: Values
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return the features, and the derivative of the mean bound by each log weight."""
        x, size = answers.value, self.group(len(answers.value))
        groups = x.reshape(-1, size, *x.shape[1:]).astype(np.float64)
        top = groups.max(axis=1, keepdims=True)
        share = np.exp(groups - np.where(np.isneginf(top), 0.0, top))
        share /= np.where(np.isneginf(top), 1.0, share.sum(axis=1, keepdims=True))
        return self.samples(distribution, draws), share.reshape(x.shape) / len(groups)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (outcomes, `Values`), whole groups in each."""
        value, scores = Mean(), score_sums(distribution)
        empty: Any = False  # where the bound of some group is -inf
        for z, (log_weights, _) in blocks:
            size = self.group(len(z))
            x = log_weights if log_weights.ndim == 2 else log_weights.reshape(len(z), -1)
            x = _validate.frozen(x)
            bound, signal = np.empty((len(z) // size, x.shape[1])), np.empty(x.shape)
            few = np.zeros(1, np.bool_)
            _kernels.bounds(x, size, math.log(size), bound, signal, few)
            if few[0]:
                few_weights(x, size, bound, signal)
                empty = empty | np.isneginf(bound).any(axis=0)
                bound[np.isneginf(bound)] = 0.0
            bound.setflags(False)  # pyright: ignore  # write, by its place: see `_validate.frozen`
            signal.setflags(False)  # pyright: ignore
            value.hold(bound, log_weights.shape[1:])
            scores.hold(z, signal, signal.shape[1:])
        grad = scores.about(0.0, value.count)
        mean = value.rounded(grad.dtype)
        if empty is not False and np.any(empty):
            mean = np.where(empty.reshape(value.shape), grad.dtype.type(-np.inf), mean)[()]
        return estimate(mean, grad, state, scores.mean.count)


def few_weights(x: FloatArray, size: int, bound: FloatArray, signal: FloatArray) -> None:
    """Set the bound and signal of groups that have fewer than two weights above zero.

    Log weights x and the signal are (S, M), with groups of this size; the bound is (S / size, M).
    """
    groups = x.reshape(len(x) // size, size, x.shape[1])
    possible = groups > -np.inf
    few = possible.sum(axis=1) < 2
    bound[few] = groups.max(axis=1)[few] - math.log(size)
    # A pair: the weight of zero is replaced by the other one, so that L_s is that. In a larger
    # group it is replaced by the mean of log weights of which one is -inf, so that L_s is L.
    alone = possible.any(axis=1, keepdims=True) & ~possible
    fixed = np.where(alone, -math.log(2) if size == 2 else 0.0, 0.0)
    by_group = signal.reshape(groups.shape)
    by_group[...] = np.where(few[:, None], fixed, by_group)
