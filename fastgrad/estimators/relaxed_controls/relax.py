"""RELAX: the score function with a learned control variate of the relaxed sample."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate
from fastgrad.estimators.base import Estimate
from fastgrad.estimators.relaxed_controls.adaptation import cell_shape, descend, recall
from fastgrad.estimators.relaxed_controls.controlled_sums import ControlledScores
from fastgrad.estimators.relaxed_controls.network import CellNetworks, TanhNetwork
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control, RelaxedControl, quadrature
from fastgrad.estimators.sums import Mean

__all__ = ["RELAX"]

METHODS = "initial", "value_and_gradient", "add_parameter_gradient"
DECAY = 0.99  # of the running size of f


@dataclasses.dataclass(frozen=True, kw_only=True)
class RELAX(RelaxedControl):
    """REINFORCE with a learned control variate of the relaxed sample, its mean added again.

    With z the perturbed logits, b their sample, z~ drawn given b, and c a network of ``softmax(z /
    temperature)``, a sample's estimate is ``(f(b) - c(z~)) score(b) + grad c(z) - grad c(z~)``, for
    Bernoulli variables with a sigmoid. It is unbiased whatever c is, and f need not be smooth.
    Adam lowers its square by the weights of c, each cell's its own, from one call's state to the
    next: only earlier calls decide, so that each call is unbiased. c starts as 0, and counts in
    units of the running mean of abs(f).

    Parameters
    ----------
    temperature : float
    coupled : bool
        Use the noise of z in z~: c is evaluated at one relaxation where it is else two.
    add_objective : bool
        Add f of the relaxed sample to c, as REBAR does with scale 1: needs the gradient of f.
    network : object
        What computes c, its gradient and that by its weights: see `TanhNetwork`.
    learning_rate : float

    Notes
    -----
    With credit, the f of each variable is its own; c is the cell's.

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
    network: object = TanhNetwork()
    learning_rate: float = 0.01

    name = "relax"
    unbiased = True
    evaluations = "S (2 S or 3 S with add_objective)"
    paper = "Grathwohl et al., 'Backpropagation through the void', 2018"

    def __post_init__(self):
        _validate.temperature(self.temperature)
        _validate.positive(self.learning_rate, "learning_rate")
        for name in ("coupled", "add_objective"):
            _validate.choice(getattr(self, name), name, (False, True))
        if missing := [name for name in METHODS if not callable(getattr(self.network, name, None))]:
            raise TypeError(f"network must have the methods {missing}, got {self.network!r}")
        if self.add_objective:
            object.__setattr__(self, "needs", ("f", "grad"))

    def nodes(self, distribution, num_samples):
        """Return one sample of a few variables of two outcomes as nodes of a quadrature."""
        return quadrature(distribution, num_samples, (self.temperature,), coupled=self.coupled)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (`Draws`, `Answers`)."""
        value, size, total = Mean(), Mean(), None
        for (z, (pair,)), (f, signal, objective) in blocks:
            value.add(f)
            size.add(np.abs(f))
            if total is None:
                total = ControlledScores(distribution)
                shape = cell_shape(f, distribution.batch_shape)
                cells = CellNetworks(self.network, distribution, shape, state, coupled=self.coupled)
            control = cells.control(pair)
            if objective:
                control = Control(*(a + b for a, b in zip(objective[0], control, strict=True)))
            cells.learn(pair, total.add(z, pair, 1.0, signal, control, directions=True))
        grad = total.total / value.count
        now = size.result.reshape(shape)
        size = recall(state, "size", shape, now)
        slope = cells.slope(value.count, size)
        weights, new = descend(cells.kept, slope, state, self.learning_rate)
        new |= {"weights": weights, "size": DECAY * size + (1 - DECAY) * now}
        state = {name: np.asarray(x) for name, x in new.items()}
        points = 1 + (0 if not objective else 1 if self.coupled else 2)
        return Estimate(value.result.astype(grad.dtype), grad, state, value.count * points)
