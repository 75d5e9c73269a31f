"""A user's f of tensors as an objective of arrays, whose evaluations keep their graphs.

Estimators ask for values and gradients at points that are arrays. Each point set is evaluated once;
its gradient by the points comes from torch, and the values at the samples drawn keep their graph,
through which f's own parameters get theirs.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators import Estimator
from fastgrad.objectives.objective import Objective, unchecked
from fastgrad.torch.tensors import REALS, real
from fastgrad.torch.transforms import Mapped, active, array_of, tensor_of


@contextlib.contextmanager
def _recorded() -> Iterator[None]:
    """Let torch record what is done in the block, whatever the mode around it."""
    inside = torch.is_inference_mode_enabled()  # to leave it takes long
    with torch.inference_mode(False) if inside else contextlib.nullcontext(), torch.enable_grad():
        yield


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
    levels : Mapped
        How the logits are mapped by `torch.func.vmap`, and so the samples that f is given.

    """

    f: Callable[[Tensor], Any]
    distribution: Discrete
    dtype: torch.dtype
    index: bool
    who: str
    gradients: bool
    levels: Mapped

    def __init__(
        self,
        f: Callable[[Tensor], Any],
        distribution: Discrete,
        dtype: torch.dtype,
        *,
        index: bool,
        estimator: Estimator,
        levels: Mapped,
    ) -> None:
        self.f, self.distribution, self.dtype, self.index = f, distribution, dtype, index
        self.who, self.gradients = estimator.name, "grad" in estimator.needs
        self.levels = levels
        self.at_outcomes: list[tuple[Any, Tensor]] = []  # outcomes z, and values with their graph
        # Arrays, values, and what returns the gradient. Nothing that is kept refers to this object:
        # such cycles would hold arrays and graphs until the collector comes.
        self.at_features: list[tuple[Any, Tensor, Callable[[Evaluations], Any]]] = []

    @property
    def objective(self) -> Objective:
        """What the estimator is given."""
        if self.index:
            return unchecked(index=self.value_at_outcomes)
        parts = {"index": self.value_at_outcomes, "value_and_grad": self.value_and_gradient}
        return unchecked(f=self.value, grad=self.gradient, **parts)

    @property
    def samples(self) -> Tensor:
        """The values that the estimate's own is the mean of, in order, with their graph."""
        values = self._values()
        return torch.cat(values) if len(values) > 1 else values[0]

    @property
    def differentiable(self) -> bool:
        """Whether these values have a graph."""
        return any(value.requires_grad for value in self._values())

    def _values(self) -> list[Tensor]:
        return [each[1] for each in self.at_outcomes or self.at_features]

    def value_at_outcomes(self, z: Any) -> Any:
        """Evaluate f at outcomes z, shape (S, *batch)."""
        if self.index:
            x = self.levels.wrap(tensor_of(z.astype(np.int64)), 1)
        else:
            features = np.require(self.distribution.features(z), requirements="W")
            x = self._features(features).to(self.dtype)
        value, credit = self._ask(x)
        self.at_outcomes.append((z, value))
        return self._arrays(value, credit)

    def value(self, x: Any) -> Any:
        """Evaluate f at features x, (S, *logits.shape)."""
        value, credit, gradient = self._evaluate(x)
        self.at_features.append((x, value, gradient))
        return self._arrays(value, credit)

    def value_and_gradient(self, x: Any) -> Any:
        """Evaluate f and its gradient at features x."""
        return self.value(x), self.gradient(x)

    def gradient(self, x: Any) -> Any:
        """Evaluate the gradient of the sum of f's values by features x."""
        if not any(each[0] is x for each in self.at_features):
            self.value(x)
        return next(each[2] for each in reversed(self.at_features) if each[0] is x)(self)

    def _evaluate(self, x: Any) -> tuple[Tensor, Tensor | None, Callable[[Evaluations], Any]]:
        """Return value and credit at features, and what returns the gradient by them."""
        x = x.copy()  # the array is the estimator's, and read-only
        if not self.gradients:
            return *self._ask(self._features(x).to(self.dtype)), lambda given: None
        if active():
            return self._transformed(self._features(x))
        with _recorded():
            leaf = self._features(x).requires_grad_()
            value, credit = self._ask(leaf.to(self.dtype))

        def gradient(given: Evaluations) -> Any:
            given._require(value.requires_grad)
            # Values at samples keep their graph for f's parameters; others are not needed again.
            keep, ones = not given.at_outcomes, torch.ones_like(value)
            (found,) = torch.autograd.grad(value, leaf, ones, retain_graph=keep, allow_unused=True)
            return np.zeros_like(x) if found is None else found.numpy(force=True)

        return value, credit, gradient

    def _transformed(
        self, leaf: Tensor
    ) -> tuple[Tensor, Tensor | None, Callable[[Evaluations], Any]]:
        """Do the same inside transforms of `torch.func`, by one of them."""
        depends = []

        def ask(leaf: Tensor) -> Any:
            value, credit = self._ask(leaf.to(self.dtype))
            depends.append(value.requires_grad)
            return value, () if credit is None else (credit,)

        found: Any = torch.func.vjp(ask, leaf, has_aux=True)
        value, back, others = found

        def gradient(given: Evaluations) -> Any:
            given._require(depends[0])
            (slope,) = back(torch.ones_like(value))
            return given._array(slope)

        return value, others[0] if others else None, gradient

    def _features(self, x: Any) -> Tensor:
        return self.levels.wrap(tensor_of(x), 1)

    def _ask(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        answer = self.f(x)
        if isinstance(answer, tuple) and len(answer) == 2:
            return self._real(answer[0], "the value of f"), self._real(answer[1], "credit")
        return self._real(answer, "the value of f"), None

    def _real(self, x: Any, name: str) -> Tensor:
        """Return numbers as `real` does, counts and truths as well."""
        if isinstance(x, Tensor) and not (x.is_floating_point() or x.is_complex()):
            x = x.to(self.dtype if self.dtype in REALS else torch.float32)
        return real(x, name)

    def _require(self, differentiable: bool) -> None:
        if not differentiable:
            raise ValueError(
                f"f must be differentiable by the samples for {self.who}: its value does not "
                "depend on them by functions of torch that have a gradient"
            )

    def _array(self, x: Tensor) -> Any:
        return array_of(self.levels.unwrap(x, 1, "f") if active() else x)

    def _arrays(self, value: Tensor, credit: Tensor | None) -> Any:
        """Return what f returned as arrays."""
        found = self._array(value)
        return found if credit is None else (found, self._array(credit))
