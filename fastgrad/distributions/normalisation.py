"""The log of the sum of exponentials of rows, short or long."""

from __future__ import annotations

import numpy as np

from fastgrad import _marks, _validate
from fastgrad._typing import FloatArray
from fastgrad.kernels.distributions import categorical as _kernels
from fastgrad.kernels.distributions import categorical_long as _segments


def normaliser(
    rows: FloatArray, shape: tuple[int, ...] | None = None
) -> tuple[FloatArray, FloatArray]:
    """Return logsumexp of each row of (N, K) logits, as two numbers to be added.

    The first is the row's maximum: it is taken from a logit first, so that a shift of the row
    changes nothing. With their shape logits are checked, too.
    """
    if rows.shape[1] <= _segments.SEGMENT:
        maximum, log_sum = np.empty(rows.shape[0], rows.dtype), np.empty(rows.shape[0], rows.dtype)
        _marks.checking(_kernels.normaliser, rows, shape, maximum, log_sum)
        return maximum, log_sum
    if shape:
        _validate.check_logits(rows, "logits", shape)
    maximum, rest = partials(rows)
    top, each = maximum.max(axis=1), np.arange(len(rows))
    weight = (1 + rest) * np.exp(maximum - top[:, None], dtype=np.float64)
    first = maximum.argmax(axis=1)
    weight[each, first] = rest[each, first]
    return top, np.log1p(weight.sum(axis=1)).astype(rows.dtype)


def partials(rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return each segment's largest logit, and the sum of the others' exp relative to it."""
    segments = -(-rows.shape[1] // _segments.SEGMENT)
    maximum = np.empty((rows.shape[0], segments), rows.dtype)
    rest = np.empty(maximum.shape)
    _segments.partials(rows, maximum, rest)
    return maximum, rest
