"""A user's f of tensors as an objective of arrays, whose evaluations keep their graphs.

Estimators ask for values and gradients at points that are arrays. Each point set is evaluated once;
its gradient by the points comes from torch, and the values at the samples drawn keep their graph,
through which f's own parameters get theirs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators import Estimator
from fastgrad.objectives import Objective
from fastgrad.torch.tensors import real


class Evaluations:
    """Evaluations of f in the course of one estimate.

    Parameters
    ----------
    f : callable
        The user's function of tensors.
    distribution : Discrete
        Whose outcomes the samples are.
    dtype : torch.dtype
        Type of the features that f is given.
    index : bool
        Whether f takes indices rather than features.
    estimator : Estimator

    Attributes
    ----------
    objective : Objective
        What the estimator is given.
    """

    f: Callable[[Tensor], Any]
    distribution: Discrete
    dtype: torch.dtype
    index: bool
    who: str
    gradients: bool
    objective: Objective

    def __init__(
        self,
        f: Callable[[Tensor], Any],
        distribution: Discrete,
        dtype: torch.dtype,
        *,
        index: bool,
        estimator: Estimator,
    ) -> None:
        self.f, self.distribution, self.dtype, self.index = f, distribution, dtype, index
        self.who, self.gradients = estimator.name, "grad" in estimator.needs
        self.at_outcomes: list[tuple[Any, Tensor]] = []  # outcomes z, and values with their graph
        self.at_features: list[tuple[Any, Tensor, Tensor]] = []  # arrays, leaves and values
        if index:
            self.objective = Objective(index=self.value_at_outcomes)
        else:
            parts = {"index": self.value_at_outcomes, "value_and_grad": self.value_and_gradient}
            self.objective = Objective(self.value, self.gradient, **parts)

    @property
    def samples(self) -> Tensor:
        """The values that the estimate's own is the mean of, in order, with their graph."""
        found = self.at_outcomes or [each[1:] for each in self.at_features]
        return torch.cat([value for _, value in found])

    def value_at_outcomes(self, z: Any) -> Any:
        """Evaluate f at outcomes z, shape (S, *batch)."""
        if self.index:
            x = torch.from_numpy(z.astype(np.int64))
        else:
            x = torch.from_numpy(self.distribution.features(z)).to(self.dtype)
        value, credit = self._ask(x)
        self.at_outcomes.append((z, value))
        return _arrays(value, credit)

    def value(self, x: Any) -> Any:
        """Evaluate f at features x, (S, *logits.shape)."""
        return _arrays(*self._evaluate(x)[2:])

    def value_and_gradient(self, x: Any) -> Any:
        """Evaluate f and its gradient at features x."""
        return self.value(x), self.gradient(x)

    def gradient(self, x: Any) -> Any:
        """Evaluate the gradient of the sum of f's values by features x."""
        known = [each[1:] for each in self.at_features if each[0] is x]
        leaf, value = known[-1] if known else self._evaluate(x)[1:3]
        if not value.requires_grad:
            raise ValueError(
                f"f must be differentiable by the samples for {self.who}: its value does not "
                "depend on them by functions of torch that have a gradient"
            )
        # Values at samples keep their graph for f's parameters; others are not needed again.
        keep = not self.at_outcomes
        ones = torch.ones_like(value)
        (found,) = torch.autograd.grad(value, leaf, ones, retain_graph=keep, allow_unused=True)
        return np.zeros_like(x) if found is None else found.numpy(force=True)

    def _evaluate(self, x: Any) -> tuple[Any, Tensor, Tensor, Tensor | None]:
        leaf = torch.from_numpy(x.copy())  # the array is the estimator's, and read-only
        if not self.gradients:
            value, credit = self._ask(leaf.to(self.dtype))
        else:
            with torch.enable_grad():
                value, credit = self._ask(leaf.requires_grad_().to(self.dtype))
        self.at_features.append((x, leaf, value))
        return x, leaf, value, credit

    def _ask(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        answer = self.f(x)
        if isinstance(answer, tuple) and len(answer) == 2:
            return real(answer[0], "the value of f"), real(answer[1], "credit")
        return real(answer, "the value of f"), None


def _arrays(value: Tensor, credit: Tensor | None) -> Any:
    """Return what f returned as arrays."""
    found = value.numpy(force=True)
    return found if credit is None else (found, credit.numpy(force=True))
