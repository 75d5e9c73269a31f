"""Pools of controls that are made of listed outcomes, each a category."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

import numpy as np

from fastgrad.distributions.structured.base import Structured
from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.estimators.listed import Listed

__all__ = ["ListedPool"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ListedPool(Listed):
    """`Pooled` for listed outcomes: terms are carried back to the parameters, and then weighted.

    So the weights are those of least variance of the gradient that the user gets.
    """

    def alone(self) -> Estimator:
        """Return the form for one sample: REINFORCE itself, where it has no control."""
        inner = self.inner.alone()
        alike = isinstance(inner, type(self.inner))
        return dataclasses.replace(self, inner=inner) if alike else inner

    def terms(self, distribution: Structured, blocks: Iterable[tuple[Any, Any]]) -> Any:
        """Make the terms of one pair of draws and answers, and carry them back."""
        found = self.inner.terms(distribution.listed, blocks)  # pyright: ignore
        listed = found.rows.reshape(-1, *distribution.listed.logits.shape)
        rows = np.stack([distribution.listed_vjp(row).reshape(-1) for row in listed])
        return found._replace(rows=rows)

    def combine(
        self,
        distribution: Structured,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of one pair of draws and answers."""
        terms = self.terms(distribution, blocks)
        return self.inner.weigh(distribution, terms, state)  # pyright: ignore
