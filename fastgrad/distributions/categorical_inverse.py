"""Categories drawn by inverting the cumulative distribution, into arrays known to be fitting."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.normalisation import partials
from fastgrad.kernels.compiler.jit import MAX_CHUNKS
from fastgrad.kernels.distributions import categorical_inverse as _inverse
from fastgrad.kernels.distributions import categorical_long as _segments


def draw(rows: FloatArray, noise: Any, z: IntArray, shape: tuple[int, ...]) -> None:
    """Fill z, (S, N), with categories of the rows, (N, K), of logits of a shape.

    Logits are refused as `fastgrad.sample` refuses them.
    """
    if rows.shape[1] <= _segments.SEGMENT:
        # The kernel sees invalid rows by the way: a pass of their own would cost it a sixth.
        bad = np.zeros(MAX_CHUNKS, np.bool_)
        _inverse.sample(rows, noise, z, bad)
        if 1 in bad.tobytes():  # a few hundred bytes: `any` of an array takes ten times as long
            _validate.check_logits(rows, "logits", shape)
        return
    _validate.check_logits(rows, "logits", shape)
    maximum, rest = partials(rows)
    weight = (1 + rest) * np.exp(maximum - maximum.max(axis=1, keepdims=True), dtype=np.float64)
    _segments.sample_inverse(rows, maximum, weight, noise, z)
