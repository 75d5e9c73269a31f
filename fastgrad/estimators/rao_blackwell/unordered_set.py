"""Estimators that sample without replacement: f is evaluated at no outcome twice."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.categorical import Categorical
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, by_options
from fastgrad.estimators.rao_blackwell import weighted
from fastgrad.estimators.rao_blackwell.distinct import Distinct, First, Outcomes, search
from fastgrad.estimators.rao_blackwell.distinct_nodes import sets, thresholds, weigh
from fastgrad.kernels.estimators.rao_blackwell import unordered_set_inclusion as _kernels

__all__ = ["ImportanceWeighted", "UnorderedSet"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnorderedSet(Distinct):
    """The unordered set estimator: S distinct outcomes, averaged over the orders of drawing them.

    The estimate is the sum over the set of ``p(z) R(S, z) (f(z) - b(z)) score(z)``. R(S, z) is the
    probability of the set given that z was drawn first, divided by the probability of the set. The
    built-in baseline b(z) is the estimate of E[f] from the set given that z was drawn first, so
    that the whole is the mean of leave-one-out estimates over all orders. It is exact if the set
    has all outcomes. With credit, f and b are each variable's own.

    Parameters
    ----------
    baseline : bool
        Whether to subtract the built-in baseline. Without it, one sample is enough.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f, unordered_set = fg.objectives.bernoulli3(), fg.estimator("unordered_set")
    >>> estimate = unordered_set(f, np.zeros(8), num_samples=8, rng=0)
    >>> bool(np.allclose(estimate.grad, fg.exact.grad(f, np.zeros(8))))
    True

    References
    ----------
    Kool, van Hoof and Welling, "Estimating gradients for discrete random variables by sampling
    without replacement", ICLR 2020. Several variables: the same, "Stochastic beams and where to
    find them", ICML 2019.
    """

    baseline: bool = True

    name = "unordered_set"
    unbiased = True
    min_samples: ClassVar[int] = by_options(lambda run: 2 if run.baseline else 1)
    paper = "Kool, van Hoof and Welling, 2020"

    def __post_init__(self) -> None:
        _validate.choice(self.baseline, "baseline", (True, False))

    def law(self, cell: Categorical, num_samples: int) -> tuple[Outcomes, FloatArray] | None:
        """Return all `Outcomes` of one cell and their weights, or None where there are too many."""
        return sets(cell, num_samples)

    def weights(self, outcomes: Outcomes) -> FloatArray:
        """Return p(z) R(S, z)."""
        none = np.zeros((len(outcomes.log_p), 0))
        return weigh(outcomes.log_p, outcomes.rest, none, log_sets=False)[1]

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of the one pair (draws, (outcomes, values))."""
        ((_, (outcomes, values)),) = blocks
        f, x = weighted.flat(values.value), weighted.flat(values.signal)
        signal = x if self.baseline else x[:, :0]
        given = outcomes.log_p, outcomes.rest, signal
        _, weights, coefficients = weigh(*given, log_sets=False)
        if self.baseline:  # differences between outcomes: no sum to multiply the softmax by
            grad = weighted.scores(distribution, outcomes.z, coefficients, centred=True)
        else:
            grad = weighted.scores(distribution, outcomes.z, weighted.spread(weights, x) * x)
        return weighted.estimate_of(values, weighted.mean(weights, f), grad, state)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportanceWeighted(Distinct):
    """Importance weights on S distinct outcomes: each is divided by its inclusion probability.

    Given k, the perturbed log probability of the next outcome in the random order, an outcome is
    in the set with probability ``q(z) = 1 - exp(-exp(log p(z) - k))``, as in priority sampling.
    The estimate is the sum over the set of ``p(z) / q(z) (f(z) - b(z)) score(z)``. The baseline
    b(z) is the same estimate of E[f] with q(z) = 1. With credit, f and b are each variable's own.
    The variance is finite for S = 4 and above; without a baseline, for S = 2 and above.

    Parameters
    ----------
    baseline : bool
        Whether to subtract the baseline b(z).
    normalized : bool
        Whether to divide the weights by their sum, which makes the estimate biased, with a much
        smaller variance.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> importance_weighted = fg.estimator("importance_weighted", normalized=True)
    >>> importance_weighted.unbiased, fg.estimator("importance_weighted").unbiased
    (False, True)
    >>> f, logits = fg.objectives.bernoulli3(), np.zeros(8)
    >>> importance_weighted(f, logits, num_samples=4, rng=0).grad.shape
    (8,)

    References
    ----------
    Kool, van Hoof and Welling, "Stochastic beams and where to find them", ICML 2019. Duffield, Lund
    and Thorup, "Priority sampling for estimation of arbitrary subset sums", J. ACM 2007.
    """

    baseline: bool = True
    normalized: bool = False

    name = "importance_weighted"
    unbiased: ClassVar[bool] = by_options(lambda run: not run.normalized)
    min_samples = 2
    paper = "Kool, van Hoof and Welling, 2019"

    def __post_init__(self) -> None:
        _validate.choice(self.baseline, "baseline", (True, False))
        _validate.choice(self.normalized, "normalized", (True, False))

    def complete(self, distribution: Discrete, cells: int, first: First) -> Outcomes:
        """Return all `Outcomes`, given the first; one more outcome is searched, for its `last`."""
        count = first.num_samples
        return search(distribution, cells, count, first.key, who=self.name, spare=1)

    def law(self, cell: Categorical, num_samples: int) -> tuple[Outcomes, FloatArray] | None:
        """Return all `Outcomes` of one cell and their weights, or None where there are too many."""
        infinite = self.baseline and not self.normalized and num_samples < 4
        law = None if infinite else sets(cell, num_samples)
        return law and thresholds(law)

    def weights(self, outcomes: Outcomes) -> FloatArray:
        """Return p(z) / q(z), divided by their sum if they are to be normalized."""
        plain = dataclasses.replace(self, baseline=False, normalized=False)
        ones = np.ones(outcomes.log_p.shape)
        _, found = plain._by_inclusion(outcomes, ones, ones)
        return found / found.sum(axis=0) if self.normalized else found

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of the one pair (draws, (outcomes, values))."""
        ((_, (outcomes, values)),) = blocks
        mean, coefficients = self._by_inclusion(outcomes, values.value, values.signal)
        grad = weighted.scores(distribution, outcomes.z, coefficients)
        return weighted.estimate_of(values, mean, grad, state)

    def _by_inclusion(
        self, outcomes: Outcomes, value: FloatArray, signal: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return the mean of f (M,), and the coefficients of signals (S, n).

        They are p(z) / q(z) times (the signal less its baseline).
        """
        f, x = weighted.flat(value), weighted.flat(signal)
        thresholds: Any = outcomes.last
        log_p, last = weighted.flat(outcomes.log_p), weighted.flat(thresholds[None])
        mean, coefficients = np.empty(log_p.shape[1]), np.empty(x.shape)
        if log_p.size:
            how = self.baseline, self.normalized
            _kernels.by_inclusion(log_p, last[0], x, f, how, mean, coefficients)
        return mean, coefficients
