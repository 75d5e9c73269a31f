"""Subsets against enumeration of them all; relaxed ones against the recursion that defines them."""

import itertools

import numba
import numpy as np
import pytest
from scipy import stats
from scipy.special import gammaln
from strategies import DTYPES, WAYS, restride, some_logits

import fastgrad as fg
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
