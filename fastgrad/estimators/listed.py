"""Estimators of categoricals for any distribution whose outcomes can be listed.

The outcomes of a variable are the categories of a categorical whose logits are their log
probabilities. The gradient by these, carried back through the log probabilities, is that by the
parameters: the sum over outcomes of the gradient by the logit times the score.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.structured.base import Structured
from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.estimators.sums import last_joined
from fastgrad.objectives import Objective
from fastgrad.random import Key

__all__ = ["Listed"]

FACTS = ("name", "unbiased", "needs", "evaluations", "min_samples", "pools", "paper", "reduction")
FACTS += ("probes",)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Listed(Estimator):
    """The form of an estimator of categoricals for a distribution whose outcomes are listed.

    Parameters
    ----------
    inner : Estimator
        The estimator. Where it asks for gradients of f, these are at features of listed outcomes,
        or at means of these.
    """

    inner: Estimator

    asks = ("outcomes", "score")

    def __post_init__(self) -> None:
        for name in FACTS:
            object.__setattr__(self, name, getattr(self.inner, name))

    def group(self, num_samples: int) -> int:
        """Return how many consecutive samples depend on each other."""
        return self.inner.group(num_samples)

    def alone(self) -> Estimator:
        """Return the form of the estimator for one sample."""
        return dataclasses.replace(self, inner=self.inner.alone())

    def nodes(self, distribution: Structured, num_samples: int) -> Any:
        """Return all draws of a small problem with their weights, or None if there are too many."""
        return self.inner.nodes(distribution.listed, num_samples)

    def draw(
        self,
        distribution: Structured,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Any:
        """Draw numbers of outcomes."""
        listed = distribution.listed
        return self.inner.draw(listed, num_samples, key, offset=offset, state=state)

    def ask(
        self, objective: Objective, distribution: Structured, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at the outcomes that have these numbers."""

        def index(number: Any) -> Any:
            z = _validate.frozen(distribution.outcomes(number))
            values = objective.outcomes(distribution, z, offset=offset)
            return values.value if values.credit is None else tuple(values)

        parts: dict[str, Any] = {"index": index}
        if self.inner.needs:
            parts |= _of_mixtures(objective, distribution)
        by_number = Objective(**parts)
        return self.inner.ask(by_number, distribution.listed, draws, offset=offset)

    def weighed(
        self, distribution: Structured, draws: Any, answers: Any
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return the features of the outcomes, and the weights of f there."""
        x, weights = self.inner.weighed(distribution.listed, draws, answers)
        number = x.argmax(axis=-1).astype(np.int32)
        return distribution.features(distribution.outcomes(number)), weights

    def samples(self, distribution: Structured, draws: Any) -> FloatArray:
        """Return the features of the outcomes that are known."""
        number = self.inner.samples(distribution.listed, draws).argmax(axis=-1)
        return distribution.features(distribution.outcomes(number.astype(np.int32)))

    def combine(
        self,
        distribution: Structured,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate, and carry its gradient back to the parameters."""
        found = self.inner.combine(distribution.listed, blocks, state)
        return found._replace(grad=distribution.listed_vjp(found.grad))


def _of_mixtures(objective: Objective, distribution: Structured) -> dict[str, Any]:
    """Return f and its gradient as functions of weights of the listed outcomes, (S, *batch, T).

    They are taken where the features have that mean: at an outcome itself if it has all weight.
    """
    table = distribution.features(distribution.everything())  # (T, *batch, *inner)
    batch = len(distribution.batch_shape)
    inner = table.ndim - 1 - batch
    flat = last_joined(np.moveaxis(table, 0, batch), *table.shape[1 : 1 + batch], len(table))

    def features(weights: FloatArray) -> FloatArray:
        x = (weights[..., None, :] @ flat)[..., 0, :]
        return x.reshape(len(weights), *table.shape[1:])

    def f(weights: FloatArray) -> Any:
        return objective.part("f")(features(weights))

    def grad(weights: FloatArray) -> Any:
        x = features(weights)
        g = objective.gradient(_validate.frozen(x))
        g = last_joined(g, *g.shape[: g.ndim - inner])
        return (flat @ g[..., None])[..., 0]

    return {"f": objective.f and f, "grad": objective.grad and grad}
