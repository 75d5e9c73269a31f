"""Soft ranking: a projection, by the definition of projections; sums of Laplace functions."""

import itertools

import numpy as np
import pytest
import reference_order as reference
from scipy import stats
from strategies import DTYPES

from fastgrad.order import soft_rank, soft_rank_vjp
from fastgrad.order.methods import METHODS

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_method = pytest.mark.parametrize("method", METHODS)
by_direction = pytest.mark.parametrize("descending", [False, True])


@by_method
@by_direction
@pytest.mark.parametrize("temperature", [1e-3, 0.1, 0.7, 5.0, 1e3])
def test_equals_the_oracle(temperature, descending, method):
    rng = np.random.default_rng(1)
    options = {"method": method, "temperature": temperature, "descending": descending}
    for n in (1, 2, 9, 24):
        x = rng.normal(size=(3, n))
        x[1] = np.round(x[1])
        got = soft_rank(x, **options)
        expected = [reference.soft_rank(row, **options) for row in x]
        np.testing.assert_allclose(got, expected, rtol=1e-9)
        single = soft_rank(x.astype(np.float32), **options)
        np.testing.assert_allclose(single, got, rtol=1e-4 if temperature == 1e-3 else 1e-5)


@pytest.mark.parametrize("temperature", [0.1, 0.5, 3.0])
def test_projections_by_definition(temperature):
    """<gradient at y, p - y> >= 0 for every vertex p, of the objective that y is to minimise."""
    x = np.random.default_rng(4).normal(size=5)
    vertices = np.array(list(itertools.permutations(np.arange(1.0, 6.0))))
    y = soft_rank(x, temperature=temperature)
    assert ((vertices - y) @ (y - x / temperature)).min() > -1e-10
    z = soft_rank(x, temperature=temperature, method="entropic")
    assert ((vertices - z) @ (np.log(z) - x / temperature)).min() > -1e-10
    for ranks in (y, z):  # and they are in the polytope: sorted, partial sums are bounded
        partial = np.cumsum(np.sort(ranks))
        assert (partial >= np.cumsum(np.arange(1.0, 6.0)) - 1e-10).all()
        assert partial[-1] == pytest.approx(15)


def test_published_examples():
    """Those of the READMEs of fast-soft-sort and torchsort."""
    x = np.array([[5.0, 1, 2], [2, 1, 5]])
    np.testing.assert_allclose(soft_rank(x, temperature=2.0), [[3, 1.25, 1.75], [1.75, 1.25, 3]])
    np.testing.assert_allclose(soft_rank(x), [[3, 1, 2], [2, 1, 3]])
    y = np.array([8.0, 0, 5, 3, 2, 1, 6, 7, 9])
    np.testing.assert_allclose(soft_rank(y), [8, 1, 5, 4, 3, 2, 6, 7, 9])


@by_method
@by_direction
@pytest.mark.parametrize("temperature", [0.05, 0.7, 5.0])
def test_products_equal_differences(temperature, descending, method):
    rng = np.random.default_rng(2)
    options = {"method": method, "temperature": temperature, "descending": descending}
    for n in (1, 2, 8, 40):
        x, r = rng.normal(size=n), rng.normal(size=n)
        expected = r @ reference.jacobian(lambda y: soft_rank(y, **options), x)
        atol = 1e-6 * (1 + abs(expected).max())
        np.testing.assert_allclose(soft_rank_vjp(x, r, **options), expected, rtol=0, atol=atol)


@by_dtype
@by_direction
@pytest.mark.parametrize("n", [1, 30, 1000, 5000])
def test_hard_ranks_are_those_of_scipy(n, descending, dtype):
    x = np.random.default_rng(n).normal(size=(3, n)).astype(dtype)
    x[1] = np.round(x[1])
    got = soft_rank(x, hard=True, descending=descending)
    ranked = -x if descending else x
    np.testing.assert_array_equal(got, stats.rankdata(ranked, method="ordinal", axis=1))


@by_method
def test_limits_and_ties(method):
    x = np.random.default_rng(0).normal(size=(5, 30))
    cold = soft_rank(x, method=method, temperature=1e-7)
    np.testing.assert_allclose(cold, soft_rank(x, hard=True), rtol=1e-9)
    hot = soft_rank(x, method=method, temperature=1e9)
    np.testing.assert_allclose(hot, 15.5, rtol=1e-6)
    tied = soft_rank(np.array([1.0, 3.0, 1.0, 1.0]), method=method, temperature=1e-7)
    np.testing.assert_allclose(tied, [2, 4, 2, 2], rtol=1e-12)


@by_method
def test_masked_values_are_left_out(method):
    x, live = np.array([3.0, -np.inf, 1.0, 2.0]), np.array([3.0, 1.0, 2.0])
    for options in ({"hard": True}, {"temperature": 0.8}, {"descending": True}):
        a, b, c = soft_rank(live, method=method, **options)
        np.testing.assert_array_equal(soft_rank(x, method=method, **options), [a, 0, b, c])
    r = np.array([1.0, 5.0, -1.0, 2.0])
    grad = soft_rank_vjp(x, r, method=method, temperature=2.0)
    part = soft_rank_vjp(live, r[[0, 2, 3]], method=method, temperature=2.0)
    np.testing.assert_array_equal(grad, [part[0], 0, part[1], part[2]])


@by_dtype
@by_method
def test_extreme_values(method, dtype):
    """Far values and small temperatures rank exactly; a shift of 1e30 leaves only ties."""
    x = np.array([1e30, -1e30, 0, 3e37], dtype)
    got = soft_rank(x, method=method, temperature=2.0**-60)
    np.testing.assert_array_equal(got, [3, 1, 2, 4])
    np.testing.assert_array_equal(soft_rank(np.full(3, 1e30, dtype), method=method), [2, 2, 2])
