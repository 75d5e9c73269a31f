"""Subsets of all kinds: the same bits for any threads and chunks, layouts, shapes and errors."""

import numba
import numpy as np
import pytest
from strategies import DTYPES, WAYS, restride, some_logits

from fastgrad.distributions.subset import (
    k_hot,
    log_normaliser,
    marginals,
    marginals_vjp,
    relaxed_top_k,
    relaxed_top_k_vjp,
)

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
INF = np.inf


@by_dtype
@pytest.mark.parametrize(("items", "k"), [(7, 3), (600, 5)])
def test_bits_depend_neither_on_threads_nor_on_chunks(items, k, dtype):
    x = some_logits(60, items, dtype)
    x[np.isneginf(x)] = -3
    r = np.random.default_rng(8).normal(size=(3, *x.shape)).astype(dtype)
    options = {"temperature": 0.4, "rng": 9}
    results = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        results.append(
            [
                k_hot(x, k, num_samples=3, rng=9),
                relaxed_top_k(x, k, num_samples=3, **options),
                relaxed_top_k_vjp(x, r, k, **options),
                marginals(x, k),
                log_normaliser(x, k),
                marginals_vjp(x, r, k),
            ]
        )
    for a, b in zip(*results, strict=True):
        assert np.array_equal(a, b)
    hard, soft, product, mean, _, slope = results[0]
    part = {"row_offset": 17, "sample_offset": 1}
    assert np.array_equal(k_hot(x[17:], k, num_samples=2, rng=9, **part), hard[1:, 17:])
    again = relaxed_top_k(x[17:], k, num_samples=2, **options, **part)
    assert np.array_equal(again, soft[1:, 17:])
    assert np.array_equal(relaxed_top_k_vjp(x[:17], r[:, :17], k, **options), product[:17])
    assert np.array_equal(marginals(x[17:], k), mean[17:])
    assert np.array_equal(marginals_vjp(x[17:], r[:, 17:], k), slope[17:])


# -- shapes and errors -------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_layouts(way):
    x = some_logits(5, 6, np.float64)
    x[np.isneginf(x)] = 0
    y, r = restride(x, way), restride(x * x, way)
    assert np.array_equal(marginals(y, 2), marginals(x, 2))
    assert np.array_equal(marginals_vjp(y, r, 2), marginals_vjp(x, x * x, 2))
    assert np.array_equal(k_hot(y, 2, rng=0), k_hot(x, 2, rng=0))
    options = {"temperature": 0.5, "rng": 0}
    assert np.array_equal(relaxed_top_k(y, 2, **options), relaxed_top_k(x, 2, **options))


def test_shapes():
    x = np.zeros((2, 3, 5))
    options = {"temperature": 0.5, "rng": 0}
    assert relaxed_top_k(x, 2, **options).shape == (2, 3, 5)
    assert relaxed_top_k(x, 2, num_samples=4, **options).shape == (4, 2, 3, 5)
    assert relaxed_top_k_vjp(x, np.ones((4, 2, 3, 5)), 2, **options).shape == (2, 3, 5)
    assert k_hot(x, 2, rng=0).shape == (2, 3, 5)
    assert k_hot(x, 2, num_samples=4, rng=0).shape == (4, 2, 3, 5)
    assert marginals(x, 2).shape == (2, 3, 5)
    assert log_normaliser(x, 2).shape == (2, 3)
    out = np.empty((4, 2, 3, 5))
    assert k_hot(x, 2, num_samples=4, rng=0, out=out) is out
    assert marginals(x[:0], 2).shape == (0, 3, 5)


def test_products_sum_over_samples():
    x = np.random.default_rng(16).normal(size=(3, 5))
    r = np.random.default_rng(17).normal(size=(4, 3, 5))
    each = sum(marginals_vjp(x, one, 2) for one in r)
    np.testing.assert_allclose(marginals_vjp(x, r, 2), each, rtol=1e-9, atol=1e-12)


def test_k_above_the_support_is_an_error():
    x = np.array([[0.0, 0.0, 0.0], [0.0, -INF, -INF]])
    options = {"temperature": 0.5, "rng": 0}
    for call in (
        lambda k: k_hot(x, k, rng=0),
        lambda k: marginals(x, k),
        lambda k: log_normaliser(x, k),
        lambda k: marginals_vjp(x, np.zeros((2, 3)), k),
        lambda k: relaxed_top_k(x, k, **options),
        lambda k: relaxed_top_k_vjp(x, np.zeros((2, 3)), k, **options),
    ):
        with pytest.raises(ValueError, match=r"k must be at most .*, 1 in row \(1,\), got 2"):
            call(2)
        with pytest.raises(ValueError, match="k must be at least 1"):
            call(0)
        with pytest.raises(ValueError, match="number of logits, 3, got 4"):
            call(4)


def test_bad_calls():
    x = np.zeros((2, 3))
    with pytest.raises(ValueError, match="temperature must be"):
        relaxed_top_k(x, 1, temperature=0, rng=0)
    with pytest.raises(ValueError, match="cotangent must have shape"):
        marginals_vjp(x, np.zeros(2), 1)
    with pytest.raises(TypeError, match="not a Generator"):
        relaxed_top_k_vjp(x, x, 1, temperature=1, rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match="below infinity"):
        marginals(np.array([np.nan, 0.0]), 1)
