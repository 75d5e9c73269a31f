"""The sum over samples of gradients with a relaxed control variate, and what adapts it."""

import math
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.base import read_only
from fastgrad.kernels.estimators.relaxed_controls import controlled_sums, controlled_sums_bernoulli

NONE = slice(0, 0)


class Directions(NamedTuple):
    """Derivatives of both relaxations along each sample's g, and its product with the score.

    All that the gradient of g . g by the parameters of the control variate needs.
    """

    relaxed: np.ndarray
    conditional: np.ndarray
    score: np.ndarray


class ControlledScores:
    """Sums of ``g = (f - scale c) score + scale (J r - J~ q)``, sample by sample.

    c is the control variate at the conditional relaxation, r and q its gradients at both, J and J~
    the Jacobians of these by the logits. In ``g = g_0 - scale h``, h is of mean zero; `products`
    are the sums of g . h, h . h and g . g, one of each for each variable, if asked for.
    """

    def __init__(self, distribution, *, products=False):
        logits, k = distribution.logits, discrete.num_features(distribution)
        single = discrete.single_logit(distribution)
        self.batch = distribution.batch_shape
        self.rows = (logits.size,) if single else (logits.size // k, k)
        self.logits = logits.reshape(self.rows)
        self.total = np.zeros(logits.shape, logits.dtype)
        self.products = np.zeros((3, self.rows[0] if products else 0))
        self.kernel = controlled_sums_bernoulli.bernoulli if single else controlled_sums.categorical

    def add(self, z, pair, scale, f, control, *, directions=False):
        """Take samples; scale, f and the signal of c broadcast against (*batch) and (S, *batch)."""
        s, dtype = len(z), self.total.dtype
        d = f - scale * control.signal
        c = control.signal
        c = c if c.shape == d.shape else np.broadcast_to(c, d.shape)
        x, y, r, q = (
            _validate.like(a, (s, *self.total.shape), dtype, "a control variate").reshape(
                s, *self.rows
            )
            for a in (
                pair.relaxed,
                pair.conditional,
                control.relaxed_gradient,
                control.conditional_gradient,
            )
        )
        if pair.coupled:
            y, q = y[NONE], q[NONE]
        along = np.empty((2, s if directions else 0, *self.rows), dtype)
        score = np.empty((s if directions else 0, self.rows[0]), dtype)
        flat = np.empty((2, *self.batch), dtype)
        flat[0], flat[1] = pair.temperature, scale
        flat = read_only(flat.reshape(2, -1))
        cells = math.prod(d.shape[1:])
        self.kernel(
            self.logits,
            z.reshape(s, -1),
            (x, y),
            (r, q),
            *flat,
            tuple(read_only(np.ascontiguousarray(a).reshape(s, cells)) for a in (d, c)),
            self.total.reshape(self.rows),
            self.products,
            (*along, score),
        )
        return Directions(*along, score)

    def pooled(self, shape):
        """Return the products with one entry for each cell, shape (3, *shape)."""
        cells = math.prod(shape)
        each = self.products.reshape(3, cells, self.rows[0] // max(cells, 1))
        return each.sum(axis=-1).reshape(3, *shape)
