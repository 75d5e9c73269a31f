"""Sparse relaxed samples: the noise is that of `gumbel_softmax`, and never stored."""

import numpy as np
import pytest
from strategies import DTYPES, some_logits

import fastgrad as fg
from fastgrad.sparse import entmax, gumbel_entmax, gumbel_entmax_vjp

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_alpha = pytest.mark.parametrize("alpha", [1.0, 1.4, 1.5, 2.0])
KEY = fg.Key(11)


@by_dtype
@by_alpha
@pytest.mark.parametrize("k", [4, 600])
def test_maps_the_perturbed_logits_of_gumbel_softmax(k, alpha, dtype):
    x, options = some_logits(21, k, dtype), {"num_samples": 3, "rng": KEY}
    perturbed = fg.gumbel_softmax(x, temperature=1.0, log=True, **options)  # up to a shift
    got = gumbel_entmax(x, alpha=alpha, temperature=0.7, **options)
    expected = entmax(perturbed / dtype(0.7), alpha=alpha)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 if dtype == np.float32 else 1e-10)
    z = fg.sample(x, method="gumbel", **options)
    assert (np.take_along_axis(got, z[..., None], -1)[..., 0] == got.max(axis=-1)).all()


@by_alpha
def test_products_equal_differences(alpha):
    rng, options = np.random.default_rng(0), {"alpha": alpha, "temperature": 0.8, "rng": KEY}
    x, r, step = rng.normal(size=5), rng.normal(size=(4, 5)), 1e-6
    expected = np.zeros(5)
    for j in range(5):
        up, down = x.copy(), x.copy()
        up[j], down[j] = x[j] + step, x[j] - step
        change = [gumbel_entmax(y, num_samples=4, **options) for y in (up, down)]
        expected[j] = (r * (change[0] - change[1])).sum() / (2 * step)
    np.testing.assert_allclose(gumbel_entmax_vjp(x, r, **options), expected, rtol=0, atol=1e-6)


@by_dtype
def test_chunks_of_rows_and_samples_equal_one_call(dtype):
    x, options = some_logits(30, 6, dtype), {"alpha": 1.5, "temperature": 0.5, "rng": KEY}
    whole = gumbel_entmax(x, num_samples=5, **options)
    part = gumbel_entmax(x[7:19], num_samples=2, row_offset=7, sample_offset=3, **options)
    np.testing.assert_array_equal(part, whole[3:, 7:19])
    r = np.ones((5, 30, 6), dtype) * np.arange(6, dtype=dtype)
    grad = gumbel_entmax_vjp(x, r, **options)
    again = gumbel_entmax_vjp(x[7:], r[:, 7:], row_offset=7, **options)
    np.testing.assert_array_equal(again, grad[7:])


def test_gumbel_sparsemax_is_alpha_2():
    x, options = some_logits(9, 5, np.float64), {"temperature": 0.5, "rng": 3}
    p = fg.sparse.gumbel_sparsemax(x, num_samples=2, **options)
    np.testing.assert_array_equal(p, gumbel_entmax(x, alpha=2, num_samples=2, **options))
    grad = fg.sparse.gumbel_sparsemax_vjp(x, p, **options)
    np.testing.assert_array_equal(grad, gumbel_entmax_vjp(x, p, alpha=2, **options))
    assert (p == 0).mean() > 0.3


def test_errors():
    x = np.zeros(3)
    with pytest.raises(ValueError, match="temperature must be"):
        gumbel_entmax(x, alpha=2, temperature=0, rng=0)
    with pytest.raises(TypeError, match="not a Generator"):
        gumbel_entmax_vjp(x, x, alpha=2, temperature=1, rng=np.random.default_rng(0))
