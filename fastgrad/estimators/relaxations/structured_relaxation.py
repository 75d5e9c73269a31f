"""Relaxed structures: the gradient of f there, carried back by the distribution's own product."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.structured.base import Structured
from fastgrad.estimators.base import Estimate, Estimator, estimate
from fastgrad.estimators.sums import Mean
from fastgrad.objectives import Objective
from fastgrad.random import Key

__all__ = ["StructuredRelaxation"]


class Relaxed(NamedTuple):
    """Relaxed samples (S, *feature_shape), and what draws their noise again."""

    x: FloatArray
    key: Key
    offset: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class StructuredRelaxation(Estimator):
    """The form of `gumbel_softmax` for structures: sets, orders, matchings and counts.

    What is relaxed, and how, is the distribution's: see its method `gumbel_softmax`. The gradients
    of f at all samples are kept until the last of them, and multiplied with the Jacobian at once.

    Parameters
    ----------
    temperature : float
        Temperature of the relaxation, above 0.
    """

    temperature: float = 1.0

    name = "gumbel_softmax"
    unbiased = False
    needs: ClassVar[tuple[str, ...]] = ("f", "grad")
    asks: ClassVar[tuple[str, ...]] = ("relaxation",)
    paper = (
        "of subsets: Xie and Ermon, 2019; of matchings: Mena et al., 2018; of orders: Prillo, 2020"
    )

    def draw(
        self,
        distribution: Structured,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Relaxed:
        """Draw relaxed samples."""
        options: dict[str, Any] = {"num_samples": num_samples, "sample_offset": offset}
        x = distribution.gumbel_softmax(temperature=self.temperature, rng=key, **options)
        return Relaxed(_validate.frozen(x), key, offset)

    def samples(self, distribution: Structured, draws: Relaxed) -> FloatArray:
        """Return the relaxed samples."""
        return draws.x

    def ask(
        self, objective: Objective, distribution: Structured, draws: Relaxed, *, offset: int = 0
    ) -> Any:
        """Evaluate f and its gradient at the relaxed samples."""
        values, gradient = objective.relaxed_and_gradient(distribution, draws.x, offset=offset)
        return values.value, gradient

    def combine(
        self,
        distribution: Structured,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (`Relaxed`, (values, gradients of f))."""
        value, gradients, first = Mean(), [], None
        for draws, (f_x, gradient) in blocks:
            value.add(f_x)
            first = draws if first is None else first
            gradients.append(np.array(gradient))  # f may return the same array again
        assert first is not None, "there is at least one block"
        options: dict[str, Any] = {"rng": first.key, "sample_offset": first.offset}
        total = distribution.gumbel_softmax_vjp(
            np.concatenate(gradients), temperature=self.temperature, **options
        )
        return estimate(value.result, total / value.count, state, value.count)
