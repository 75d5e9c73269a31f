"""Estimators that differentiate f through a relaxed sample: biased, of low variance."""

from __future__ import annotations

import dataclasses

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimate, Estimator, read_only
from fastgrad.estimators.relaxations import logistic_nodes
from fastgrad.estimators.sums import Mean, SoftmaxProducts

__all__ = ["GumbelSoftmax"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class GumbelSoftmax(Estimator):
    """The gradient of f at Gumbel-softmax samples, carried back through the softmax.

    Unbiased for the mean of f over relaxed samples, which its value estimates too; biased for the
    discrete one, the less the lower the temperature, at the price of variance.

    Parameters
    ----------
    temperature : float
        Above 0.

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
    needs = ("f", "grad")
    paper = "Jang, Gu and Poole, 2017; Maddison, Mnih and Teh, 2017"

    def __post_init__(self):
        _validate.temperature(self.temperature)

    @property
    def slope(self):
        """Factor of the Jacobian of the relaxed samples."""
        return 1 / self.temperature

    def nodes(self, distribution, num_samples):
        """Return quadrature nodes for one or two relaxed samples of two outcomes each."""
        odds = logistic_nodes.log_odds(distribution)
        found = logistic_nodes.nodes(distribution, num_samples, [odds], self.temperature)
        if found is None:
            return None
        noise, weights = found
        return logistic_nodes.features(distribution, (odds + noise) / self.temperature), weights

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw relaxed samples, shape (S, *logits.shape)."""
        x = discrete.relaxations(distribution).gumbel_softmax(
            distribution.logits,
            temperature=self.temperature,
            num_samples=num_samples,
            rng=key,
            sample_offset=offset,
        )
        return read_only(x)

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f and its gradient at the relaxed samples."""
        values = objective.relaxed(distribution, draws, offset=offset)
        return values.value, objective.gradient(draws, offset=offset)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (relaxed samples, (values, gradients of f))."""
        value, products = Mean(), SoftmaxProducts(distribution)
        for x, (f_x, gradient) in blocks:
            value.add(f_x)
            products.add(x, gradient, self.slope)
        grad = products.total / value.count
        dtype = grad.dtype
        return Estimate(value.result.astype(dtype), grad, state, value.count)
