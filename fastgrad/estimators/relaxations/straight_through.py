"""Straight-through estimators: the gradient of f at outcomes, carried back as if through a softmax.

They are biased, with low variance. f is evaluated at one-hot samples D only, and w is its gradient
there. J(p) = diag(p) - p p^T is the Jacobian of a softmax; for a single logit, p (1 - p).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

from fastgrad import _validate
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, estimate
from fastgrad.estimators.relaxations import jacobians
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.sums import Mean
from fastgrad.objectives import Objective

__all__ = ["GappedST", "ReinMax", "StraightThrough"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GradientAtOutcomes(ScoreFunction):
    """Base class: draws outcomes, and evaluates f and its gradient there."""

    unbiased = False
    needs: ClassVar[tuple[str, ...]] = ("f", "grad")

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f and its gradient at the outcomes' features."""
        x = _validate.frozen(distribution.features(draws))
        values, gradient = objective.relaxed_and_gradient(distribution, x, offset=offset)
        return values.value, gradient

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
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
        return estimate(value.result, grad, state, value.count)

    def terms(self, distribution: Discrete) -> list[jacobians.Jacobian]:
        """Return the sums of products with Jacobians, whose total is the estimate."""
        raise NotImplementedError


@dataclasses.dataclass(frozen=True, kw_only=True)
class AtOutcomes(GradientAtOutcomes):
    """Base class of those with a temperature."""

    temperature: float = 1.0

    def __post_init__(self) -> None:
        _validate.temperature(self.temperature)


@dataclasses.dataclass(frozen=True, kw_only=True)
class StraightThrough(AtOutcomes):
    """The straight-through estimator: J(softmax(logits / temperature)) w / temperature.

    It is exact at temperature 1 where f is linear in each variable. Of other distributions it
    takes the Jacobian of the mean of the features: for `fastgrad.subset.KSubset` it is the
    estimator SIMPLE.

    Parameters
    ----------
    temperature : float
        Temperature of the backward pass, above 0. The outcome does not depend on it.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.linear([1.0, 2.0, 3.0])
    >>> straight_through = fg.estimator("straight_through")
    >>> straight_through(f, np.zeros(3), num_samples=1, rng=0).grad.round(6)
    array([-0.333333,  0.      ,  0.333333])
    """

    name = "straight_through"
    asks: ClassVar[tuple[str, ...]] = ("mean",)
    paper = "Bengio, Léonard and Courville, 2013; of subsets: Ahmed et al., 'SIMPLE', 2023"

    def terms(self, distribution: Discrete) -> list[jacobians.Jacobian]:
        """Return the one sum."""
        return [jacobians.of_mean(distribution, self.temperature)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ReinMax(AtOutcomes):
    """ReinMax: (2 J((softmax(logits / temperature) + D) / 2) - J(softmax(logits)) / 2) w.

    It is of second order: at temperature 1, it is unbiased where f is quadratic in each variable.

    Parameters
    ----------
    temperature : float
        Temperature of the first term, above 0; the authors recommend 1 or more.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> fg.estimator("reinmax")(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    name = "reinmax"
    paper = "Liu, Dong, Liu, Yu and Gao, 'Bridging discrete and backpropagation', 2023"

    def terms(self, distribution: Discrete) -> list[jacobians.Jacobian]:
        """Return the one sum."""
        return [jacobians.Heun(distribution, self.temperature)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GappedST(AtOutcomes):
    """The gapped straight-through estimator (GST): J(y) w / temperature.

    ``y = softmax(logits / temperature)`` of changed logits, for which D is the argmax: the logit of
    the outcome is raised to the largest, and all others are lowered to at least `gap` below it. So
    y agrees with the outcome, as in `st_gumbel`, but without noise.

    Parameters
    ----------
    temperature : float
        Temperature of the backward pass, above 0.
    gap : float
        Least distance of the outcome's logit from all others, above 0.

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

    def __post_init__(self) -> None:
        super().__post_init__()
        _validate.positive(self.gap, "gap")

    def terms(self, distribution: Discrete) -> list[jacobians.Jacobian]:
        """Return the one sum."""
        return [jacobians.Gapped(distribution, self.temperature, self.gap)]
