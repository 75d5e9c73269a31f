"""Soft sorting against minimal and maximal means, sums of Laplace functions, and differences."""

import time

import numpy as np
import pytest
import reference_order as reference
from strategies import DTYPES

import fastgrad as fg
from fastgrad.order import soft_sort, soft_sort_vjp
from fastgrad.order.methods import METHODS

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_method = pytest.mark.parametrize("method", METHODS)
by_direction = pytest.mark.parametrize("descending", [False, True])
TEMPERATURES = (1e-3, 0.1, 0.7, 5.0, 1e3)


def stable_order(x, descending):
    """Indices of rows in order, equal values in the order of their indices."""
    return np.argsort(-x if descending else x, axis=-1, kind="stable")


@by_method
@by_direction
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_equals_the_oracle(temperature, descending, method):
    rng = np.random.default_rng(1)
    options = {"method": method, "temperature": temperature, "descending": descending}
    for n in (1, 2, 9, 24):
        x = rng.normal(size=(3, n))
        x[1] = np.round(x[1])  # ties
        got = soft_sort(x, **options)
        expected = [reference.soft_sort(row, **options) for row in x]
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9 * max(temperature, 1))
        single = soft_sort(x.astype(np.float32), **options)
        assert single.dtype == np.float32
        np.testing.assert_allclose(single, got, rtol=1e-5, atol=1e-5 * max(temperature, 1))


def test_published_examples():
    """Those of the READMEs of fast-soft-sort and torchsort."""
    x = np.array([[5.0, 1, 2], [2, 1, 5]])
    np.testing.assert_allclose(soft_sort(x), [[5 / 3, 8 / 3, 11 / 3]] * 2)
    np.testing.assert_allclose(soft_sort(x, temperature=0.1), [[1, 2, 5]] * 2)
    y = np.array([8.0, 0, 5, 3, 2, 1, 6, 7, 9])
    np.testing.assert_allclose(soft_sort(y), np.arange(9) + 5 / 9)
    np.testing.assert_allclose(soft_sort(y, temperature=0.1), np.sort(y), atol=1e-12)
    np.testing.assert_allclose(soft_sort_vjp(y, np.eye(9)[0]), np.full(9, 1 / 9))


@by_method
@by_direction
@pytest.mark.parametrize("temperature", [0.05, 0.7, 5.0])
def test_products_equal_differences(temperature, descending, method):
    rng = np.random.default_rng(2)
    options = {"method": method, "temperature": temperature, "descending": descending}
    for n in (1, 2, 8, 40):
        x, r = rng.normal(size=n), rng.normal(size=n)
        expected = r @ reference.jacobian(lambda y: soft_sort(y, **options), x)
        np.testing.assert_allclose(soft_sort_vjp(x, r, **options), expected, rtol=0, atol=2e-6)


@by_dtype
@by_direction
@pytest.mark.parametrize("n", [1, 2, 32, 33, 500, 2999, 3000, 20_000])
def test_hard_sorts_are_those_of_numpy(n, descending, dtype):
    """Insertion, the map onto digits, its bounds, and passes over 8 and over 11 bits."""
    rng = np.random.default_rng(n)
    x = rng.normal(size=(12, n)).astype(dtype)
    x[1] = rng.integers(-3, 4, n)
    x[2] = 1 + x[2] * np.finfo(dtype).eps * 1000
    x[3, rng.random(n) < 0.2] = -np.inf
    x[3, 0] = -0.0
    x[4] = rng.standard_cauchy(n)
    x[5] = 2.0 ** rng.integers(-120, 120, n)
    x[6] = x[6] * 1e-9 + rng.integers(0, 200, n)  # crowds that no sample tells of
    x[7] = np.finfo(dtype).smallest_subnormal * rng.integers(0, 99, n)
    x[8:10] = 3.0
    x[9, 0] = -np.inf if n > 1 else 3.0
    x[10].sort()
    x[11, 1:] = np.round(x[11, 1:], 1)  # ties among others
    got = soft_sort(x, hard=True, descending=descending)
    order = stable_order(x, descending)
    np.testing.assert_array_equal(got, np.take_along_axis(x, order, axis=1))
    ranks = fg.order.soft_rank(x, hard=True, descending=descending)
    live = np.take_along_axis(x, order, axis=1) > -np.inf
    expected = np.zeros_like(x)
    np.put_along_axis(expected, order, (np.cumsum(live, axis=1) * live).astype(dtype), axis=1)
    np.testing.assert_array_equal(ranks, expected)


