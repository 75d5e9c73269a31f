"""Sets as a distribution: masks, checks, and f by loops over all sets."""

import itertools

import numpy as np
import pytest

import fastgrad as fg

LOGITS = np.array([0.3, -1.0, 0.8, 0.1, -0.4])


def mean_by_loops(f, logits, k):
    """E[f], from the definition."""
    total = weight = 0.0
    for chosen in itertools.combinations(range(len(logits)), k):
        x = np.zeros(len(logits))
        x[list(chosen)] = 1
        w = np.exp(logits[list(chosen)].sum())
        total, weight = total + w * f(x[None])[0], weight + w
    return total / weight


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_exact_is_the_definition(k):
    def f(x):
        return np.exp(x @ np.arange(5.0) / 4)

    value, grad = fg.exact.value_and_grad(f, fg.subset.KSubset(LOGITS, k))
    np.testing.assert_allclose(value, mean_by_loops(f, LOGITS, k), rtol=1e-12)
    h = 1e-6
    for i in range(5):
        up, down = (mean_by_loops(f, LOGITS + s * h * np.eye(5)[i], k) for s in (1, -1))
        np.testing.assert_allclose(grad[i], (up - down) / (2 * h), atol=1e-7)


def test_masked_items_are_left_out():
    logits = np.array([0.5, -np.inf, 1.0, 0.2])
    d = fg.subset.KSubset(logits, 2)

    def f(x):
        return np.where(x[:, 1] > 0, np.nan, x[:, 0] + 2 * x[:, 2])

    value, grad = fg.exact.value_and_grad(f, d)
    kept = fg.subset.KSubset(logits[[0, 2, 3]], 2)
    expected = fg.exact.value_and_grad(lambda x: x[:, 0] + 2 * x[:, 1], kept)
    np.testing.assert_allclose(value, expected[0], rtol=1e-12)
    np.testing.assert_allclose(grad[[0, 2, 3]], expected[1], rtol=1e-10)
    assert grad[1] == 0
    for name in ("rloo", "unordered_set"):
        assert np.isfinite(fg.estimator(name)(f, d, num_samples=3, rng=0).grad).all()


def test_of_one_item_it_is_the_categorical():
    f = fg.objectives.linear([1.0, 2.0, 4.0, 0.5, -1.0])
    subset, categorical = fg.subset.KSubset(LOGITS, 1), fg.Categorical(LOGITS)
    for estimate in (fg.exact.grad, fg.exact.value):
        np.testing.assert_allclose(estimate(f, subset), estimate(f, categorical), rtol=1e-12)
    simple = [
        fg.estimator("straight_through")(f, d, num_samples=1, rng=0).grad
        for d in (subset, categorical)
    ]
    np.testing.assert_allclose(*simple, rtol=1e-10)


def test_the_distribution_keeps_its_own_logits():
    logits = LOGITS.copy()
    d = fg.subset.KSubset(logits, 2)
    logits[:] = 0
    np.testing.assert_array_equal(d.logits, LOGITS)
    assert d.k == 2
    assert d.num_outcomes == 10


@pytest.mark.parametrize(
    ("logits", "k", "message"),
    [
        (LOGITS, 6, "k must be at most the number of logits, 5, got 6"),
        (LOGITS, 0, "k must be at least 1, got 0"),
        (np.array([0.0, -np.inf]), 2, "k must be at most the number of logits above -inf, 1"),
        (np.array([0.0, np.nan]), 1, "logits must be .*, got nan"),
    ],
)
def test_what_is_no_such_distribution_is_refused(logits, k, message):
    with pytest.raises(ValueError, match=message):
        fg.subset.KSubset(logits, k)
