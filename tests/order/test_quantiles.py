"""Soft quantiles against those of NumPy and finite differences."""

import numpy as np
import pytest
import reference_order as reference
from strategies import DTYPES

from fastgrad.order import (
    soft_median,
    soft_median_vjp,
    soft_quantile,
    soft_quantile_vjp,
    soft_sort,
)
from fastgrad.order.methods import METHODS

by_method = pytest.mark.parametrize("method", METHODS)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("q", [0.0, 1.0, 0.3, [0.25, 0.5], [[0.1], [0.9]]])
def test_hard_quantiles_are_those_of_numpy(q, dtype):
    x = np.random.default_rng(0).normal(size=(2, 3, 11)).astype(dtype)
    got = soft_quantile(x, q, hard=True)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, np.quantile(x, q, axis=-1), rtol=1e-5)
    np.testing.assert_array_equal(soft_quantile(x[..., :1], q), np.quantile(x[..., :1], q, axis=-1))


@by_method
def test_masked_values_are_left_out(method):
    x = np.array([[3.0, -np.inf, 1.0, 2.0], [4.0, 3.0, 2.0, 9.0], [-np.inf, 5.0, -np.inf, -np.inf]])
    hard = soft_quantile(x, 0.4, hard=True)
    for row, got in zip(x, hard, strict=True):
        assert got == pytest.approx(np.quantile(row[np.isfinite(row)], 0.4))
    soft = soft_quantile(x, 0.4, method=method, temperature=0.5)
    assert soft[0] == pytest.approx(
        soft_quantile(x[0, [0, 2, 3]], 0.4, method=method, temperature=0.5)
    )
    grad = soft_quantile_vjp(x, np.ones(3), 0.4, method=method, temperature=0.5)
    assert (grad[np.isneginf(x)] == 0).all()
    np.testing.assert_allclose(grad.sum(axis=1), 1)


@by_method
def test_products_equal_differences(method):
    rng, q = np.random.default_rng(0), [0.0, 0.2, 0.25, 1.0]
    options = {"method": method, "temperature": 0.6}
    x, r = rng.normal(size=9), rng.normal(size=4)
    expected = r @ reference.jacobian(lambda y: soft_quantile(y, q, **options), x)
    np.testing.assert_allclose(soft_quantile_vjp(x, r, q, **options), expected, atol=1e-7)


@by_method
def test_medians(method):
    x = np.random.default_rng(0).normal(size=(4, 7))
    ordered = soft_sort(x, method=method, temperature=0.5)
    got = soft_median(x, method=method, temperature=0.5)
    np.testing.assert_array_equal(got, ordered[:, 3])
    grad = soft_median_vjp(x, np.ones(4), method=method, temperature=0.5)
    np.testing.assert_allclose(grad.sum(axis=1), 1)


def test_errors():
    with pytest.raises(ValueError, match=r"q must be from 0 to 1, got 1\.5"):
        soft_quantile(np.zeros(3), [0.5, 1.5])
    with pytest.raises(ValueError, match="q must be from 0 to 1, got nan"):
        soft_quantile(np.zeros(3), np.nan)
