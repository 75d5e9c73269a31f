"""Categories drawn by inverting the cumulative distribution, into arrays known to be fitting."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _marks, _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete, Softmax
from fastgrad.distributions.normalisation import partials
from fastgrad.kernels.distributions import categorical_inverse as _inverse
from fastgrad.kernels.distributions import categorical_long as _segments
from fastgrad.kernels.distributions import categorical_marked as _marked


def draw(
    rows: FloatArray,
    noise: Any,
    z: IntArray,
    shape: tuple[int, ...],
    softmax: Softmax | None = None,
) -> None:
    """Fill z, (S, N), with categories of the rows, (N, K), of logits of a shape.

    Logits are refused as `fastgrad.sample` refuses them. With up to SEGMENT categories the marked
    softmax can be kept: see `Discrete.keeping`.
    """
    if rows.shape[1] <= _segments.SEGMENT:
        bad = _marks.marks()
        if softmax is None:
            _inverse.sample(rows, noise, z, bad)
        else:
            _marked.sample(rows, noise, z, bad, *softmax)
        _marks.refuse(bad, _validate.check_logits, rows, "logits", shape)
        return
    _validate.check_logits(rows, "logits", shape)
    maximum, rest = partials(rows)
    weight = (1 + rest) * np.exp(maximum - maximum.max(axis=1, keepdims=True), dtype=np.float64)
    _segments.sample_inverse(rows, maximum, weight, noise, z)


def drawn(distribution: Discrete, num_samples: int, place: Any) -> IntArray:
    """Return categories of logits that `draw` looks at, (S, *batch).

    The softmax is kept where that is wanted, up to SEGMENT categories.
    """
    rows, shape, own = distribution.matrix, distribution.logits.shape, vars(distribution)
    z, softmax = np.empty((num_samples, len(rows)), np.int32), None
    if own.get("kept_softmax", ()) is None and shape[-1] <= _segments.SEGMENT:
        n = len(rows)
        softmax = np.empty_like(rows), np.empty(n, np.int32), np.empty(n, rows.dtype)
    draw(rows, place, z, shape, softmax)
    z = z if len(shape) == 2 else z.reshape(num_samples, *shape[:-1])
    if softmax is not None:
        own["kept_softmax"] = softmax
    return z
