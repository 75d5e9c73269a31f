"""Sums of exponentials of short rows, and of rows in segments, against SciPy."""

import numpy as np
import pytest
from scipy.special import logsumexp

from fastgrad._validate import frozen
from fastgrad.distributions.normalisation import normaliser, partials
from fastgrad.kernels.distributions.categorical_long import SEGMENT


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("k", [1, 7, SEGMENT, SEGMENT + 1, 3 * SEGMENT - 5])
def test_both_numbers_of_the_normaliser(k, dtype):
    rows = (10 * np.random.default_rng(k).normal(size=(3, k))).astype(dtype)
    rows[1, 1:] = -np.inf
    maximum, log_sum = normaliser(frozen(rows))
    assert maximum.dtype == log_sum.dtype == dtype
    np.testing.assert_array_equal(maximum, rows.max(axis=1))
    expected = logsumexp(rows.astype(np.float64) - maximum[:, None].astype(np.float64), axis=1)
    np.testing.assert_allclose(log_sum, expected, rtol=8 * np.finfo(dtype).eps)


def test_partials_are_of_segments():
    rows = np.random.default_rng(1).normal(size=(2, SEGMENT + 3))
    maximum, rest = partials(frozen(rows))
    for begin, column in ((0, 0), (SEGMENT, 1)):
        part = rows[:, begin : begin + SEGMENT]
        np.testing.assert_array_equal(maximum[:, column], part.max(axis=1))
        expected = np.exp(part - part.max(axis=1, keepdims=True)).sum(axis=1)
        np.testing.assert_allclose(1 + rest[:, column], expected, rtol=1e-13)
