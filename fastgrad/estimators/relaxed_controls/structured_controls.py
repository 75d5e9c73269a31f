"""Sums over samples of structures of gradients with a relaxed control variate."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.relaxed_controls.controlled_sums import ControlledScores, Directions
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control
from fastgrad.estimators.relaxed_controls.structured_pairs import StructuredPair
from fastgrad.estimators.score_sums import expand
from fastgrad.estimators.sums import Mean, last_joined


def controlled_scores(distribution: Discrete, *, products: bool = False) -> Any:
    """Return the sums for a distribution, whose `add` takes blocks of samples."""
    kind = ControlledScores if distribution.one_hot else StructuredControls
    return kind(distribution, products=products)


class StructuredControls:
    """Sums over samples of ``g = (f - scale c) score + scale (J r - J~ q)``, as `ControlledScores`.

    The Jacobians are products of two: that of the relaxation by the perturbed logits, and that of
    these by the logits, which is the identity unless the noise is that given the sample.
    """

    distribution: Any
    batch: tuple[int, ...]
    grads: Mean
    sums: Mean | None

    def __init__(self, distribution: Discrete, *, products: bool = False) -> None:
        self.distribution, self.batch = distribution, distribution.batch_shape
        self.grads, self.sums = Mean(), Mean() if products else None

    def add(
        self,
        z: IntArray,
        pair: StructuredPair,
        scale: Any,
        f: FloatArray,
        control: Control,
        *,
        directions: bool = False,
        difference: bool = False,
    ) -> Directions:
        """Take the next block of samples z with their relaxations; return their `Directions`."""
        d, s, dtype = self.distribution, len(z), self.distribution.logits.dtype
        shape = (s, *d.feature_shape)
        r, q = (
            _validate.like(a, shape, dtype, "a control variate")
            for a in (control.relaxed_gradient, control.conditional_gradient)
        )
        x, y, own = pair.relaxed, pair.conditional, pair.temperature
        score = d.score(z).astype(np.float64)
        jr = d.soften_vjp(pair.perturbed, x, own, r).astype(np.float64)
        jq = jr if pair.coupled else d.soften_vjp(pair.given, y, own, q)
        jq = d.conditional_vjp(z, pair.given, jq)
        scale, f, c = (
            expand(np.broadcast_to(np.asarray(a, np.float64), (s, *self.batch)), score)
            for a in (scale, f, control.signal)
        )
        h = c * score - (jr - jq)
        g = f * score - scale * h
        self.grads.add(g)
        inner = tuple(range(1 + len(self.batch), score.ndim))
        if self.sums is not None:
            products = [(a * b).sum(axis=inner) for a, b in ((g, h), (h, h), (g, g))]
            self.sums.add(np.stack(products, axis=1))
        if not directions:
            return Directions(x[:0], x[:0], score[:0])
        along = d.soften_jvp(pair.perturbed, x, own, g.astype(dtype))
        w = d.conditional_jvp(z, pair.given, g).astype(dtype)
        given = d.soften_jvp(pair.given, y, own, w)
        if difference:
            along, given = along - given, given[:0]
        return Directions(along, given, (score * g).sum(axis=inner).astype(dtype))

    @property
    def total(self) -> FloatArray:
        """The sum, of the shape of the logits."""
        return (self.grads.result * self.grads.count).astype(self.distribution.logits.dtype)

    def pooled(self, shape: tuple[int, ...]) -> FloatArray:
        """Return the products with one entry for each cell, shape (3, *shape)."""
        assert self.sums is not None, "they were asked for"
        cells = math.prod(shape)
        each = last_joined(self.sums.result * self.sums.count, 3, cells)
        return each.sum(axis=-1).reshape(3, *shape)
