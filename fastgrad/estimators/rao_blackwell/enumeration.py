"""All outcomes, one after the other: the exact gradient."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate, exact
from fastgrad.estimators.base import Estimate, Estimator, read_only

__all__ = ["Enumerate"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Enumerate(Estimator):
    """The exact gradient: f at all joint outcomes, those of examples side by side.

    The number of samples and the key do not matter. An objective that knows its expectation is
    asked for that instead. See `fastgrad.exact`.

    Parameters
    ----------
    budget : int
        The largest number of joint outcomes to enumerate; more are refused.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> estimate = fg.estimator("enumerate")(lambda x: x[:, 0], np.zeros(3), num_samples=1, rng=0)
    >>> estimate.grad.round(3), estimate.evaluations
    (array([ 0.222, -0.111, -0.111]), 4)
    """

    budget: int = 2**20

    name = "enumerate"
    unbiased = True
    evaluations = "1 + all outcomes"
    paper = "the definition of the mean"

    def __post_init__(self):
        _validate.integer(self.budget, "budget", 1)

    def group(self, num_samples):
        """Return all: there is one estimate, however many samples."""
        return num_samples

    def nodes(self, distribution, num_samples):
        """Return the one draw there is: none."""
        return None, np.ones(1)

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw nothing."""

    def ask(self, objective, distribution, draws, *, offset=0):
        """Return the mean of f, its gradient, and how many evaluations they took."""
        points = []

        def counting(part):
            def ask(x):
                points.append(len(x))
                return part(read_only(x))

            return ask

        parts = {name: getattr(objective, name) for name in ("f", "index")}
        counted = {name: part and counting(part) for name, part in parts.items()}
        objective = dataclasses.replace(objective, **counted)
        return *exact.value_and_grad(objective, distribution, budget=self.budget), sum(points)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of the one pair (None, (value, gradient, evaluations))."""
        ((_, (value, grad, evaluations)),) = blocks
        dtype = distribution.logits.dtype
        return Estimate(value.astype(dtype), grad.astype(dtype), state, evaluations)
