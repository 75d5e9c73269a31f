"""RELAX: the score function with a learned function of a relaxed sample as control variate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, by_options, estimate
from fastgrad.estimators.relaxed_controls.adaptation import adam_step, cell_shape, recall
from fastgrad.estimators.relaxed_controls.network import CellNetworks, TanhNetwork
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control, RelaxedControl, quadrature
from fastgrad.estimators.relaxed_controls.structured_controls import controlled_scores
from fastgrad.estimators.sums import Mean

__all__ = ["RELAX"]

METHODS = "initial", "value_and_gradient", "add_parameter_gradient"
DECAY = 0.99  # of the running size of f
DEFAULT_NETWORK = TanhNetwork()


@dataclasses.dataclass(frozen=True, kw_only=True)
class RELAX(RelaxedControl):
    """RELAX: REINFORCE with a learned function of the relaxed sample as control variate.

    Let z be the perturbed logits, b the sample made of them, z~ perturbed logits drawn given b, and
    c a network applied to ``softmax(z / temperature)``, with a sigmoid for Bernoulli variables. The
    estimate of one sample is ``(f(b) - c(z~)) score(b) + grad c(z) - grad c(z~)``. It is unbiased
    whatever c is, and f need not be differentiable.

    Adam fits the weights of the network to lower the variance, separately for each value of f, if
    the state of one call is passed to the next. A call uses what earlier calls have learned, and so
    is unbiased. Initially c is 0. Its unit is the running mean of abs(f).

    Parameters
    ----------
    temperature : float
        Temperature of the relaxations, above 0.
    coupled : bool
        Whether z~ is made of the noise of z. c is then evaluated at one relaxation rather than two.
    add_objective : bool
        Whether to add f at the relaxed sample to c, as REBAR does with scale 1. This needs the
        gradient of f.
    network : object
        Computes c, its gradient, and the gradient by its weights: see `TanhNetwork`.
    learning_rate : float
        Step size of Adam for the weights.

    Notes
    -----
    With credit, f is each variable's own; there is one c for all variables of one value of f.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> logits, relax, state = np.zeros((5, 3)), fg.estimator("relax"), None
    >>> for step in range(3):
    ...     estimate = relax(
    ...         lambda x: x[:, 0, 0] > x[:, 1, 1], logits, num_samples=8, rng=step, state=state
    ...     )
    ...     state = estimate.state
    >>> estimate.grad.shape, estimate.evaluations, state["weights"].shape
    ((5, 3), 8, (1, 171))
    """

    temperature: float = 1.0
    coupled: bool = True
    add_objective: bool = False
    network: Any = DEFAULT_NETWORK
    learning_rate: float = 0.01

    name = "relax"
    unbiased = True
    needs: ClassVar[tuple[str, ...]] = by_options(
        lambda run: ("f", "grad") if run.add_objective else ()
    )
    evaluations = "S (2 S or 3 S with add_objective)"
    paper = "Grathwohl et al., 'Backpropagation through the void', 2018"

    def __post_init__(self) -> None:
        _validate.temperature(self.temperature)
        _validate.positive(self.learning_rate, "learning_rate")
        for name in ("coupled", "add_objective"):
            _validate.choice(getattr(self, name), name, (False, True))
        if missing := [name for name in METHODS if not callable(getattr(self.network, name, None))]:
            raise TypeError(f"network must have the methods {missing}, got {self.network!r}")

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return one sample of a few variables of two outcomes as nodes of a quadrature."""
        return quadrature(distribution, num_samples, (self.temperature,), coupled=self.coupled)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (`Draws`, `Answers`)."""
        value, size, total = Mean(), Mean(), controlled_scores(distribution)
        cells, points = None, 1
        for (z, (pair,)), (f, signal, objective) in blocks:
            value.add(f)
            size.add(np.abs(f))
            if cells is None:
                shape = cell_shape(f, distribution.batch_shape)
                cells = CellNetworks(self.network, distribution, shape, state, coupled=self.coupled)
            control = cells.control(pair)
            if objective:
                points = 2 if self.coupled else 3
                control = Control(*(a + b for a, b in zip(objective[0], control, strict=True)))
            wanted = {"directions": True, "difference": pair.coupled}
            cells.learn(pair, total.add(z, pair, 1.0, signal, control, **wanted))
        assert cells is not None, "there is at least one block"
        grad = total.total / value.count
        now = size.result.reshape(cells.shape)
        size = recall(state, "size", cells.shape, now)
        # The gradient of the mean of g . g / size**2, which has no unit.
        unit = np.divide(2 / value.count, size, out=np.zeros(size.shape), where=size > 0)
        given = cells.kept, cells.slopes, state, self.learning_rate
        weights, new = adam_step(*given, unit.reshape(-1))
        new |= {"weights": weights, "size": DECAY * size + (1 - DECAY) * now}
        state = {name: np.asarray(x) for name, x in new.items()}
        return estimate(value.result, grad, state, value.count * points)
