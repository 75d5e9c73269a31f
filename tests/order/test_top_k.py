"""Soft selection: marks against oracles, their sum, and finite differences."""

import numpy as np
import pytest
import reference_order as reference
from strategies import DTYPES

from fastgrad.order import soft_top_k, soft_top_k_vjp
from fastgrad.order.methods import METHODS

by_method = pytest.mark.parametrize("method", METHODS)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)


@by_method
@pytest.mark.parametrize("temperature", [0.05, 0.4, 2.0, 100.0])
def test_equals_the_oracle(temperature, method):
    rng = np.random.default_rng(0)
    for n, k in ((1, 1), (2, 1), (7, 3), (7, 7), (20, 6)):
        x = rng.normal(size=(2, n))
        options = {"method": method, "temperature": temperature}
        got = soft_top_k(x, k, **options)
        expected = [reference.soft_top_k(row, k, **options) for row in x]
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-9)
        np.testing.assert_allclose(got.sum(axis=1), k, rtol=1e-12)
        r = rng.normal(size=n)
        expected = r @ reference.jacobian(lambda y, k=k, o=options: soft_top_k(y, k, **o), x[0])
        grad = soft_top_k_vjp(x[0], r, k, **options)
        np.testing.assert_allclose(grad, expected, rtol=0, atol=1e-5 * (1 + abs(expected).max()))


def test_a_sparsemax_is_the_quadratic_mark_of_one():
    from fastgrad.sparse import sparsemax

    x = np.random.default_rng(0).normal(size=(30, 12))
    np.testing.assert_allclose(soft_top_k(x, 1), sparsemax(x), rtol=0, atol=1e-12)
    e = np.exp(x / 2)
    softmax = e / e.sum(axis=1, keepdims=True)
    got = soft_top_k(x, 1, method="entropic", temperature=2.0)
    np.testing.assert_allclose(got, softmax, rtol=1e-12)


@by_dtype
@by_method
def test_hard_limits_masks_and_ties(method, dtype):
    x = np.random.default_rng(0).normal(size=(4, 50)).astype(dtype)
    cold = soft_top_k(x, 7, method=method, temperature=1e-6)
    hard = soft_top_k(x, 7, hard=True)
    np.testing.assert_allclose(cold, hard, rtol=0, atol=1e-6)
    np.testing.assert_array_equal(hard, x >= -np.sort(-x, axis=1)[:, 6:7])
    hot = soft_top_k(x, 7, method=method, temperature=1e8)
    np.testing.assert_allclose(hot, 7 / 50, rtol=1e-5)
    y = np.array([1, 2, 2, -np.inf, 2], dtype)
    np.testing.assert_array_equal(soft_top_k(y, 2, hard=True), [0, 1, 1, 0, 0])
    tied = soft_top_k(y, 2, method=method, temperature=1e-6)
    np.testing.assert_allclose(tied, [0, 2 / 3, 2 / 3, 0, 2 / 3], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(soft_top_k(y, 4, method=method), [1, 1, 1, 0, 1])
    grad = soft_top_k_vjp(y, np.ones(5, dtype), 4, method=method)
    np.testing.assert_array_equal(grad, 0)


def test_errors():
    with pytest.raises(ValueError, match="k must be at least 1, got 0"):
        soft_top_k(np.zeros(3), 0)
    with pytest.raises(ValueError, match="number of values above -inf, 2 in row 1, got 3"):
        soft_top_k(np.array([[0.0, 1, 2], [0, -np.inf, 2]]), 3)
