"""The operations of structures and counts: see `operations`, whose table this fills.

Logits come flat, with their shape and the family that makes a distribution of them as options. What
else a method takes are the words of a key, or samples; and numbers, which are known when traced.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad.interop import families
from fastgrad.jax.operations import OPERATIONS, Operation, like_logits
from fastgrad.random import Key

DRAWS = ("sample", "gumbel_softmax")


def _named(method: str, others: Any, options: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what a method takes by place and by name."""
    if method not in DRAWS:
        return others, {}
    names = ("num_samples", "sample_offset", "temperature")
    words, *rest = others
    named = dict(zip(names, options))
    return tuple(rest), named | {"rng": Key._from_words(words)}


def _apply(logits, *others, family, shape, method, options):
    others, named = _named(method, others, options)
    return (families.apply(family, method, logits.reshape(shape), *others, **named),)


def _product(logits, *others, family, shape, method, options):
    others, named = _named(method, others, options)
    grad = families.product(family, method, logits.reshape(shape), *others, **named)
    return (grad.reshape(logits.shape),)


def _of_apply(logits, *others, family, shape, method, options):
    dtype = np.dtype(logits.dtype)
    known = families.shapes_of(family, shape, dtype)
    if method == "sample":
        return (((options[0], *known.sample), np.dtype(known.kind)),)
    each = {"log_prob": known.batch}.get(method, known.features)
    return (((*options[:1], *each), dtype),)


OPERATIONS["structured"] = Operation(_apply, (1,), _of_apply)
OPERATIONS["structured_vjp"] = Operation(_product, (1,), like_logits)
