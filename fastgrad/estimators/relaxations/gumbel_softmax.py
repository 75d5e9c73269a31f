"""Gumbel-softmax: f is differentiated through a relaxed sample. Biased, with low variance."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Estimator, estimate
from fastgrad.estimators.examples_in_parts import mean_in_one_pass
from fastgrad.estimators.relaxations import logistic_nodes
from fastgrad.estimators.relaxations.structured_relaxation import StructuredRelaxation
from fastgrad.estimators.sums import Mean, SoftmaxProducts
from fastgrad.kernels.estimators.relaxations import gumbel_softmax_compiled as _kernels
from fastgrad.kernels.tiles import check as _check
from fastgrad.objectives import Objective
from fastgrad.objectives.compiled import Compiled
from fastgrad.random import Key

__all__ = ["GumbelSoftmax"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GumbelSoftmax(Estimator):
    """Gumbel-softmax: the gradient of f at relaxed samples, carried back through the softmax.

    Value and gradient are unbiased for the mean of f over relaxed samples. They are biased for the
    mean over discrete samples: a lower temperature has less bias, and more variance.

    Parameters
    ----------
    temperature : float
        Temperature of the softmax, above 0.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> gumbel_softmax = fg.estimator("gumbel_softmax", temperature=0.5)
    >>> gumbel_softmax(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    temperature: float = 1.0

    name = "gumbel_softmax"
    unbiased = False
    asks: ClassVar[tuple[str, ...]] = ("relaxation",)
    needs: ClassVar[tuple[str, ...]] = ("f", "grad")
    paper = "Jang, Gu and Poole, 2017; Maddison, Mnih and Teh, 2017"

    def __post_init__(self) -> None:
        _validate.temperature(self.temperature)

    def for_distribution(self, distribution: Discrete) -> Estimator:
        """Return the form for structures where the distribution is one of them."""
        one_hot = distribution.one_hot
        return self if one_hot else StructuredRelaxation(temperature=self.temperature)

    @property
    def slope(self) -> float:
        """Factor of the Jacobian of the relaxed samples."""
        return 1 / self.temperature

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return quadrature nodes for one or two relaxed samples of two outcomes each."""
        odds = logistic_nodes.log_odds(distribution)
        if odds is None:
            return None
        found = logistic_nodes.nodes(distribution, num_samples, [odds], self.temperature)
        if found is None:
            return None
        noise, weights = found
        return logistic_nodes.features(distribution, (odds + noise) / self.temperature), weights

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Any:
        """Draw relaxed samples, shape (S, *logits.shape)."""
        x = distribution.gumbel_softmax(
            temperature=self.temperature,
            num_samples=num_samples,
            rng=key,
            sample_offset=offset,
        )
        return _validate.frozen(x)

    def samples(self, distribution: Discrete, draws: Any) -> FloatArray:
        """Return the relaxed samples."""
        return draws

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f and its gradient at the relaxed samples."""
        values, gradient = objective.relaxed_and_gradient(distribution, draws, offset=offset)
        return values.value, gradient

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (relaxed samples, (values, gradients of f))."""
        value, products = Mean(), SoftmaxProducts(distribution)
        for x, (f_x, gradient) in blocks:
            value.add(f_x)
            products.add(x, gradient, self.slope)
        grad = products.total / value.count
        return estimate(value.result, grad, state, value.count)

    def in_one_pass(
        self,
        compiled: Compiled,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        state: dict[str, Any] | None,
    ) -> Estimate | None:
        """Draw, ask and combine at once."""
        d, out = distribution, np.empty_like(distribution.rows)
        scales = np.array([_validate.scale(out.dtype, self.temperature), self.slope], out.dtype)
        kernel = _kernels.sites if d.single_logit else _kernels.categories
        given = compiled, d, d.rows, d.place(key, 0), num_samples
        value = mean_in_one_pass(kernel, *given, scales, out, relaxed=True)
        if value is None or _check.worst(out.reshape(-1)) != _check.FINE:
            return None
        out /= num_samples
        return Estimate(value, out.reshape(d.logits.shape), state, num_samples)
