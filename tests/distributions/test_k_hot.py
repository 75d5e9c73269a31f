"""Sets of k items against enumeration of them all."""

import itertools

import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln
from strategies import DTYPES, some_logits

import fastgrad as fg
from fastgrad.distributions.k_hot import (
    k_hot,
    log_normaliser,
    marginals,
    marginals_vjp,
)

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
INF = np.inf


def subsets(items, k):
    """All subsets of k items, k-hot."""
    x = np.zeros((0, items))
    for chosen in itertools.combinations(range(items), k):
        row = np.zeros((1, items))
        row[0, chosen] = 1
        x = np.concatenate([x, row])
    return x


def law(logits, x):
    """Log of the sum of weights, and probabilities, of subsets x."""
    weight = np.where(x > 0, logits, 0).sum(axis=1)
    top = weight.max()
    total = np.exp(weight - top).sum()
    return top + np.log(total), np.exp(weight - top) / total


# -- exact sums --------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [0.0, 1.0, 8.0, 200.0])
@pytest.mark.parametrize("k", range(1, 13))
def test_sums_over_all_subsets(k, spread):
    """Marginals, their Jacobian and the normaliser, against all subsets of 12 items."""
    rng = np.random.default_rng(k)
    x = subsets(12, k)
    for masked in (0, 12 - k)[: 1 if k == 12 else 2]:
        logits = spread * rng.normal(size=12)
        logits[:masked] = -INF
        log_sum, p = law(logits, x)
        mean = p @ x
        covariance = (x.T * p) @ x - np.outer(mean, mean)
        r = rng.normal(size=12)
        np.testing.assert_allclose(marginals(logits, k), mean, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(log_normaliser(logits, k), log_sum, rtol=1e-13, atol=1e-12)
        got = marginals_vjp(logits, r, k)
        np.testing.assert_allclose(got, covariance @ r, rtol=0, atol=1e-13)
        assert (got[:masked] == 0).all()


@by_dtype
@pytest.mark.parametrize("spread", [0.0, 1e-3, 1.0, 30.0, 1e4])
def test_a_thousand_items(spread, dtype):
    logits = (spread * np.random.default_rng(0).normal(size=(3, 1000))).astype(dtype)
    mean = marginals(logits, 500)
    eps = np.finfo(dtype).eps
    assert mean.dtype == dtype
    assert (mean >= 0).all()
    assert (mean <= 1).all()
    np.testing.assert_allclose(mean.sum(axis=1, dtype=np.float64), 500, rtol=1e3 * eps)
    order = np.argsort(logits, axis=1)
    assert (np.diff(np.take_along_axis(mean, order, 1), axis=1) >= -1e3 * eps).all()
    assert np.isfinite(log_normaliser(logits, 500)).all()
    r = np.random.default_rng(1).normal(size=logits.shape).astype(dtype)
    g = marginals_vjp(logits, r, 500)
    assert np.isfinite(g).all()
    np.testing.assert_allclose(g.sum(axis=1, dtype=np.float64), 0, atol=1e5 * eps)


def test_a_thousand_equal_items():
    """All alike: marginals k / K, a binomial coefficient, covariances of equal draws."""
    x, k, n = np.full(1000, 3.0), 500, 1000
    np.testing.assert_allclose(marginals(x, k), k / n, rtol=1e-12)
    count = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1) + 3.0 * k
    assert log_normaliser(x, k) == pytest.approx(count, rel=1e-12)
    r = np.zeros(n)
    r[0] = 1
    expected = np.full(n, k / n * (k - 1) / (n - 1) - (k / n) ** 2)
    expected[0] = k / n * (1 - k / n)
    np.testing.assert_allclose(marginals_vjp(x, r, k), expected, rtol=1e-9)


def test_complementary_symmetry_at_a_thousand():
    """Not choosing K - k by -logits is choosing k: marginals by two different sums."""
    x = 5 * np.random.default_rng(2).normal(size=1000)
    for k in (1, 37, 500, 999):
        np.testing.assert_allclose(marginals(x, k), 1 - marginals(-x, 1000 - k), atol=1e-12)


def test_marginals_of_one_are_a_softmax():
    x = some_logits(20, 9, np.float64)
    np.testing.assert_allclose(marginals(x, 1), np.exp(fg.log_softmax(x)), rtol=1e-12, atol=1e-300)


def test_marginals_are_the_gradient_of_the_normaliser():
    x = np.random.default_rng(3).normal(size=8)
    slope = [(log_normaliser(x + e, 3) - log_normaliser(x - e, 3)) / 2e-5 for e in 1e-5 * np.eye(8)]
    np.testing.assert_allclose(marginals(x, 3), slope, rtol=1e-8)


