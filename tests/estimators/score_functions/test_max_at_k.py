"""Best of k: against sums over all sets, and by exact moments against the mean of the best."""

import itertools
import math

import numpy as np
import pytest
from exact_moments import all_moments, of_table
from scipy.special import comb

import fastgrad as fg
from fastgrad.estimators.score_functions.max_at_k import advantages, pair_weights

RNG = np.random.default_rng(9)


def best_of(k):
    return fg.estimator("max_at_k", k=k)


def by_sets(f, k):
    """What each of the values adds to the best of its sets, by going through them."""
    out, count = np.zeros(len(f)), len(f)
    for chosen in itertools.combinations(range(count), k):
        for i in chosen:
            out[i] += max(f[j] for j in chosen) - max(f[j] for j in chosen if j != i)
    return out / math.comb(count, k)


@pytest.mark.parametrize(("count", "k"), [(2, 2), (3, 2), (6, 2), (5, 3), (7, 4), (5, 5), (8, 7)])
def test_advantages_are_sums_over_all_sets(count, k):
    f = np.sort(RNG.normal(size=count))
    f[1] = f[0]  # a tie
    expected = by_sets(f, k)
    if count > k:
        for i in range(count):
            others = np.delete(f, i)
            expected[i] -= by_sets(others, k).mean() * (count - 1) / count
    found = advantages((f - f[0])[:, None], k)[:, 0]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(("count", "k"), [(2, 2), (9, 2), (9, 5), (9, 9), (3000, 40)])
def test_weights_are_binomial_coefficients(count, k):
    j = np.arange(1, count + 1)
    expected = comb(j - 1, k - 2) / comb(count, k)
    np.testing.assert_allclose(pair_weights(count, k), expected, rtol=1e-9, atol=1e-300)
    assert best_of(k).rank_weights(count).sum() == pytest.approx(1, rel=1e-11)


def mean_of_best(table, p, k):
    """E[max of k] of a single categorical variable, and its gradient by the logits."""
    value, grad = 0.0, np.zeros(len(p))
    for z in itertools.product(range(len(p)), repeat=k):
        weight = np.prod(p[list(z)])
        best = max(table[i] for i in z)
        value += weight * best
        grad += weight * best * (np.eye(len(p))[list(z)] - p).sum(axis=0)
    return value, grad


@pytest.mark.parametrize(("k", "num_samples"), [(2, 2), (2, 3), (2, 5), (3, 3), (3, 4)])
def test_the_gradient_is_that_of_the_mean_of_the_best(k, num_samples):
    logits, table = np.array([[0.3, -1.0, 0.8]]), np.array([1.5, 3.0, -0.7])
    d = fg.Categorical(logits)
    found = all_moments(best_of(k), of_table(table), d, num_samples)
    value, grad = mean_of_best(table, np.exp(fg.log_softmax(logits))[0], k)
    np.testing.assert_allclose(found.value, value, rtol=1e-12)
    np.testing.assert_allclose(found.mean[0], grad, rtol=0, atol=1e-12)


def test_the_baseline_lowers_the_variance():
    """At 6 samples for k = 2, against the same without a baseline, by enumeration."""
    logits, table = np.array([[0.3, 0.2, 0.8]]), np.array([1.5, 3.0, -0.7]) + 5
    d = fg.Categorical(logits)
    run = best_of(2)
    (z, weights), f = run.nodes(d, 6), table
    p = np.exp(fg.log_softmax(logits))[0]
    plain = np.zeros((len(weights), 3))
    for n in range(len(weights)):
        values = f[z[:, n, 0]]
        order = np.argsort(values, kind="stable")
        added = np.empty(6)
        added[order] = by_sets(values[order], 2)
        plain[n] = added @ (np.eye(3)[z[:, n, 0]] - p)
    mean = weights @ plain
    variance = (weights @ (plain - mean) ** 2).sum()
    assert np.trace(all_moments(run, of_table(table), d, 6).covariance) < 0.9 * variance


def test_of_zeros_and_ones_the_value_is_pass_at_k():
    d, k = fg.Bernoulli(RNG.normal(size=(6, 2))), 5
    f = fg.objective(index=lambda z: (z.sum(axis=-1) == 2).astype(np.float64))
    found = best_of(k)(f, d, num_samples=30, rng=1, return_samples=True)
    passed = (found.samples.sum(axis=-1) == 2).sum(axis=0)
    expected = [1 - math.comb(30 - c, k) / math.comb(30, k) for c in passed.tolist()]
    np.testing.assert_allclose(found.value, expected, rtol=1e-12)
    weighted = (found.weights * (found.samples.sum(axis=-1) == 2)).sum(axis=0)
    np.testing.assert_allclose(weighted, expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_constant_gives_no_gradient_and_a_shift_none_more(dtype):
    logits = RNG.normal(size=(4, 3)).astype(dtype)
    call = {"num_samples": 20, "rng": 3}
    w = RNG.normal(size=3)
    found = best_of(3)(lambda x: np.full(x.shape[:2], 1e6), logits, **call)
    np.testing.assert_array_equal(found.grad, 0.0)
    np.testing.assert_allclose(found.value, 1e6, rtol=1e-6)
    one, other = (best_of(3)(lambda x, c=c: x @ w + c, logits, **call) for c in (0.0, 1e6))
    np.testing.assert_allclose(one.grad, other.grad, rtol=0, atol=1e-5)
    assert one.grad.dtype == one.value.dtype == dtype


def test_bad_k_is_refused():
    with pytest.raises(ValueError, match="k must be"):
        best_of(1)
    with pytest.raises(ValueError, match="needs at least 5 samples, got num_samples=4"):
        best_of(5)(lambda x: x[:, 0], np.zeros(2), num_samples=4, rng=0)
