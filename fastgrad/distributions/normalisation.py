"""The log of the sum of exponentials of rows, short or long."""

from __future__ import annotations

import numpy as np

from fastgrad._typing import FloatArray
from fastgrad.kernels.distributions import categorical as _kernels
from fastgrad.kernels.distributions import categorical_long as _segments


def log_normaliser(rows: FloatArray) -> FloatArray:
    """Log of the sum of exp over each row of checked (N, K) logits, shape (N,)."""
    if rows.shape[1] <= _segments.SEGMENT:
        out = np.empty(rows.shape[0], rows.dtype)
        _kernels.log_normaliser(rows, out)
        return out
    maximum, total = partials(rows)
    top = maximum.max(axis=1, keepdims=True)
    weight = total * np.exp(maximum - top, dtype=np.float64)
    return (top[:, 0] + np.log(weight.sum(axis=1))).astype(rows.dtype)


def partials(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return of each segment of each row the largest logit, and the sum of exp relative to it."""
    segments = -(-rows.shape[1] // _segments.SEGMENT)
    maximum = np.empty((rows.shape[0], segments), rows.dtype)
    total = np.empty(maximum.shape)
    _segments.partials(rows, maximum, total)
    return maximum, total
