"""alpha-entmax against bisection in float64, its definition, and finite differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference_order import entmax as projected
from reference_order import jacobian
from strategies import DTYPES, WAYS, logits, restride, some_logits

import fastgrad as fg

ALPHAS = (1.0, 1.001, 1.2, 1.25, 1.5, 1.8, 2.0)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_alpha = pytest.mark.parametrize("alpha", ALPHAS)
SMALL = {np.float32: 4e-6, np.float64: 1e-12}
INF = np.inf


@by_dtype
@by_alpha
@pytest.mark.parametrize("k", [1, 2, 3, 64, 511, 513, 2000])
def test_equals_the_oracle(k, alpha, dtype):
    x = some_logits(70, k, dtype)
    p = fg.sparse.entmax(x, alpha=alpha)
    assert p.dtype == dtype
    np.testing.assert_allclose(p, projected(x, alpha), rtol=0, atol=SMALL[dtype])
    assert (p[np.isneginf(x)] == 0).all()
    np.testing.assert_allclose(p.sum(axis=1, dtype=np.float64), 1, atol=SMALL[dtype])


def test_published_examples():
    """Those of the README of the package entmax."""
    x = np.array([-2, 0, 0.5])
    np.testing.assert_allclose(fg.sparse.sparsemax(x), [0, 0.25, 0.75], atol=1e-15)
    np.testing.assert_allclose(fg.sparse.entmax15(x), [0, 0.3260, 0.6740], atol=5e-5)
    softmax = np.exp(x) / np.exp(x).sum()
    np.testing.assert_allclose(fg.sparse.entmax(x, alpha=1), softmax, atol=1e-15)


@by_dtype
def test_sparsemax_is_its_definition(dtype):
    """Martins and Astudillo, equation 4: the support is that of the sorted cumulative sums."""
    x = some_logits(200, 33, dtype)
    x[::3] = np.round(x[::3])  # ties
    z = -np.sort(-x.astype(np.float64), axis=1)
    sums = np.cumsum(np.where(np.isfinite(z), z, -1e9), axis=1)
    size = (1 + np.arange(1, 34) * z > sums).sum(axis=1)
    tau = (np.take_along_axis(sums, size[:, None] - 1, 1) - 1) / size[:, None]
    p = fg.sparse.sparsemax(x)
    np.testing.assert_allclose(p, np.maximum(x - tau, 0), rtol=0, atol=SMALL[dtype])
    assert ((p > 0).sum(axis=1) == size).mean() > 0.99  # but where rounding decides


@by_dtype
@by_alpha
@pytest.mark.parametrize("shift", [1e30, -1e30, 12345.0])
def test_a_shift_changes_nothing(shift, alpha, dtype):
    x = np.array([[0, 0, -INF, 0]], dtype) + dtype(shift)
    third = [[1 / 3, 1 / 3, 0, 1 / 3]]
    np.testing.assert_allclose(fg.sparse.entmax(x, alpha=alpha), third, rtol=0, atol=1e-6)
    far = np.array([[shift, 0.0]], dtype)  # one above the other, by far
    winner = [[1, 0]] if shift > 0 else [[0, 1]]
    np.testing.assert_array_equal(fg.sparse.entmax(far, alpha=alpha), winner)


@by_dtype
@pytest.mark.parametrize("alpha", [1.0, 1.3, 1.5, 2.0])
def test_rows_of_a_million(alpha, dtype):
    k = 10**6
    even = fg.sparse.entmax(np.full((1, k), 7, dtype), alpha=alpha)
    np.testing.assert_allclose(even, 1 / k, rtol=1e-5)
    x = np.random.default_rng(0).normal(size=(1, k)).astype(dtype) * dtype(1e-3)
    p = fg.sparse.entmax(x, alpha=alpha)
    np.testing.assert_allclose(p.sum(dtype=np.float64), 1, rtol=1e-5)
    x = x[:, : k // 50]
    p = fg.sparse.entmax(x, alpha=alpha)
    np.testing.assert_allclose(p, projected(x, alpha), rtol=0, atol=1e-4 * p.max())


@settings(max_examples=60, deadline=None)
@given(logits(), st.sampled_from(ALPHAS), st.randoms(use_true_random=False))
def test_properties(x, alpha, random):
    p = fg.sparse.entmax(x, alpha=alpha)
    np.testing.assert_allclose(p, projected(x, alpha), rtol=0, atol=SMALL[p.dtype.type])
    assert p.min() >= 0
    order = list(range(x.shape[-1]))
    random.shuffle(order)
    again = fg.sparse.entmax(x[..., order], alpha=alpha)
    np.testing.assert_allclose(again, p[..., order], rtol=0, atol=SMALL[p.dtype.type])
    one = fg.sparse.entmax(x.reshape(-1, x.shape[-1])[-1], alpha=alpha)
    np.testing.assert_array_equal(one, p.reshape(-1, x.shape[-1])[-1])  # rows do not mix


@pytest.mark.parametrize("way", WAYS)
def test_strides(way):
    x, r = some_logits(9, 7, np.float64), np.random.default_rng(1).normal(size=(9, 7))
    np.testing.assert_array_equal(fg.sparse.entmax15(restride(x, way)), fg.sparse.entmax15(x))
    grad = fg.sparse.entmax15_vjp(restride(x, way), restride(r, way))
    np.testing.assert_array_equal(grad, fg.sparse.entmax15_vjp(x, r))


@by_alpha
def test_products_equal_differences(alpha):
    rng = np.random.default_rng(3)
    for k in (1, 2, 7, 30):
        x, r = rng.normal(size=k), rng.normal(size=k)
        expected = r @ jacobian(lambda y: fg.sparse.entmax(y, alpha=alpha), x)
        got = fg.sparse.entmax_vjp(x, r, alpha=alpha)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-6)


@by_dtype
@pytest.mark.parametrize("k", [5, 700])
def test_products_of_many_rows_and_samples(k, dtype):
    x = some_logits(40, k, dtype)
    r = np.random.default_rng(0).normal(size=(3, 40, k)).astype(dtype)
    for alpha, name in ((2.0, "sparsemax"), (1.5, "entmax15"), (1.0, None)):
        p = projected(x, alpha)
        s = np.where(p > 0, p ** (2 - alpha), 0)
        c = r.sum(axis=0, dtype=np.float64)
        expected = s * (c - (s * c).sum(1, keepdims=True) / s.sum(1, keepdims=True))
        got = fg.sparse.entmax_vjp(x, r, alpha=alpha)
        np.testing.assert_allclose(
            got, expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-9
        )
        assert (got[np.isneginf(x)] == 0).all()
        if name:
            same = getattr(fg.sparse, f"{name}_vjp")(x, r)
            np.testing.assert_array_equal(same, got)
            forward = getattr(fg.sparse, name)(x)
            np.testing.assert_array_equal(forward, fg.sparse.entmax(x, alpha=alpha))


def test_the_number_of_threads_makes_no_difference():
    x = some_logits(3000, 40, np.float32)
    before = fg.get_num_threads()
    try:
        results = []
        for threads in (1, 2):
            fg.set_num_threads(threads)
            results.append([fg.sparse.entmax(x, alpha=a) for a in (1.3, 1.5, 2.0)])
    finally:
        fg.set_num_threads(before)
    np.testing.assert_array_equal(*results)


def test_out_and_errors():
    x = some_logits(4, 3, np.float32)
    out = np.empty((4, 3), np.float32)
    assert fg.sparse.sparsemax(x, out=out) is out
    with pytest.raises(ValueError, match=r"alpha must be from 1 to 2, got 0\.5"):
        fg.sparse.entmax(x, alpha=0.5)
    with pytest.raises(TypeError, match="alpha must be a number"):
        fg.sparse.entmax(x, alpha="2")
    with pytest.raises(ValueError, match="logits must be below infinity"):
        fg.sparse.sparsemax(np.array([0, np.nan]))
    with pytest.raises(ValueError, match="only -inf in row"):
        fg.sparse.entmax15_vjp(np.full((2, 3), -INF), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="cotangent must have shape"):
        fg.sparse.sparsemax_vjp(x, np.zeros(3))
    assert fg.sparse.sparsemax(np.zeros((0, 3))).shape == (0, 3)
    assert (fg.sparse.entmax_vjp(x, np.zeros((0, 4, 3)), alpha=2) == 0).all()
