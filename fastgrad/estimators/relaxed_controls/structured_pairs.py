"""Samples of structures with their relaxations and conditional relaxations."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.random import Key


class StructuredPair(NamedTuple):
    """Relaxations at one temperature, and the perturbed logits that they are made of.

    Attributes
    ----------
    relaxed, conditional : array, shape (S, *feature_shape)
        As of `Pair`.
    temperature : array, shape (*batch)
        Temperature of each variable.
    perturbed, given : array, shape (S, *logits.shape)
        Perturbed logits of both; the latter drawn given the sample.
    """

    relaxed: FloatArray
    conditional: FloatArray
    temperature: FloatArray
    perturbed: FloatArray
    given: FloatArray

    @property
    def coupled(self) -> bool:
        """Whether both relaxations are made of the same noise."""
        return self.conditional is self.relaxed


def draw_structured(
    distribution: Any,
    temperatures: tuple[Any, ...],
    num_samples: int,
    key: Key,
    *,
    offset: int = 0,
    coupled: bool = True,
) -> tuple[IntArray, tuple[StructuredPair, ...]]:
    """Draw samples with their relaxations at temperatures, each a number or an array (*batch)."""
    w = distribution.perturbed(num_samples, key, offset)
    z = distribution.order(w)
    again = w if coupled else distribution.conditional(z, key, offset)
    pairs = []
    for temperature in temperatures:
        own = np.empty(distribution.batch_shape, w.dtype)
        own[...] = temperature
        own = _validate.frozen(own)
        x = distribution.soften(w, own)
        y = x if coupled else distribution.soften(again, own)
        pairs.append(StructuredPair(x, y, own, w, again))
    return z, tuple(pairs)