@by_method
def test_limits(method):
    x = np.random.default_rng(0).normal(size=(5, 30))
    cold = soft_sort(x, method=method, temperature=1e-7)
    np.testing.assert_allclose(cold, np.sort(x, axis=1), rtol=0, atol=1e-6)
    hot = soft_sort(x, method=method, temperature=1e7)
    if method == "laplace":  # logistic-like quantiles, around the mean
        np.testing.assert_allclose(hot + hot[:, ::-1], 0, atol=1e-6 * 1e7)
        return
    mean = x.mean(axis=1, keepdims=True)
    if method == "entropic":
        mean = -np.log(np.exp(-x).mean(axis=1, keepdims=True))
    np.testing.assert_allclose(hot, np.broadcast_to(mean, x.shape), rtol=0, atol=1e-5)


@by_method
def test_a_shift_moves_the_result(method):
    x = np.random.default_rng(0).normal(size=30)
    got = soft_sort(x + 1e6, method=method, temperature=0.3) - 1e6
    np.testing.assert_allclose(got, soft_sort(x, method=method, temperature=0.3), rtol=0, atol=1e-8)
    far = np.array([1e30, 1e30, 1e30], np.float32)
    np.testing.assert_array_equal(soft_sort(far, method=method, temperature=1e-6), far)


def test_masked_values_are_left_out():
    x = np.array([3.0, -np.inf, 1.0, 2.0, -np.inf])
    live = np.array([3.0, 1.0, 2.0])
    for method in METHODS:
        for descending in (False, True):
            options = {"method": method, "temperature": 2.0, "descending": descending}
            got, kept = soft_sort(x, **options), soft_sort(live, **options)
            gone = [-np.inf, -np.inf]
            expected = [*kept, *gone] if descending else [*gone, *kept]
            np.testing.assert_array_equal(got, expected)
            r = np.arange(1.0, 6.0)
            grad = soft_sort_vjp(x, r, **options)
            part = soft_sort_vjp(live, r[:3] if descending else r[2:], **options)
            np.testing.assert_array_equal(grad, [part[0], 0, part[1], part[2], 0])


def test_the_sum_stays_and_the_order_holds():
    x = np.random.default_rng(0).normal(size=(20, 100)) * 5
    y = soft_sort(x, temperature=0.5)
    np.testing.assert_allclose(y.sum(axis=1), x.sum(axis=1))
    for method in METHODS:
        assert (np.diff(soft_sort(x, method=method, temperature=0.5), axis=1) >= -1e-12).all()


def test_crowded_rows_take_no_longer_for_their_crowds():
    """Exchanges within 300 crowds of 3,333 values each would take far longer."""
    rng = np.random.default_rng(0)
    spread = rng.normal(size=10**6)
    crowded = spread * 1e-6 + rng.integers(0, 300, spread.size)
    soft_sort(spread[:50], hard=True)  # compiled
    times = []
    for x in (spread, crowded):
        start = time.process_time()
        y = soft_sort(x, hard=True)
        times.append(time.process_time() - start)
        np.testing.assert_array_equal(y, np.sort(x))
    assert times[1] < 8 * times[0]


def test_long_rows():
    x = np.random.default_rng(0).normal(size=(1, 10**6)).astype(np.float32)
    y = soft_sort(x, temperature=1e-9)
    np.testing.assert_allclose(y, np.sort(x), rtol=0, atol=1e-6)
    assert fg.order.soft_rank(x, temperature=100.0).sum(dtype=np.float64) == pytest.approx(
        5e5 * (1e6 + 1), rel=1e-6
    )
