"""The network that RELAX learns: one hidden layer of tanh for each cell of f."""

from __future__ import annotations

import dataclasses
import functools

import numpy as np

from fastgrad import _validate, random
from fastgrad.kernels import control_network as _kernels

__all__ = ["TanhNetwork"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TanhNetwork:
    """A control variate c(x), x the features of a cell: one hidden layer of tanh, one output.

    Anything else with these three methods may stand in its place. The weights of M cells are
    an array (M, P); the features of S samples are (S, M, D). Cells must not mix.

    Parameters
    ----------
    hidden : int
        Units of the hidden layer.
    seed : int
        Of the initial weights, which are the same for each cell; c starts as 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.estimators.relaxed_controls.control_network import TanhNetwork
    >>> network = TanhNetwork(hidden=3)
    >>> weights = network.initial(4)[None]
    >>> value, gradient = network.value_and_gradient(weights, np.ones((5, 1, 4)))
    >>> weights.shape, value.shape, gradient.shape
    ((1, 19), (5, 1), (5, 1, 4))
    """

    hidden: int = 10
    seed: int = 0

    def __post_init__(self):
        _validate.integer(self.hidden, "hidden", 1)
        _validate.integer(self.seed, "seed", 0)

    def initial(self, features):
        """Return the weights of one cell with so many features.

        Parameters
        ----------
        features : int
            D.

        Returns
        -------
        array of float64, shape (P,)
            Read-only.
        """
        return _initial(self.hidden, self.seed, features)

    def value_and_gradient(self, weights, x):
        """Evaluate c and its gradient by x.

        Parameters
        ----------
        weights : array, shape (M, P)
        x : array, shape (S, M, D)

        Returns
        -------
        value : array, shape (S, M)
        gradient : array, shape (S, M, D)
            Of the dtype of x.
        """
        value, gradient = np.empty(x.shape[:2], x.dtype), np.empty(x.shape, x.dtype)
        work = x.size * self.hidden
        _kernels.value_and_gradient(
            work, _frozen(weights, x), self.hidden, _frozen(x, x), value, gradient
        )
        return value, gradient

    def add_parameter_gradient(self, weights, x, factor, direction, total):
        """Add the gradient by the weights of ``sum over s of factor c(x) + direction . grad c(x)``.

        Parameters
        ----------
        weights, x
            As above.
        factor : array, shape (S, M)
        direction : array, shape (S, M, D)
        total : array, shape (M, P)
            Added to, sample by sample.
        """
        arrays = (_frozen(a, x) for a in (x, factor, direction))
        _kernels.add_parameter_gradient(
            x.size * self.hidden, _frozen(weights, x), self.hidden, *arrays, total
        )


@functools.lru_cache(maxsize=2)  # each call asks for the shape at least
def _initial(hidden, seed, features):
    inputs = random.normal((hidden, features), rng=seed, dtype=np.float64)
    rest = np.zeros(2 * hidden + 1)
    weights = np.concatenate([inputs.reshape(-1) / max(features, 1) ** 0.5, rest])
    weights.flags.writeable = False
    return weights


def _frozen(a, x):
    """Return an array in the dtype of x, contiguous and read-only: one compiled signature."""
    a = np.ascontiguousarray(a, x.dtype).view()
    a.flags.writeable = False
    return a
