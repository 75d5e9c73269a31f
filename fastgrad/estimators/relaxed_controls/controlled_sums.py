"""Sums over samples of gradients with a relaxed control variate, and of their products."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control, Pair
from fastgrad.kernels.estimators.relaxed_controls import controlled_sums, controlled_sums_bernoulli

NONE = slice(0, 0)


class Directions(NamedTuple):
    """Derivatives along g, the gradient that each sample estimates.

    The gradient of g . g by the parameters of the control variate is made of them.

    Attributes
    ----------
    relaxed, conditional : array, shape (S, N, K) or (S, N)
        Derivatives of both relaxations along g; or their difference, and an empty array.
    score : array, shape (S, N)
        Product of the score with g, for each variable.
    """

    relaxed: FloatArray
    conditional: FloatArray
    score: FloatArray


class ControlledScores:
    """Sums over samples of ``g = (f - scale c) score + scale (J r - J~ q)``.

    c is the control variate at the conditional relaxation; r is its gradient at the relaxation, and
    q at the conditional relaxation. J and J~ are the Jacobians of the relaxations by the logits.
    Written as ``g = g_0 - scale h``, h has mean zero. If `products` is true, the sums of g . h,
    h . h and g . g are kept too, one of each for each variable.
    """

    batch: tuple[int, ...]
    rows: tuple[int, ...]
    logits: FloatArray
    total: FloatArray
    products: FloatArray
    kernel: Callable[..., Any]

    def __init__(self, distribution: Discrete, *, products: bool = False) -> None:
        single = distribution.single_logit
        self.batch = distribution.batch_shape
        self.rows, self.logits = distribution.row_shape, distribution.rows
        self.total = np.zeros(distribution.logits.shape, self.logits.dtype)
        self.products = np.zeros((3, self.rows[0] if products else 0))
        self.kernel = controlled_sums_bernoulli.bernoulli if single else controlled_sums.categorical

    def add(
        self,
        z: IntArray,
        pair: Pair,
        scale: Any,
        f: FloatArray,
        control: Control,
        *,
        directions: bool = False,
        difference: bool = False,
    ) -> Directions:
        """Take the next block of samples z with their relaxations; return their `Directions`.

        scale broadcasts against (*batch); f and the signal of the control variate broadcast against
        (S, *batch). Unless `directions` is true, the result is empty; with `difference`, it has
        the difference of both derivatives.
        """
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
        along = [
            np.empty((s if wanted else 0, *self.rows), dtype)
            for wanted in (directions, directions and not difference)
        ]
        score = np.empty((s if directions else 0, self.rows[0]), dtype)
        flat = np.empty((2, *self.batch), dtype)
        flat[0], flat[1] = pair.temperature, scale
        flat = _validate.frozen(flat.reshape(2, -1))
        cells = math.prod(d.shape[1:])
        self.kernel(
            self.logits,
            _validate.frozen(z.reshape(s, -1)),
            (x, y),
            (r, q),
            *flat,
            tuple(_validate.frozen(np.ascontiguousarray(a).reshape(s, cells)) for a in (d, c)),
            self.total.reshape(self.rows),
            self.products,
            (*along, score),
        )
        return Directions(along[0], along[1], score)

    def pooled(self, shape: tuple[int, ...]) -> FloatArray:
        """Return the products with one entry for each cell, shape (3, *shape)."""
        cells = math.prod(shape)
        each = self.products.reshape(3, cells, self.rows[0] // max(cells, 1))
        return each.sum(axis=-1).reshape(3, *shape)
