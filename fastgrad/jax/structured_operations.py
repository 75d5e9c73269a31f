"""The operations of structures, counts and transport: see `operations`, whose table this fills.

Logits of structures come flat, with their shape and the family that makes a distribution of them as
options. What else a method takes are the words of a key, or samples; and numbers, which are known
when traced. Scores of transport come as problems (B, N, M), with masses (B, N) and (B, M), items as
(B, N, D) and their scores as (B, N).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad.distributions import permutation, transport
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


# -- items in order, and masses ----------------------------------------------------------------


def _transport(scores, rows, columns, **options):
    found = transport.sinkhorn(scores, rows, columns, **options)
    return found.matrix, found.value, found.error, found.iterations


def _transport_vjp(scores, rows, columns, cotangent, **options):
    return tuple(transport.sinkhorn_vjp(scores, cotangent, rows, columns, **options))


def _of_transport(scores, *others, **options):
    kinds = np.float64, np.float64, np.int32
    return (scores.shape, scores.dtype), *((scores.shape[:1], np.dtype(kind)) for kind in kinds)


def _soft_permute(x, scores, *, temperature):
    return (permutation.soft_permute(scores, x, temperature=temperature),)


def _soft_permute_vjp(x, scores, cotangent, *, temperature):
    found = permutation.soft_permute_vjp(scores, x, cotangent, temperature=temperature)
    return found.x, found.scores


def _like_each(count):
    def results(*operands, **options):
        return tuple((x.shape, x.dtype) for x in operands[:count])

    return results


OPERATIONS["transport"] = Operation(_transport, (3, 2, 2), _of_transport)
OPERATIONS["transport_vjp"] = Operation(_transport_vjp, (3, 2, 2, 3), _like_each(3))
OPERATIONS["soft_permute"] = Operation(_soft_permute, (3, 2), like_logits)
OPERATIONS["soft_permute_vjp"] = Operation(_soft_permute_vjp, (3, 2, 3), _like_each(2))
OPERATIONS["structured"] = Operation(_apply, (1,), _of_apply)
OPERATIONS["structured_vjp"] = Operation(_product, (1,), like_logits)