def test_simple_is_exact_for_linear_functions_and_close_for_others():
    """SIMPLE is marginals_vjp of derivatives at samples: here at all of them, weighted."""
    logits, k = np.array([0.3, -1.0, 0.8, 0.0, -0.2]), 2
    x = subsets(5, k)
    _, p = law(logits, x)
    score = x - p @ x
    weight, square = np.random.default_rng(4).normal(size=(2, 5))
    for curvature in (0.0, 0.5):
        f = x @ weight + curvature * (x @ square) ** 2
        slopes = weight + 2 * curvature * (x @ square)[:, None] * square
        exact = (p * f) @ score
        simple = marginals_vjp(logits, p[:, None] * slopes, k)
        off = np.linalg.norm(simple - exact) / np.linalg.norm(exact)
        assert off < 1e-12 if curvature == 0 else 0 < off < 1


# -- exact samples -----------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("k", [1, 3, 5])
def test_samples_have_their_law(k, dtype):
    n = 100_000
    logits = np.array([[0.0, 1.0, -2.0, 0.3, -INF, 0.8], [0.0] * 6], dtype)
    drawn = k_hot(logits, k, num_samples=n, rng=5)
    assert drawn.dtype == dtype
    assert (drawn.sum(-1) == k).all()
    x, code = subsets(6, k), 2 ** np.arange(6)
    for i, row in enumerate(logits):
        _, p = law(row.astype(np.float64), x)
        counts = np.bincount((drawn[:, i] @ code).astype(int), minlength=64)[(x @ code).astype(int)]
        assert counts.sum() == n
        assert (counts[p == 0] == 0).all()
        if k < 5 or i == 1:
            often = n * p > 5
            assert often.sum() > 1
            observed, expected = counts[often], n * p[often]
            rest = n - observed.sum(), n - expected.sum()
            if rest[1] > 1e-6:
                observed, expected = [*observed, rest[0]], [*expected, rest[1]]
            assert stats.chisquare(observed, expected, sum_check=False).pvalue > FALSE_ALARM


def test_large_samples_have_their_marginals():
    """Each of 1,000 means of 4,000 samples within 6.5 standard errors, 1e-7 for all together."""
    x, k, n = np.random.default_rng(6).normal(size=1000), 500, 4000
    mean, p = k_hot(x, k, num_samples=n, rng=7).mean(axis=0), marginals(x, k)
    assert (abs(mean - p) < 6.5 * np.sqrt(p * (1 - p) / n)).all()


# -- the probability of a set ------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_log_prob_of_sets(dtype, k):
    """Against all sets; masked items have none, and a shift changes nothing."""
    rng = np.random.default_rng(k)
    logits = (3 * rng.normal(size=6)).astype(dtype)
    logits[2] = -INF
    x = subsets(6, k)
    _, p = law(logits.astype(np.float64), x)
    got = fg.subset.k_hot_log_prob(logits, x)
    assert got.dtype == dtype
    tolerance = 100 * np.finfo(dtype).eps
    np.testing.assert_allclose(np.exp(got), p, rtol=tolerance, atol=0)
    assert np.array_equal(np.isneginf(got), x[:, 2] > 0)
    shifted = np.round(logits * 4) / 4
    np.testing.assert_allclose(
        fg.subset.k_hot_log_prob(shifted + dtype(1e5), x),
        fg.subset.k_hot_log_prob(shifted, x),
        rtol=tolerance,
        atol=tolerance,
    )
    batch = np.stack([logits, logits[::-1]])
    drawn = fg.subset.k_hot(batch, k, num_samples=7, rng=0)
    each = [fg.subset.k_hot_log_prob(a, drawn[:, i]) for i, a in enumerate(batch)]
    np.testing.assert_allclose(
        fg.subset.k_hot_log_prob(batch, drawn), np.stack(each, axis=1), rtol=tolerance
    )


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([[1, 0, 2]], r"x must hold 0 and 1, got 2.0 at index \(0, 2\)"),
        ([[1, 0, 0], [1, 1, 0]], "x must hold sets of one size, got 1 and 2"),
        ([1, 0], r"x must have shape \(3,\)"),
        ([0, 0, 0], "k must be at least 1"),
        ([1, 1, 1], "k must be at most the number of logits above -inf, 2"),
    ],
)
def test_what_is_no_set_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        fg.subset.k_hot_log_prob(np.array([0.0, -INF, 1.0]), x)


@pytest.mark.parametrize("spread", [1.0, 100.0, 1e4])
def test_log_probabilities_keep_the_digits_of_float32(spread):
    """What is left of two large sums, of the weights of a set and of all sets, is no noise."""
    logits = (spread * np.random.default_rng(1).normal(size=7)).astype(np.float32)
    for k in range(1, 8):
        x = subsets(7, k)
        weight = np.where(x > 0, logits.astype(np.longdouble), 0).sum(axis=1)
        below = weight - weight.max()
        true = below - np.log(np.exp(below).sum())
        got = fg.subset.k_hot_log_prob(logits, x)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, np.float64(true), rtol=2e-7, atol=2e-7)
