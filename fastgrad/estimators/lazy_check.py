"""Gradients of f that are taken as finite until the estimate shows that one was not.

A pass over them takes as long as what they are wanted for, and NaN or infinity shows in every sum
that it enters.
"""

import numpy as np

from fastgrad import _validate
from fastgrad.kernels.tiles import check as _check
from fastgrad.objectives import Objective


class Trusting(Objective):
    """An objective whose gradients are not read to see whether they are finite."""

    def gradient(self, x, *, offset=0):
        """Evaluate the gradient of f at features x: same shape and dtype."""
        return _validate.like(self.grad(x), x.shape, x.dtype, "the gradient of f")


def trusting(estimate, objective):
    """Return estimate(objective); gradients of f are read only where that is not finite."""
    trust = object.__new__(Trusting)  # without checking its parts again
    trust.__dict__.update(objective.__dict__)
    with np.errstate(invalid="ignore"):
        found = estimate(trust)
    grads = found.grad.values() if isinstance(found.grad, dict) else [found.grad]
    if all(_check.worst(g.reshape(-1)) == _check.FINE for g in grads):
        return found
    return estimate(objective)
