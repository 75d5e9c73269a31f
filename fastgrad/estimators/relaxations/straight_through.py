"""Straight-through estimators: the gradient of f at outcomes, carried back as if through a softmax.

Biased, of low variance; f is evaluated where it is defined, at one-hot samples D. J(p) = diag(p) -
p p^T is the Jacobian of a softmax, p (1 - p) for a single logit; w is the gradient of f at D.
"""

from __future__ import annotations

import dataclasses

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimate, read_only
from fastgrad.estimators.relaxations import jacobians
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.sums import Mean

__all__ = ["GappedST", "ReinMax", "StraightThrough"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class AtOutcomes(ScoreFunction):
    """Draws outcomes and asks for f and its gradient there: half of every such estimator."""

    temperature: float = 1.0

    unbiased = False
    needs = ("f", "grad")

    def __post_init__(self):
        _validate.temperature(self.temperature)

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f and its gradient at the outcomes' features."""
        x = read_only(discrete.features(distribution, draws))
        values = objective.relaxed(distribution, x, offset=offset)
        return values.value, objective.gradient(x, offset=offset)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (draws, (values, gradients of f))."""
        value, terms = Mean(), self.terms(distribution)
        for draws, (f_z, gradient) in blocks:
            value.add(f_z)
            for term in terms:
                term.add(draws, gradient)
        grad, *others = (term.total for term in terms)
        for other in others:
            grad += other
        grad /= value.count
        return Estimate(value.result.astype(grad.dtype), grad, state, value.count)

    def terms(self, distribution):
        """Return sums of products with Jacobians, which add up to the estimate."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class StraightThrough(AtOutcomes):
    """The straight-through estimator: J(softmax(logits / temperature)) w / temperature.

    Exact where f is linear in each variable. The temperature is that of the backward pass only.

    Parameters
    ----------
    temperature : float
        Above 0.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.linear([1.0, 2.0, 3.0])
    >>> straight_through = fg.estimator("straight_through")
    >>> straight_through(f, np.zeros(3), num_samples=1, rng=0).grad.round(6)
    array([-0.333333,  0.      ,  0.333333])
    """

    name = "straight_through"
    paper = "Bengio, Léonard and Courville, 'Estimating or propagating gradients', 2013"

    def terms(self, distribution):
        """Return the one sum."""
        return [jacobians.Straight(distribution, self.temperature)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinMax(AtOutcomes):
    """ReinMax: (2 J((softmax(logits / temperature) + D) / 2) - J(softmax(logits)) / 2) w.

    Of second order: at temperature 1, unbiased where f is quadratic in each variable.

    Parameters
    ----------
    temperature : float
        Above 0; its authors advise 1 or more.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> fg.estimator("reinmax")(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    name = "reinmax"
    paper = "Liu, Dong, Liu, Yu and Gao, 'Bridging discrete and backpropagation', 2023"

    def terms(self, distribution):
        """Return the one sum."""
        return [jacobians.Heun(distribution, self.temperature)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GappedST(AtOutcomes):
    """The gapped straight-through estimator (GST): J(y) w / temperature.

    In y = softmax(logits / temperature) the outcome's logit is raised to the largest, and all
    others are lowered to at least `gap` below it: consistent with D, as if perturbed, but without
    noise.

    Parameters
    ----------
    temperature : float
        Above 0.
    gap : float
        Above 0.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> fg.estimator("gapped_st", gap=0.5)(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    gap: float = 1.0

    name = "gapped_st"
    paper = "Fan, Chi, Rudnicky and Ramadge, 'Training discrete deep generative models', 2022"

    def __post_init__(self):
        super().__post_init__()
        _validate.positive(self.gap, "gap")

    def terms(self, distribution):
        """Return the one sum."""
        return [jacobians.Gapped(distribution, self.temperature, self.gap)]
