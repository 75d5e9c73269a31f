"""Straight-through Gumbel-softmax: f at the outcome, its gradient through the relaxed sample.

Both come of the same Gumbel noise, so the Jacobian knows how near another outcome was.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.base import read_only
from fastgrad.estimators.relaxations import logistic_nodes
from fastgrad.estimators.relaxations.gumbel_softmax import GumbelSoftmax
from fastgrad.estimators.relaxations.jacobians import row_shape, tempered
from fastgrad.kernels.estimators.relaxations import st_gumbel as _kernels

__all__ = ["DecoupledSTGumbel", "STGumbel"]


class Pair(NamedTuple):
    """Features of the outcomes, and the relaxed samples y, both (S, *logits.shape)."""

    x: np.ndarray
    y: np.ndarray


@dataclasses.dataclass(frozen=True, kw_only=True)
class STGumbel(GumbelSoftmax):
    """The gradient of f at the outcome D, carried back through y = softmax((logits + G) / t).

    G is Gumbel noise, D = one-hot argmax(logits + G) and t the temperature, which the outcome does
    not depend on: it is that of the backward pass only.

    Parameters
    ----------
    temperature : float
        Above 0.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((5, 3), 0.45))
    >>> st_gumbel = fg.estimator("st_gumbel", temperature=0.5)
    >>> st_gumbel(f, np.zeros((5, 3)), num_samples=8, rng=0).grad.shape
    (5, 3)
    """

    name = "st_gumbel"
    paper = "Jang, Gu and Poole, 'Categorical reparameterization with Gumbel-softmax', 2017"

    def perturbed(self, distribution):
        """Return the distributions whose logits, perturbed, give D and y, and y's temperature."""
        return distribution, distribution, self.temperature

    def nodes(self, distribution, num_samples):
        """Return quadrature nodes for the noise of one or two variables of two outcomes each."""
        *both, temperature = self.perturbed(distribution)
        odds = [logistic_nodes.log_odds(d) for d in both]
        found = logistic_nodes.nodes(distribution, num_samples, odds, temperature)
        if found is None:
            return None
        noise, weights = found
        hard = np.where(odds[0] + noise > 0, np.inf, -np.inf)
        soft = (odds[1] + noise) / temperature
        return Pair(*(logistic_nodes.features(distribution, v) for v in (hard, soft))), weights

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw outcomes and relaxed samples."""
        forward, backward, temperature = self.perturbed(distribution)
        logits, rows = distribution.logits, row_shape(distribution)
        pair = np.empty((2, num_samples, *logits.shape), logits.dtype)
        kernel = _kernels.draw_sites if discrete.single_logit(distribution) else _kernels.draw
        kernel(
            *(d.logits.reshape(rows) for d in (forward, backward)),
            forward is backward,
            _validate.scale(logits.dtype, temperature),
            key.kernel_words,
            _validate.offsets(0, offset, num_samples)[1],
            *pair.reshape(2, num_samples, *rows),
        )
        return Pair(*read_only(pair))

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f and its gradient at the outcomes."""
        return super().ask(objective, distribution, draws.x, offset=offset)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (draws, (values, gradients of f))."""
        relaxed = ((draws.y, answers) for draws, answers in blocks)
        return super().combine(distribution, relaxed, state)


@dataclasses.dataclass(frozen=True, kw_only=True)
class DecoupledSTGumbel(STGumbel):
    """`st_gumbel` with one temperature forward and another backward.

    The outcome is D = one-hot argmax(logits / temperature + G), and y = softmax(logits /
    backward_temperature + G). So a temperature other than 1 draws from another distribution, that
    of logits / temperature, whose mean of f is what the value estimates. (Of logits + G over a
    temperature, the argmax would not depend on it at all.)

    Parameters
    ----------
    temperature : float
        That of the forward pass, above 0: the lower, the less random is the outcome.
    backward_temperature : float
        Above 0: the higher, the more even is the gradient over categories.

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

    def __post_init__(self):
        super().__post_init__()
        _validate.positive(self.backward_temperature, "backward_temperature")

    @property
    def slope(self):
        """Factor of the Jacobian of y."""
        return 1 / self.backward_temperature

    def perturbed(self, distribution):
        """Return the distributions whose logits, perturbed, give D and y, and y's temperature."""
        both = (tempered(distribution, t) for t in (self.temperature, self.backward_temperature))
        return *both, 1.0
