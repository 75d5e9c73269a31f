"""The control variates that RELAX learns, one for each cell, and what trains them."""

import math

import numpy as np

from fastgrad import _validate
from fastgrad.estimators.relaxed_controls.adaptation import recall
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control


class CellNetworks:
    """The network of each cell of a distribution, and the slope of g . g by its weights.

    c is the network times the size of f, as far as earlier calls know it.
    """

    def __init__(self, network, distribution, shape, state, *, coupled):
        logits, cells = distribution.logits, math.prod(shape)
        self.network, self.dtype, self.shape = network, logits.dtype, shape
        self.features = cells, logits.size // max(cells, 1)
        self.variables = cells, math.prod(distribution.batch_shape) // max(cells, 1)
        initial = network.initial(self.features[1])
        self.kept = recall(state, "weights", (*shape, len(initial)), initial)
        self.weights = self.kept.reshape(cells, -1).astype(logits.dtype)
        size = recall(state, "size", shape, 1.0)
        self.size = size.reshape(cells).astype(logits.dtype)
        self.slopes = np.zeros((1 if coupled else 2, *self.weights.shape), logits.dtype)

    def control(self, pair):
        """Return the control variate at a pair of relaxations."""
        x, y = (a.reshape(len(a), *self.features) for a in (pair.relaxed, pair.conditional))
        c, q = self._at(y)
        r = q if pair.coupled else self._at(x)[1]
        c = c.astype(np.float64).reshape(len(c), *self.shape)
        return Control(c, *(a.reshape(pair.relaxed.shape) for a in (r, q)))

    def _at(self, x):
        """Return the control variates and their gradients at features (S, cells, D)."""
        c, g = self.network.value_and_gradient(self.weights, x)
        c = _validate.like(c, x.shape[:2], self.dtype, "the value of the network")
        g = _validate.like(g, x.shape, self.dtype, "the gradient of the network")
        return c * self.size, g * self.size[:, None]

    def learn(self, pair, along):
        """Take the `Directions` of samples of this pair."""
        x, y, u, v = (
            a.reshape(len(a), *self.features)
            for a in (pair.relaxed, pair.conditional, along.relaxed, along.conditional)
        )
        score = along.score.reshape(len(x), *self.variables).sum(axis=-1)
        add = self.network.add_parameter_gradient
        if pair.coupled:
            add(self.weights, x, -score, u - v, self.slopes[0])
        else:  # two sums, so that both take the samples in order, whatever the blocks
            add(self.weights, x, np.zeros_like(score), u, self.slopes[0])
            add(self.weights, y, -score, -v, self.slopes[1])

    def slope(self, count, size):
        """Return the gradient of the mean of g . g / size**2: the same in any unit of f."""
        slopes = self.slopes.reshape(len(self.slopes), *self.kept.shape)
        unit = np.divide(2 / count, size, out=np.zeros(size.shape), where=size > 0)[..., None]
        slope = slopes[0] * unit
        for other in slopes[1:]:
            slope += other * unit
        return slope
