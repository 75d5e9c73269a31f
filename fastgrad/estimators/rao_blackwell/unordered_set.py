"""Estimators from samples without replacement: no outcome is asked for twice."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate
from fastgrad.estimators.rao_blackwell import weighted
from fastgrad.estimators.rao_blackwell.distinct import Distinct, search
from fastgrad.estimators.rao_blackwell.distinct_nodes import sets, thresholds, weigh

__all__ = ["ImportanceWeighted", "UnorderedSet"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class UnorderedSet(Distinct):
    """A set of S distinct outcomes, averaged over all the orders in which it may have been drawn.

    The estimate is the sum over the set of ``p(z) R(S, z) (f(z) - b(z)) score(z)``; R(S, z) is the
    probability of the set given that z comes first, over that of the set. The built-in baseline
    b(z) is what the others say of E[f] if z is known: the estimate is the mean of leave-one-out
    ones over all orders. With all outcomes in the set it is exact. With credit, f and b are each
    variable's own.

    Parameters
    ----------
    baseline : bool
        Without it, one sample is enough.

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
    min_samples = 2
    paper = "Kool, van Hoof and Welling, 2020"

    def __post_init__(self):
        _validate.choice(self.baseline, "baseline", (True, False))
        if not self.baseline:
            object.__setattr__(self, "min_samples", 1)

    def law(self, cell, num_samples):
        """Return all `Outcomes` of one cell, and their weights."""
        return sets(cell, num_samples)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of the one pair (draws, (outcomes, values))."""
        ((_, (outcomes, values)),) = blocks
        f, x = weighted.flat(values.value), weighted.flat(values.signal)
        signal = x if self.baseline else x[:, :0]
        _, weights, coefficients = weigh(outcomes.log_p, outcomes.rest, signal)
        if self.baseline:  # differences between outcomes: no sum to multiply the softmax by
            grad = weighted.scores(distribution, outcomes.z, coefficients, centred=True)
        else:
            grad = weighted.scores(distribution, outcomes.z, weighted.spread(weights, x) * x)
        return weighted.estimate_of(distribution, values, weighted.mean(weights, f), grad, state)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImportanceWeighted(Distinct):
    """A set of S distinct outcomes, each divided by its probability of being among them.

    Given the perturbed log probability of the next outcome, k, that is ``q(z) = 1 - exp(-exp(log
    p(z) - k))`` for each apart, as in priority sampling. The estimate is the sum over the set of
    ``p(z) / q(z) (f(z) - b(z)) score(z)``, b(z) that of E[f] with q(z) = 1. With credit, f and b
    are each variable's own. Its variance is finite from S = 4 on, without a baseline from 2.

    Parameters
    ----------
    baseline : bool
    normalized : bool
        Divide weights by their sum: biased, and of far lower variance.

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
    unbiased = True
    min_samples = 2
    paper = "Kool, van Hoof and Welling, 2019"

    def __post_init__(self):
        _validate.choice(self.baseline, "baseline", (True, False))
        _validate.choice(self.normalized, "normalized", (True, False))
        if self.normalized:
            object.__setattr__(self, "unbiased", False)

    def complete(self, distribution, cells, first):
        """Return all `Outcomes`, given the first; one more is drawn, for its `last`."""
        count = first.num_samples
        return search(distribution, cells, count, first.key, who=self.name, spare=1)

    def law(self, cell, num_samples):
        """Return all `Outcomes` of one cell, and their weights."""
        infinite = self.baseline and not self.normalized and num_samples < 4
        law = None if infinite else sets(cell, num_samples)
        return law and thresholds(law)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of the one pair (draws, (outcomes, values))."""
        ((_, (outcomes, values)),) = blocks
        f, x = weighted.flat(values.value), weighted.flat(values.signal)
        p, y = np.exp(outcomes.log_p), np.exp(np.minimum(outcomes.log_p - outcomes.last, 40.0))
        share = np.where(y > 1e-8, -np.expm1(-y) / np.maximum(y, 1e-8), 1 - y / 2)
        weights = np.where(y < 40.0, np.exp(outcomes.last) / share, p)  # p / q
        total, own, w = weights.sum(axis=0), weighted.spread(p, x), weighted.spread(weights, x)
        mean, b = (weights * f).sum(axis=0), 0.0
        if self.baseline:
            b = weighted.others(w * x) + own * x
        if self.normalized:
            mean, own = mean / total, weighted.others(w) + own
            b, w = (w * x).sum(axis=0) / w.sum(axis=0) if self.baseline else 0.0, w / own
        grad = weighted.scores(distribution, outcomes.z, w * (x - b))
        return weighted.estimate_of(distribution, values, mean, grad, state)
