"""Lazy check that the gradients of f are finite: only where the estimate is not.

A pass over the gradients takes as long as the sums that they are wanted for, and NaN or infinity
shows in every sum that it enters.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.kernels.tiles import check as _check
from fastgrad.objectives import Objective


class Unchecked(Objective):
    """An objective whose gradients are not checked to be finite, but for their shape."""

    def checked_gradient(self, gradient: Any, x: FloatArray, offset: int) -> FloatArray:
        """Return what was given as the gradient at x, if it has the right shape."""
        return _validate.like(gradient, x.shape, x.dtype, "the gradient of f")


def lazily_checked(estimate: Callable[[Objective], Any], objective: Objective) -> Any:
    """Return ``estimate(objective)``, checking the gradients of f only if it is not finite.

    If it is not, the estimate is made again with every gradient checked, so that the error says
    which sample is to blame; where all gradients are finite, the second estimate stands.
    """
    unchecked = object.__new__(Unchecked)
    vars(unchecked).update(vars(objective))
    with np.errstate(invalid="ignore"):
        found = estimate(unchecked)
    grads = found.grad.values() if isinstance(found.grad, dict) else [found.grad]
    if all(_check.worst(g.reshape(-1)) == _check.FINE for g in grads):
        return found
    return estimate(objective)
