"""The network that RELAX learns: one hidden layer of tanh units for each cell."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any

import numpy as np

from fastgrad import _validate, random
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.relaxed_controls.adaptation import recall
from fastgrad.estimators.relaxed_controls.controlled_sums import Directions
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control, Pair
from fastgrad.kernels.estimators.relaxed_controls import network as _kernels
from fastgrad.kernels.estimators.relaxed_controls import network_blocks as _blocks

__all__ = ["TanhNetwork"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TanhNetwork:
    """A network for the control variate c(x) of RELAX: one hidden layer of tanh units, one output.

    x are the D features of the variables that one value of f concerns, which are called a cell. The
    P weights of each of M cells are an array (M, P), and the features of S samples (S, M, D). Any
    object with the methods of this class may be used in its place; it must not mix cells.

    Parameters
    ----------
    hidden : int
        Number of hidden units.
    seed : int
        Seed of the initial weights, which are the same for each cell. Initially c is 0.

    Examples
    --------
    >>> import numpy as np
    >>> from fastgrad.estimators.relaxed_controls.network import TanhNetwork
    >>> network = TanhNetwork(hidden=3)
    >>> weights = network.initial(4)[None]
    >>> value, gradient = network.value_and_gradient(weights, np.ones((5, 1, 4)))
    >>> weights.shape, value.shape, gradient.shape
    ((1, 19), (5, 1), (5, 1, 4))
    """

    hidden: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        _validate.integer(self.hidden, "hidden", 1)
        _validate.integer(self.seed, "seed", 0)

    def initial(self, features: int) -> FloatArray:
        """Return the initial weights of one cell.

        Parameters
        ----------
        features : int
            Number D of features.

        Returns
        -------
        array of float64, shape (P,)
            Read-only.
        """
        return _initial(self.hidden, self.seed, features)

    def value_and_gradient(
        self, weights: FloatArray, x: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Evaluate c and its gradient by x.

        Parameters
        ----------
        weights : array, shape (M, P)
            Weights of each cell.
        x : array, shape (S, M, D)
            Features of each cell in each sample.

        Returns
        -------
        value : array, shape (S, M)
        gradient : array, shape (S, M, D)
            Of the dtype of x.
        """
        return self.evaluated(weights, x, np.ones(len(weights)))[:2]

    def evaluated(
        self, weights: FloatArray, x: FloatArray, size: FloatArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Evaluate c and its gradient by x, both multiplied by the size (M,) of their cell.

        What hidden units are is returned too, for `add_gradient_by_units`.
        """
        value, gradient = np.empty(x.shape[:2], x.dtype), np.empty(x.shape, x.dtype)
        units = np.empty((*x.shape[:2], _blocks.width.py_func(self.hidden)), x.dtype)
        weights, size, given = _like(weights, x), _like(size, x), _like(x, x)
        sums = self._projected(weights, given, 2, -1)
        about = weights, self.hidden, size, given, sums
        _kernels.value_and_gradient(*about, value, gradient, units)
        return value, gradient, units

    def _projected(
        self, weights: FloatArray, x: FloatArray, scale: float, shift: float
    ) -> FloatArray:
        """Return inputs . (scale x + shift) over each span of features, (M, spans, S, W).

        Where a cell is one span, kernels make it themselves: nothing is returned.
        """
        (samples, cells, features), real = x.shape, x.dtype
        each = _blocks.spans.py_func(features)
        shape = (cells, each, samples, _blocks.width.py_func(self.hidden))
        sums = np.empty(shape if each > 1 else (0, 0, 0, 0), real)
        if each > 1:
            how = real.type(scale), real.type(shift)
            _kernels.project_spans(weights, self.hidden, x, how, sums)
        return _validate.frozen(sums)

    def add_parameter_gradient(
        self,
        weights: FloatArray,
        x: FloatArray,
        factor: FloatArray,
        direction: FloatArray,
        total: FloatArray,
    ) -> None:
        """Add the gradient by the weights of ``sum over s of factor c(x) + direction . grad c(x)``.

        Parameters
        ----------
        weights, x : array
            As for `value_and_gradient`.
        factor : array, shape (S, M)
            Factor of c in each sample.
        direction : array, shape (S, M, D)
            Direction of the derivative of c in each sample.
        total : array, shape (M, P)
            The result is added to it, sample by sample.
        """
        units = self.evaluated(weights, x, np.ones(len(weights)))[2]
        self.add_gradient_by_units(weights, units, x, factor, direction, total)

    def add_gradient_by_units(
        self,
        weights: FloatArray,
        units: FloatArray,
        x: FloatArray,
        factor: FloatArray,
        direction: FloatArray,
        total: FloatArray,
    ) -> None:
        """Do as `add_parameter_gradient`, knowing what hidden units are at x."""
        units, given, factor, direction = (_like(a, x) for a in (units, x, factor, direction))
        weights = _like(weights, x)
        along = self._projected(weights, direction, 2, 0)
        arrays = units, given, factor, direction, along
        _kernels.add_parameter_gradient(weights, self.hidden, *arrays, total)


@functools.lru_cache(maxsize=2)  # each call asks for the shape at least
def _initial(hidden: int, seed: int, features: int) -> FloatArray:
    inputs = random.normal((hidden, features), rng=seed, dtype=np.float64)
    rest = np.zeros(2 * hidden + 1)
    weights = np.concatenate([inputs.reshape(-1) / max(features, 1) ** 0.5, rest])
    return _validate.frozen(weights)


def _like(a: FloatArray, x: FloatArray) -> FloatArray:
    """Return an array in the dtype of x, contiguous and read-only: one compiled signature."""
    return _validate.frozen(np.ascontiguousarray(a, x.dtype))


class CellNetworks:
    """The network of each cell of a distribution, and the gradient of g . g by its weights.

    c is the output of the network times the mean size of f in earlier calls.
    """

    network: Any
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    features: tuple[int, int]
    variables: tuple[int, int]
    kept: FloatArray
    weights: FloatArray
    size: FloatArray
    slopes: FloatArray
    units: list[FloatArray | None]  # at both relaxations of the last block

    def __init__(
        self,
        network: Any,
        distribution: Discrete,
        shape: tuple[int, ...],
        state: dict[str, Any] | None,
        *,
        coupled: bool,
    ) -> None:
        logits, cells = distribution.logits, math.prod(shape)
        self.network, self.dtype, self.shape = network, logits.dtype, shape
        self.features = cells, math.prod(distribution.feature_shape) // max(cells, 1)
        self.variables = cells, math.prod(distribution.batch_shape) // max(cells, 1)
        initial = network.initial(self.features[1])
        self.kept = recall(state, "weights", (*shape, len(initial)), initial)
        self.weights = np.asarray(self.kept.reshape(cells, len(initial)), logits.dtype)
        size = recall(state, "size", shape, 1.0)
        self.size = size.reshape(cells).astype(logits.dtype)
        self.slopes = np.zeros((1 if coupled else 2, *self.weights.shape), logits.dtype)

    def control(self, pair: Pair) -> Control:
        """Return the control variate at a pair of relaxations."""
        x, y = (a.reshape(len(a), *self.features) for a in (pair.relaxed, pair.conditional))
        c, q, units = self._at(y)
        _, r, others = (c, q, units) if pair.coupled else self._at(x)
        self.units = [others, units]
        c = c.astype(np.float64).reshape(len(c), *self.shape)
        return Control(c, *(a.reshape(pair.relaxed.shape) for a in (r, q)))

    def _at(self, x: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray | None]:
        """Return the control variates and their gradients at features (S, cells, D), and units."""
        if type(self.network) is TanhNetwork:
            return self.network.evaluated(self.weights, x, self.size)
        c, g = self.network.value_and_gradient(self.weights, x)
        c = _validate.like(c, x.shape[:2], self.dtype, "the value of the network")
        g = _validate.like(g, x.shape, self.dtype, "the gradient of the network")
        return c * self.size, g * self.size[:, None], None

    def learn(self, pair: Pair, along: Directions) -> None:
        """Add the `Directions` of samples with these relaxations: the difference, if coupled."""
        x, y, u, v = (
            a.reshape(len(a), *self.features)
            for a in (pair.relaxed, pair.conditional, along.relaxed, along.conditional)
        )
        score = along.score.reshape(len(x), *self.variables).sum(axis=-1)
        if pair.coupled:
            self._add(0, x, -score, u)
        else:  # two sums, so that both take the samples in order, whatever the blocks
            self._add(0, x, np.zeros_like(score), u)
            self._add(1, y, -score, -v)

    def _add(self, which: int, x: FloatArray, factor: FloatArray, direction: FloatArray) -> None:
        units, given = self.units[which], (x, factor, direction, self.slopes[which])
        if units is None:
            self.network.add_parameter_gradient(self.weights, *given)
        else:
            self.network.add_gradient_by_units(self.weights, units, *given)
