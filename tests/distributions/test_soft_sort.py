"""Soft permutations against their matrices, and finite differences."""

import numpy as np
import pytest

import fastgrad as fg

soft_permute, soft_permute_vjp = fg.permutation.soft_permute, fg.permutation.soft_permute_vjp
RNG = np.random.default_rng(0)
SCORES, ITEMS = RNG.normal(size=(2, 3, 17)), RNG.normal(size=(2, 3, 17, 4))


def matrix(scores, temperature):
    """SoftSort's matrix of one row of scores, from the definition."""
    t = -np.sort(-scores)
    x = np.exp(-abs(t[:, None] - scores) / temperature)
    return x / x.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("temperature", [1e-3, 0.1, 1.0, 1e4])
def test_they_are_the_products_with_softsort_matrices(temperature):
    found = soft_permute(SCORES, ITEMS, temperature=temperature)
    for index in np.ndindex(2, 3):
        expected = matrix(SCORES[index], temperature) @ ITEMS[index]
        np.testing.assert_allclose(found[index], expected, rtol=1e-10, atol=1e-12)


def test_temperatures_of_each_row():
    temperature = np.array([0.2, 0.5, 1.0])
    found = soft_permute(SCORES, ITEMS, temperature=temperature)
    for i, t in enumerate(temperature):
        alone = soft_permute(SCORES[:, i].copy(), ITEMS[:, i].copy(), temperature=float(t))
        np.testing.assert_array_equal(found[:, i], alone)


def test_products_with_the_jacobians():
    rng, h = np.random.default_rng(1), 1e-6
    r, dx, ds = (rng.normal(size=a.shape) for a in (ITEMS, ITEMS, SCORES))
    grad = soft_permute_vjp(SCORES, ITEMS, r, temperature=0.3)
    for product, (a, b) in (
        ((grad.scores * ds).sum(), (ds, 0 * dx)),
        ((grad.x * dx).sum(), (0 * ds, dx)),
    ):
        up, down = (soft_permute(SCORES + s * a, ITEMS + s * b, temperature=0.3) for s in (h, -h))
        assert product == pytest.approx((r * (up - down)).sum() / (2 * h), rel=1e-7)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_ties_and_scores_far_apart(dtype):
    scores = np.array([1e6, 0.0, 0.0, -1e30, 0.0], dtype)
    x = np.arange(5, dtype=dtype)[:, None]
    found = soft_permute(scores, x, temperature=0.5)
    assert found.dtype == dtype
    np.testing.assert_allclose(found[:, 0], [0, 7 / 3, 7 / 3, 7 / 3, 3], rtol=1e-6)
    grad = soft_permute_vjp(scores, x, np.ones((5, 1), dtype), temperature=0.5)
    assert np.isfinite(grad.scores).all()
    np.testing.assert_allclose(grad.x, 1, rtol=1e-6)
    hard = soft_permute([1.0, 3.0, 2.0], np.eye(3), temperature=2.0**-60)
    np.testing.assert_array_equal(hard, np.eye(3)[[1, 2, 0]])


def test_many_items_need_no_matrix():
    """Of 100,000, whose matrix would have 80 GB: weights sum to 1, and order is kept."""
    scores = np.random.default_rng(2).normal(size=100_000)
    x = np.stack([np.ones(100_000), scores], axis=1)
    found = soft_permute(scores, x, temperature=1e-4)
    np.testing.assert_allclose(found[:, 0], 1, rtol=1e-12)
    np.testing.assert_allclose(found[:, 1], -np.sort(-scores), atol=0.01)
    grad = soft_permute_vjp(scores, x, np.ones(x.shape), temperature=1e-4)
    assert grad.x[:, 0].sum() == pytest.approx(100_000)
    assert abs(grad.scores.sum()) < 1e-6  # a shift of all scores changes nothing


@pytest.mark.parametrize(
    ("scores", "x", "message"),
    [
        (np.zeros(3), np.zeros(3), r"x must have shape \(\*batch, N, D\) .*, got \(3,\)"),
        (np.zeros(2), np.zeros((3, 1)), r"scores must have shape \(3,\), as x has, got \(2,\)"),
        (np.array([0.0, np.inf]), np.zeros((2, 1)), "scores must be finite, got inf"),
        (np.zeros(2), np.full((2, 1), np.nan), "x must be finite, got nan"),
    ],
)
def test_what_is_no_problem_is_refused(scores, x, message):
    with pytest.raises(ValueError, match=message):
        soft_permute(scores, x, temperature=1.0)
