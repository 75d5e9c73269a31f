"""Sum and sample: the most probable outcomes are summed, the others are sampled."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, Literal

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.categorical import Categorical
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate
from fastgrad.estimators.rao_blackwell import weighted
from fastgrad.estimators.rao_blackwell.distinct import Distinct, First, Outcomes, search
from fastgrad.estimators.rao_blackwell.distinct_nodes import tuples
from fastgrad.kernels.estimators.rao_blackwell import sum_and_sample as _kernels
from fastgrad.random import Key

__all__ = ["SumAndSample"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SumAndSample(Distinct):
    """The most probable outcomes of each example are summed, the others are sampled.

    The estimate is the sum of ``p(z) (f(z) - b) score(z)`` over the most probable outcomes, plus
    the same terms at samples of the other outcomes, where p(z) is replaced by the probability of
    all other outcomes divided by the number of these samples. Of equally probable outcomes, the
    lower category comes first. With credit, f and the baseline b are each variable's own.

    Parameters
    ----------
    summed : int, optional
        Number of outcomes that are summed, of the S; by default all but one.
    baseline : {"summed", "independent"} or None
        "summed": the mean of f over the summed outcomes, at no further evaluation of f; 0 if none
        is summed. "independent": f at a further sample for each of the S outcomes. None: 0.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> sum_and_sample = fg.estimator("sum_and_sample", summed=3)
    >>> f = fg.objectives.bernoulli3()
    >>> estimate = sum_and_sample(f, np.zeros(8), num_samples=4, rng=0)
    >>> estimate.grad.shape, estimate.evaluations
    ((8,), 4)

    References
    ----------
    Liu, Regier, Tripuraneni, Jordan and McAuliffe, "Rao-Blackwellized stochastic gradients for
    discrete distributions", ICML 2019.
    """

    summed: int | None = None
    baseline: Literal["summed", "independent"] | None = "summed"

    name = "sum_and_sample"
    unbiased = True
    evaluations = "S; 2 S with baseline='independent'"
    min_samples = 2
    paper = "Liu, Regier, Tripuraneni, Jordan and McAuliffe, 2019"

    def __post_init__(self) -> None:
        if self.summed is not None:
            _validate.integer(self.summed, "summed", 0)
        _validate.choice(self.baseline, "baseline", ("summed", "independent", None))

    def count(self, num_samples: int) -> int:
        """Return how many of the outcomes are summed."""
        if self.summed is None:
            return num_samples - 1
        if self.summed > num_samples:
            raise ValueError(
                f"num_samples must be at least the {self.summed} summed, got {num_samples}"
            )
        return self.summed

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> First:
        """Take the most probable outcome; if none is summed, draw one."""
        order = None if self.count(num_samples) else key.fold_in(0)
        cells = distribution.num_variables
        return First(search(distribution, cells, 1, order, who=self.name).z, num_samples, key)

    def complete(self, distribution: Discrete, cells: int, first: First) -> Outcomes:
        """Return the most probable outcomes of each cell, and samples of the others."""
        summed, key = self.count(first.num_samples), first.key
        top = search(distribution, cells, summed, None, who=self.name)
        if summed == first.num_samples and top.rest.max(initial=-np.inf) > -np.inf:
            raise ValueError(
                f"num_samples must be above the {summed} summed, as there are more, got {summed}"
            )
        n = math.prod(distribution.batch_shape)
        z, seen = np.empty((first.num_samples, n), np.int32), top.z.reshape(summed, n)
        z[:summed] = seen
        for i in range(summed, len(z)):
            # The first in a random order that is not summed is a sample of all that are not.
            order = key.fold_in(i - summed)
            order = search(distribution, cells, summed + 1, order, who=self.name).z
            order, own = order.reshape(summed + 1, n), z[i].reshape(cells, n // max(cells, 1))
            _kernels.first_unseen(order, seen, own)
        z = z.reshape(len(z), *distribution.batch_shape)
        others = None
        if self.baseline == "independent":
            others = distribution.sample(num_samples=len(z), rng=key)
        return top._replace(z=_validate.frozen(z), others=others)

    def law(self, cell: Categorical, num_samples: int) -> tuple[Outcomes, FloatArray] | None:
        """Return all `Outcomes` of one cell and their weights, or None where there are too many."""
        top = search(cell, 1, self.count(num_samples), None, who=self.name)
        return tuples(cell, top, num_samples, others=self.baseline == "independent")

    def weights(self, outcomes: Outcomes) -> FloatArray:
        """Return probabilities of what is summed, and equal shares of the rest."""
        sampled = len(outcomes.z) - len(outcomes.log_p)
        share = np.exp(outcomes.rest) / max(sampled, 1)
        return np.concatenate([np.exp(outcomes.log_p), np.tile(share, (sampled, 1))])

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of the one pair (draws, (outcomes, values))."""
        ((_, (outcomes, values)),) = blocks
        samples, summed = len(outcomes.z), len(outcomes.log_p)
        weights = self.weights(outcomes)
        f, x = weighted.flat(values.value[:samples]), weighted.flat(values.signal)
        x, baseline = x[:samples], x[samples:]
        if self.baseline == "summed" and summed:
            # Relative to the most probable outcome, whose probability may underflow.
            p = weighted.spread(np.exp(outcomes.log_p - outcomes.log_p[0]), x)
            baseline = weighted.mean(p / p.sum(axis=0), x[:summed])
        elif self.baseline != "independent":
            baseline = 0.0
        grad = weighted.scores(
            distribution, outcomes.z, weighted.spread(weights, x) * (x - baseline)
        )
        return weighted.estimate_of(values, weighted.mean(weights, f), grad, state)
