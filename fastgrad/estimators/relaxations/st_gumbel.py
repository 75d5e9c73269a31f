"""Straight-through Gumbel-softmax: f at the outcome, its gradient through the relaxed sample.

Outcome and relaxed sample are made of the same Gumbel noise.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate
from fastgrad.estimators.relaxations import logistic_nodes
from fastgrad.estimators.relaxations.gumbel_softmax import GumbelSoftmax
from fastgrad.estimators.relaxations.jacobians import tempered
from fastgrad.kernels.estimators.relaxations import st_gumbel as _kernels
from fastgrad.objectives import Objective
from fastgrad.random import Key

__all__ = ["DecoupledSTGumbel", "STGumbel"]


class Pair(NamedTuple):
    """Features x of the outcomes, and the relaxed samples y, both (S, *logits.shape)."""

    x: FloatArray
    y: FloatArray


@dataclasses.dataclass(frozen=True, kw_only=True)
class STGumbel(GumbelSoftmax):
    """Straight-through Gumbel-softmax.

    With Gumbel noise G, the outcome D is the one-hot argmax of logits + G. The gradient of f at D
    is carried back through the relaxed sample ``y = softmax((logits + G) / temperature)``.

    Parameters
    ----------
    temperature : float
        Temperature of the backward pass, above 0. The outcome does not depend on it.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> st_gumbel = fg.estimator("st_gumbel", temperature=0.5)
    >>> st_gumbel(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    name = "st_gumbel"
    asks: ClassVar[tuple[str, ...]] = ("one_hot",)
    paper = "Jang, Gu and Poole, 'Categorical reparameterization with Gumbel-softmax', 2017"

    def perturbed(self, distribution: Discrete) -> tuple[Discrete, Discrete, float]:
        """Return the distributions whose perturbed logits give D and y, and y's temperature."""
        return distribution, distribution, self.temperature

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return quadrature nodes for the noise of one or two variables of two outcomes each."""
        *both, temperature = self.perturbed(distribution)
        hard, soft = (logistic_nodes.log_odds(d) for d in both)
        if hard is None or soft is None:
            return None
        found = logistic_nodes.nodes(distribution, num_samples, [hard, soft], temperature)
        if found is None:
            return None
        noise, weights = found
        hard = np.where(hard + noise > 0, np.inf, -np.inf)
        soft = (soft + noise) / temperature
        return Pair(*(logistic_nodes.features(distribution, v) for v in (hard, soft))), weights

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Pair:
        """Draw outcomes and relaxed samples."""
        forward, backward, temperature = self.perturbed(distribution)
        logits, rows = distribution.logits, distribution.row_shape
        pair = np.empty((2, num_samples, *logits.shape), logits.dtype)
        kernel = _kernels.draw_sites if distribution.single_logit else _kernels.draw
        kernel(
            *(d.logits.reshape(rows) for d in (forward, backward)),
            forward is backward,
            _validate.scale(logits.dtype, temperature),
            distribution.place(key, offset),
            *pair.reshape(2, num_samples, *rows),
        )
        x, y = _validate.frozen(pair)
        return Pair(x, y)

    def samples(self, distribution: Discrete, draws: Pair) -> FloatArray:
        """Return the features of the outcomes."""
        return draws.x

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f and its gradient at the outcomes."""
        return super().ask(objective, distribution, draws.x, offset=offset)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (draws, (values, gradients of f))."""
        relaxed = ((draws.y, answers) for draws, answers in blocks)
        return super().combine(distribution, relaxed, state)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoupledSTGumbel(STGumbel):
    """Decoupled ST-Gumbel-softmax: `st_gumbel` with different temperatures forward and backward.

    The outcome D is the one-hot argmax of logits / temperature + G, and ``y = softmax(logits /
    backward_temperature + G)``. So with a temperature other than 1, outcomes are drawn from another
    distribution, that of logits / temperature, and the value estimates the mean of f over that.
    (The argmax of (logits + G) / temperature would not depend on the temperature.)

    Parameters
    ----------
    temperature : float
        Temperature of the forward pass, above 0. A lower one makes outcomes less random.
    backward_temperature : float
        Temperature of the backward pass, from 2**-60 to 2**60. A higher one makes the gradient more
        even over the categories.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> decoupled = fg.estimator("decoupled_st_gumbel", temperature=0.5, backward_temperature=2.0)
    >>> decoupled(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    backward_temperature: float = 1.0

    name = "decoupled_st_gumbel"
    paper = "Shah, Yan, Mozer and Liu, 'Decoupled straight-through Gumbel-softmax', 2024"

    def __post_init__(self) -> None:
        super().__post_init__()
        name, value = "backward_temperature", self.backward_temperature
        _validate.number(_validate.positive(value, name), name, 2.0**-60, 2.0**60)

    @property
    def slope(self) -> float:
        """Factor of the Jacobian of y."""
        return 1 / self.backward_temperature

    def perturbed(self, distribution: Discrete) -> tuple[Discrete, Discrete, float]:
        """Return the distributions whose perturbed logits give D and y, and y's temperature."""
        forward = tempered(distribution, self.temperature)
        return forward, tempered(distribution, self.backward_temperature), 1.0
