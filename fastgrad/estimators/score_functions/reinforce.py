"""REINFORCE and RLOO: the score times f minus a baseline. f is never differentiated."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import MOST_NODES, Estimate, Estimator, by_options, estimate
from fastgrad.estimators.examples_in_parts import mean_in_one_pass
from fastgrad.estimators.score_functions.baselines import as_baseline
from fastgrad.estimators.score_functions.baselines.optimal import Optimal
from fastgrad.estimators.score_functions.baselines.simple import Baseline
from fastgrad.estimators.score_sums import score_sums
from fastgrad.estimators.sums import NO_BASELINE, CentredScores, Mean
from fastgrad.kernels.distributions.categorical_long import SEGMENT as LONG
from fastgrad.kernels.estimators.score_functions import reinforce_compiled as _kernels
from fastgrad.objectives import Objective, Values
from fastgrad.objectives.compiled import Compiled
from fastgrad.random import Key

__all__ = ["RLOO", "Reinforce"]


class ScoreFunction(Estimator):
    """Base class: draws outcomes and evaluates f there."""

    draws_first = True

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return all tuples of S joint outcomes, shape (S, C, *batch, ...), and probabilities."""
        if "outcomes" in distribution.lacks:
            return None
        log_p = distribution.log_probabilities().astype(np.float64)
        k, batch = len(log_p), log_p.shape[1:]
        log_p = log_p.reshape(k, -1)
        possible = log_p > -np.inf
        counts = possible.sum(axis=0)
        nodes = math.prod(counts.tolist()) ** num_samples
        if nodes * max(counts.size, 1) * num_samples > MOST_NODES:
            return None
        # S samples of n variables are one of S n.
        log_p, counts = np.tile(log_p, num_samples), np.tile(counts, num_samples)
        impossible = np.tile(~possible, num_samples)
        categories = np.argsort(impossible, axis=0, kind="stable")  # possible ones come first
        strides = np.cumprod([1, *counts])[:-1]
        digits = np.arange(nodes)[:, None] // strides % counts
        z = np.take_along_axis(categories, digits, axis=0)
        weights = np.exp(np.take_along_axis(log_p, z, axis=0).sum(axis=1))
        z = z.reshape(nodes, num_samples, *batch).swapaxes(0, 1)
        z = np.ascontiguousarray(z, np.int32)
        return _validate.frozen(distribution.outcomes(z)), weights

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Any:
        """Draw outcomes z, shape (S, *batch)."""
        z = distribution.drawn(num_samples, key, offset)
        z.setflags(False)  # write, by its place: see `_validate.frozen`
        return z

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at the outcomes."""
        return objective.outcomes(distribution, draws, offset=offset)


def collect(scores: Any, blocks: Iterable[tuple[IntArray, Values]]) -> Any:
    """Add pairs (outcomes, `Values`) to sums of scores; return what has the mean of f as `result`.

    Without credit that is the sums themselves.
    """
    value, take = scores, scores.add
    if type(blocks) is list and len(blocks) == 1 and type(scores) is CentredScores:
        take = scores.lend  # f is not asked again before the sums are made
    for z, (values, credit) in blocks:
        take(z, values if credit is None else credit)
        if credit is not None:
            value = Mean() if value is scores else value
            value.add(values)
    return value


@dataclasses.dataclass(frozen=True, kw_only=True)
class Reinforce(ScoreFunction):
    """REINFORCE: the score times f minus a baseline.

    The estimate is ``mean over s of (f_s - b_s) score(z_s)``. With credit, f and its baseline are
    each variable's own.

    Parameters
    ----------
    baseline : None, float, str, callable or Baseline
        What is subtracted from f.

        - None: nothing; a number: that number.
        - "moving_average": the mean of f over past calls, kept in the state.
        - "optimal": for each logit the constant of least variance, estimated from the other samples
          of the call, of which there must be two or more. "optimal_pooled": one such constant for
          each example.
        - A function: it takes the distribution and returns an array that broadcasts to the values
          of f, such as a network's prediction of f.
        - An object of `fastgrad.baselines`: ``MovingAverage(decay=...)`` has options, and
          ``LeastSquares(features=...)`` learns f from features of the input.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> reinforce = fg.estimator("reinforce", baseline="moving_average")
    >>> f, logits, state = lambda x: 7 + x[..., 0].sum(axis=-1), np.zeros((5, 3)), None
    >>> for step in range(50):
    ...     estimate = reinforce(f, logits, num_samples=8, rng=step, state=state)
    ...     state = estimate.state
    >>> bool(abs(state["mean"] - fg.exact.value(f, logits)) < 0.5)
    True

    References
    ----------
    Williams, "Simple statistical gradient-following algorithms for connectionist reinforcement
    learning", Machine Learning, 1992.
    """

    baseline: Any = None  # `BaselineLike`, kept as a `Baseline`

    name = "reinforce"
    unbiased = True
    weighs = True
    asks: ClassVar[tuple[str, ...]] = ("score",)
    min_samples: ClassVar[int] = by_options(lambda run: run.baseline.min_samples)
    pools: ClassVar[bool] = by_options(lambda run: run.baseline.pools)
    paper = "Williams, 1992; baselines: Weaver and Tao, 2001; Mnih and Gregor, 2014"

    def __post_init__(self) -> None:
        object.__setattr__(self, "baseline", as_baseline(self.baseline))

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (outcomes, `Values`)."""
        scores = self.baseline.sums(distribution)
        value = collect(scores, blocks)
        grad = self.baseline.centred(scores, state)
        learnt = self.baseline.learn(scores, state)
        return estimate(value.result, grad, learnt, scores.mean.count)

    def in_one_pass(
        self,
        compiled: Compiled,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        state: dict[str, Any] | None,
    ) -> Estimate | None:
        """Draw, ask and combine at once, but with a baseline that needs all outcomes."""
        own, shape = self.baseline, compiled.shape(distribution.batch_shape)[0]
        optimal = isinstance(own, Optimal) and not own.pooled
        if not optimal and (type(own).sums, type(own).centred) != (Baseline.sums, Baseline.centred):
            return None
        found = _one_pass(
            compiled,
            distribution,
            num_samples,
            key,
            num_samples,
            None if optimal else own.at(distribution, shape, state),
            optimal,
        )
        if found is None:
            return None
        value, grad = found
        seen = SimpleNamespace(shape=shape, result=value, count=num_samples)
        learnt = own.learn(SimpleNamespace(distribution=distribution, mean=seen), state)
        return estimate(value, grad, learnt, num_samples)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RLOO(ScoreFunction):
    """REINFORCE with leave-one-out baselines (RLOO).

    The baseline of a sample is the mean of f over the other samples. The estimate is
    ``sum over s of (f_s - mean f) score(z_s) / (S - 1)``. With credit, f is each variable's own: it
    stays unbiased, and its variance comes only from the terms of f that depend on the variable.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> rloo = fg.estimator("rloo")
    >>> logits = np.zeros((5, 3))
    >>> estimate = rloo(lambda x: x[..., 0].sum(axis=-1), logits, num_samples=8, rng=0)
    >>> estimate.grad.shape, estimate.evaluations
    ((5, 3), 8)
    """

    name = "rloo"
    unbiased = True
    asks: ClassVar[tuple[str, ...]] = ("score",)
    min_samples = 2
    paper = "Kool, van Hoof and Welling, 'Buy 4 REINFORCE samples, get a baseline for free!', 2019"

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (outcomes, `Values`)."""
        scores = score_sums(distribution)
        value = collect(scores, blocks)
        count = scores.mean.count
        grad = scores.total(count - 1)
        return estimate(value.result, grad, state, count)

    def in_one_pass(
        self,
        compiled: Compiled,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        state: dict[str, Any] | None,
    ) -> Estimate | None:
        """Draw, ask and combine at once."""
        given = compiled, distribution, num_samples, key
        found = _one_pass(*given, num_samples - 1, None, optimal=False)
        return found and estimate(*found, state, num_samples)

    def alone(self) -> Estimator:
        """Return REINFORCE without a baseline."""
        return Reinforce()


def _one_pass(
    compiled: Compiled,
    distribution: Discrete,
    num_samples: int,
    key: Key,
    over: int,
    baseline: Any,
    optimal: bool,
) -> tuple[Any, FloatArray] | None:
    """Return the mean of f and the sum of (f - baseline) score, divided by `over`.

    None, as a baseline, is the mean, or if optimal the optimum. As a result, it says that this is
    to be done in parts.
    """
    d = distribution
    if d.num_outcomes > LONG:
        return None
    moved = (
        NO_BASELINE if baseline is None else _validate.real_array(baseline, "baseline").reshape(-1)
    )
    kernel, out = _kernels.sites if d.single_logit else _kernels.categories, np.empty_like(d.matrix)
    about = over, moved.astype(np.float64), optimal
    given = compiled, d, d.matrix, d.place(key, 0), num_samples
    value = mean_in_one_pass(kernel, *given, about, out, double=True)
    return None if value is None else (value, out.reshape(d.logits.shape))
