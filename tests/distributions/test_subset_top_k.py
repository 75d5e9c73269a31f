"""Relaxed choices against the recursion that defines them."""

import numpy as np
import pytest
from strategies import DTYPES, some_logits

import fastgrad as fg
from fastgrad.distributions.subset import (
    gumbel_top_k,
    k_hot,
    relaxed_top_k,
    relaxed_top_k_vjp,
)

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
INF = np.inf


def recursion(alpha, k, temperature):
    """Xie and Ermon's sum of k softmaxes, in float64, with 1 - p as the sum of the others."""
    total = np.zeros_like(alpha)
    items = alpha.shape[-1]
    for _ in range(k):
        y = alpha / temperature
        e = np.exp(y - y.max(axis=-1, keepdims=True))
        s = e.sum(axis=-1, keepdims=True)
        total += e / s
        rest = np.stack([np.delete(e, i, axis=-1).sum(axis=-1) for i in range(items)], axis=-1)
        with np.errstate(divide="ignore"):
            alpha = alpha + np.log(rest / s)
    return total


@by_dtype
@pytest.mark.parametrize(("items", "k"), [(1, 1), (2, 1), (5, 3), (6, 6), (17, 4), (520, 3)])
@pytest.mark.parametrize("temperature", [0.01, 0.3, 1.0, 10.0])
def test_relaxed_equals_the_recursion(items, k, temperature, dtype):
    x = some_logits(11, items, dtype)
    x[(x > -INF).sum(axis=1) < k] = 0
    noisy = fg.gumbel_softmax(x, temperature=1.0, num_samples=2, rng=10, log=True)
    expected = recursion(noisy.astype(np.float64), k, temperature)
    got = relaxed_top_k(x, k, temperature=temperature, num_samples=2, rng=10)
    assert got.dtype == dtype
    eps = 100 * np.finfo(dtype).eps / temperature
    np.testing.assert_allclose(got, expected, rtol=0, atol=k * max(eps, 1e-13) * 10)
    np.testing.assert_allclose(got.sum(axis=-1), k, rtol=20 * np.finfo(dtype).eps)
    assert (got[:, np.isneginf(x)] == 0).all()


@by_dtype
def test_cold_relaxed_choices_are_hard(dtype):
    x = some_logits(50, 8, dtype)
    x[np.isneginf(x)] = -2
    z = gumbel_top_k(x, 3, num_samples=4, rng=11)
    hard = np.zeros((4, 50, 8))
    np.put_along_axis(hard, z, 1, axis=-1)
    soft = relaxed_top_k(x, 3, temperature=1e-6, num_samples=4, rng=11)
    assert (abs(soft - hard).max(axis=-1) < 1e-3).mean() > 0.99  # but for ties within 1e-5


@pytest.mark.parametrize(("items", "k"), [(5, 1), (5, 3), (6, 6), (7, 4), (515, 3)])
@pytest.mark.parametrize("temperature", [0.02, 0.3, 2.0])
def test_relaxed_products_equal_finite_differences(items, k, temperature):
    rng = np.random.default_rng(12)
    x = rng.normal(size=(2, items))
    if items > k:
        x[0, 1] = -INF
    r = rng.normal(size=(2, *x.shape))

    def loss(y):
        soft = relaxed_top_k(y, k, temperature=temperature, num_samples=2, rng=13)
        return (soft * r).sum()

    got = relaxed_top_k_vjp(x, r, k, temperature=temperature, rng=13)
    for i in np.argwhere(np.isfinite(x))[:24]:
        e = np.zeros_like(x)
        e[tuple(i)] = 1e-6
        expected = (loss(x + e) - loss(x - e)) / 2e-6
        assert got[tuple(i)] == pytest.approx(expected, rel=2e-5, abs=2e-6)
    assert (got[np.isneginf(x)] == 0).all()


@by_dtype
@pytest.mark.parametrize("temperature", [1e-4, 0.01, 1.0, 100.0])
def test_extreme_logits_are_finite(temperature, dtype):
    x = np.array([[1e4, -1e4, 0.0, -INF, 90.0], [0.0] * 5, [-90.0, 0.0, -INF, -INF, -90.0]], dtype)
    for k in (1, 3):
        soft = relaxed_top_k(x, k, temperature=temperature, num_samples=20, rng=14)
        assert np.isfinite(soft).all()
        r = np.random.default_rng(15).normal(size=soft.shape).astype(dtype)
        g = relaxed_top_k_vjp(x, r, k, temperature=temperature, rng=14)
        assert np.isfinite(g).all()
        assert (g[np.isneginf(x)] == 0).all()
        assert np.isfinite(k_hot(x, k, rng=0)).all()
