"""The exact gradient, by enumeration of all outcomes."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate, exact
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Estimator, Reduction, estimate
from fastgrad.objectives import Objective
from fastgrad.random import Key

__all__ = ["Enumerate"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Enumerate(Estimator):
    """The exact gradient, from the values of f at all joint outcomes of the variables.

    Nothing is sampled: the number of samples and the key have no influence. Where f has one value
    for each example, the examples are enumerated side by side. An objective with an `expectation`
    is asked for that instead. See `fastgrad.exact`.

    Parameters
    ----------
    budget : int
        The largest number of joint outcomes to enumerate.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> estimate = fg.estimator("enumerate")(lambda x: x[:, 0], np.zeros(3), num_samples=1, rng=0)
    >>> estimate.grad.round(3), estimate.evaluations
    (array([ 0.222, -0.111, -0.111]), 4)
    """

    budget: int = 2**20

    name = "enumerate"
    asks: ClassVar[tuple[str, ...]] = ("outcomes", "score")
    unbiased = True
    evaluations = "1 + all outcomes"
    paper = "the definition of the mean"
    reduction: ClassVar[Reduction] = "weighted"
    probes = 1

    def __post_init__(self) -> None:
        _validate.integer(self.budget, "budget", 1)

    def group(self, num_samples: int) -> int:
        """Return the number of samples: there is one estimate, whatever it is."""
        return num_samples

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return the only draw there is, None, with weight 1."""
        return None, np.ones(1)

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> None:
        """Draw nothing."""

    def samples(self, distribution: Discrete, draws: None) -> FloatArray:
        """Refuse: there are no samples."""
        raise TypeError(f"{self.name} draws no samples")

    def weighed(
        self, distribution: Discrete, draws: None, answers: Any
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return the features of all outcomes, and their probabilities."""
        d = distribution.with_logits(distribution.logits.astype(np.float64))
        shape = np.shape(answers[0])
        found = list(exact.all_outcomes(d, math.prod(shape), self.budget))
        z, weights = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return distribution.features(z), weights.reshape(len(z), *shape)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Return the mean of f, its gradient, and how many evaluations they took."""
        points = []

        def counting(part: Any) -> Any:
            def ask(x: Any) -> Any:
                points.append(len(x))
                return part(x if objective.writable else _validate.frozen(x))

            return ask

        parts = {name: getattr(objective, name) for name in ("f", "index")}
        counted = {name: part and counting(part) for name, part in parts.items()}
        objective = dataclasses.replace(objective, **counted)
        return *exact.value_and_grad(objective, distribution, budget=self.budget), sum(points)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of the one pair (None, (value, gradient, evaluations))."""
        ((_, (value, grad, evaluations)),) = blocks
        dtype = distribution.logits.dtype
        value, grad = (
            _validate.finite(_validate.narrowed(x, dtype), f"{name} in {dtype}")
            for name, x in (("the mean of f", value), ("its gradient", grad))
        )
        return estimate(value[()], grad.copy(), state, evaluations)
