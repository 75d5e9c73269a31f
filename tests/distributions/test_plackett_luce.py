"""Plackett-Luce against its definition: products of odds, over all orders."""

import itertools

import numba
import numpy as np
import pytest
from scipy import stats
from strategies import DTYPES, WAYS, restride, some_logits

import fastgrad as fg
from fastgrad import _validate
from fastgrad.distributions.plackett_luce import entropy, gumbel_top_k, log_prob, score

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
INF = np.inf
ROWS = np.array(
    [
        [0.0, 0.0, 0.0, 0.0, 0.0],
        [1.0, -2.0, 0.5, 3.0, -0.1],
        [0.3, -INF, 2.0, -1.0, -INF],
        [-6.0, 5.0, 0.0, 1.0, -3.0],
    ]
)


def orders(k, items=5):
    return np.array(list(itertools.permutations(range(items), k)))


def probabilities(row, choices):
    """P(choices) in float64, by the definition."""
    p = np.ones(len(choices))
    for i, z in enumerate(choices):
        w = np.exp(np.float64(row) - np.max(row))
        for item in z:
            p[i] *= w[item] / w.sum() if w.sum() else 0
            w[item] = 0
    return p


# -- the law -----------------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("k", [1, 2, 3, 4, 5])
def test_log_prob_equals_the_definition(k, dtype):
    z = orders(k)
    for row in ROWS.astype(dtype):
        expected = probabilities(row, z)
        got = log_prob(np.broadcast_to(row, (len(z), 5)), z)
        assert got.dtype == dtype
        np.testing.assert_allclose(np.exp(got), expected, rtol=60 * np.finfo(dtype).eps)
        assert (np.isneginf(got) == (expected == 0)).all()
        assert np.array_equal(log_prob(row, z), got)  # as samples of one row


@pytest.mark.parametrize("k", [1, 2, 4, 5])
def test_score_is_the_gradient(k):
    z = orders(k)
    for row in ROWS:
        possible = probabilities(row, z) > 0
        got = score(row, z)
        for i in np.flatnonzero(np.isfinite(row)):
            e = 1e-5 * np.eye(5)[i]
            high, low = (log_prob(row + step, z[possible]) for step in (e, -e))
            expected = (high - low) / 2e-5
            np.testing.assert_allclose(got[possible, i], expected, rtol=1e-6, atol=1e-9)
        assert (got[:, np.isneginf(row)] == 0).all()
        assert np.isfinite(got).all()


@by_dtype
@pytest.mark.parametrize("k", [2, 5])
def test_the_score_has_mean_zero_and_gives_gradients_without_bias(k, dtype):
    """Summed over all orders: E[f score] = d/d logits E[f], whatever f."""
    z, row = orders(k), ROWS[1]
    f = np.random.default_rng(0).normal(size=len(z))
    p, s = probabilities(row, z), score(row.astype(dtype), z).astype(np.float64)
    np.testing.assert_allclose(p @ s, 0, atol=20 * np.finfo(dtype).eps)
    expected = [
        (probabilities(row + e, z) - probabilities(row - e, z)) @ f / 2e-6 for e in 1e-6 * np.eye(5)
    ]
    np.testing.assert_allclose((p * f) @ s, expected, rtol=0, atol=1e-8 + 40 * np.finfo(dtype).eps)


@by_dtype
def test_extreme_logits_are_finite(dtype):
    x = np.array([[1e4, 0.0, -1e4, -INF], [90.0, -90.0, 89.0, 0.0]], dtype)
    z = np.array([[2, 0, 1], [1, 0, 2]])
    assert np.isfinite(log_prob(x, z)).all()
    assert log_prob(x, z)[0] == pytest.approx(-2e4 + 0, rel=1e-6)
    s = score(x, z)
    assert np.isfinite(s).all()
    np.testing.assert_allclose(s.sum(-1), 0, atol=1e-5)
    assert s[0, 3] == 0


@by_dtype
@pytest.mark.parametrize(("n", "items", "k"), [(3, 20, 7), (70, 513, 5), (2, 1000, 500)])
def test_larger_ones_equal_a_loop(n, items, k, dtype):
    x = some_logits(n, items, dtype)
    x[np.isneginf(x)] = -40
    z = gumbel_top_k(x, k, num_samples=3, rng=1)
    got, s = log_prob(x, z), score(x, z)
    for i in itertools.product(range(3), range(min(n, 4))):
        row = x[i[1]].astype(np.float64)
        left, expected, slope = np.ones(items, bool), 0.0, np.zeros(items)
        for item in z[i]:
            p = np.where(left, np.exp(row - row[left].max()), 0)
            p /= p.sum()
            expected += np.log(p[item])
            slope -= p
            slope[item] += 1
            left[item] = False
        eps = np.finfo(dtype).eps
        np.testing.assert_allclose(got[i], expected, rtol=1e3 * eps)
        np.testing.assert_allclose(s[i], slope, rtol=0, atol=2e3 * eps)


def long_law(x, z):
    """log P(z) and its gradient, with sums in extended precision; logits are < 700 apart."""
    e = np.exp(x.astype(np.longdouble) - x.max())
    chosen, rest = e[z], e.copy()
    rest[z] = 0
    left = np.cumsum(chosen[::-1])[::-1] + rest.sum()
    passed = np.cumsum(1 / left)
    grad = -e * passed[-1]
    grad[z] = 1 - chosen * passed
    return (np.log(chosen) - np.log(left)).sum(), grad


@by_dtype
@pytest.mark.parametrize("kind", ["random", "falling", "rising", "equal"])
@pytest.mark.parametrize("k", [100_000, 50_000])
def test_running_sums_keep_their_digits_over_many_choices(k, kind, dtype):
    items, rng = 100_000, np.random.default_rng(3)
    x = {
        "random": 2 * rng.normal(size=items),
        "falling": np.linspace(
            40, -40, items
        ),  # chosen in this order: sums change a little at once
        "rising": np.linspace(-40, 40, items),
        "equal": np.full(items, 3.0),
    }[kind].astype(dtype)
    z = np.arange(items) if kind != "random" else np.argsort(-x - rng.gumbel(size=items))
    z = z[:k].astype(np.int32)
    right, slope = long_law(x, z)
    eps = np.finfo(dtype).eps
    np.testing.assert_allclose(log_prob(x, z), float(right), rtol=4 * eps)
    got, slope = score(x, z), slope.astype(np.float64)
    np.testing.assert_allclose(got, slope, rtol=100 * eps, atol=100 * eps)


# -- samples -----------------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("k", [1, 2, 3])
def test_samples_have_their_law(k, dtype):
    n = 100_000
    drawn = gumbel_top_k(ROWS.astype(dtype), k, num_samples=n, rng=2)
    choices = orders(k)
    code = 5 ** np.arange(k)
    for i, row in enumerate(ROWS):
        counts = np.bincount(drawn[:, i] @ code, minlength=5**k)[choices @ code]
        assert counts.sum() == n
        p = probabilities(row, choices)
        assert (counts[p == 0] == 0).all()
        often = n * p > 10
        observed = [*counts[often], counts[~often].sum()]
        expected = [*(n * p[often]), n * p[~often].sum()]
        if expected[-1] < 1e-9:
            observed, expected = observed[:-1], expected[:-1]
        assert stats.chisquare(observed, expected, sum_check=False).pvalue > FALSE_ALARM


@by_dtype
@pytest.mark.parametrize("items", [1, 2, 5, 16, 64, 511, 512, 513, 1000])
def test_they_are_the_largest_perturbed_logits_in_order(items, dtype):
    x = some_logits(9, items, dtype)
    k = int((x > -INF).sum(axis=1).min())
    z = gumbel_top_k(x, k, num_samples=3, rng=3)
    assert z.dtype == np.int32
    assert z.shape == (3, 9, k)
    assert np.array_equal(z[..., 0], fg.sample(x, num_samples=3, rng=3, method="gumbel"))
    soft = fg.gumbel_softmax(x, temperature=1.0, num_samples=3, rng=3, log=True)
    chosen = np.take_along_axis(soft, z, axis=2)
    assert (np.diff(chosen, axis=-1) <= 0).all()
    assert (chosen > -INF).all()
    rest = soft.copy()
    np.put_along_axis(rest, z, -INF, axis=2)
    assert (rest.max(axis=-1) <= chosen[..., -1]).all()
    ordered = np.sort(z, axis=-1)
    assert (np.diff(ordered, axis=-1) > 0).all()


def test_equal_perturbed_logits_go_by_index():
    """At 1e30 float32 has no bits left for noise: every perturbed logit is the same."""
    x = np.full((40, 700), 1e30, np.float32)
    x[:, 300:] = 0
    for items in (20, 700):
        z = gumbel_top_k(x[:, :items] * np.float32(1e8), 5, num_samples=3, rng=4)
        assert z.max() < 300
    tied = np.zeros((1, 6), np.float32)
    tied[0, 3:] = -1e30  # differences from the maximum swallow the noise
    z = gumbel_top_k(tied, 6, num_samples=50, rng=5)
    assert (z[..., 3:] == [3, 4, 5]).all()


@by_dtype
@pytest.mark.parametrize(("items", "k"), [(7, 3), (600, 4)])
def test_bits_depend_neither_on_threads_nor_on_chunks(items, k, dtype):
    x = some_logits(300, items, dtype)
    x[np.isneginf(x)] = -3
    found = []
    for threads in (1, 2):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        z = gumbel_top_k(x, k, num_samples=4, rng=6)
        found.append((z, log_prob(x, z), score(x, z), entropy(x, k, num_samples=4, rng=6)))
    for a, b in zip(*found, strict=True):
        assert np.array_equal(a, b)
    z, p, s, _ = found[0]
    part = gumbel_top_k(x[77:], k, num_samples=2, rng=6, row_offset=77, sample_offset=2)
    assert np.array_equal(part, z[2:, 77:])
    assert np.array_equal(log_prob(x[77:], part), p[2:, 77:])
    assert np.array_equal(score(x[77:], part), s[2:, 77:])


# -- entropy -----------------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_entropy_is_that_of_all_orders(k, dtype):
    rows = ROWS if k <= 3 else ROWS[[0, 1, 3]]
    expected = []
    for row in rows:
        p = probabilities(row, orders(k))
        p = p[p > 0]
        expected.append(-(p * np.log(p)).sum())
    got = entropy(rows.astype(dtype), k)
    np.testing.assert_allclose(got, expected, rtol=8 * np.finfo(dtype).eps, atol=1e-7)
    assert got.dtype == dtype


@by_dtype
def test_entropy_given_choices_has_the_entropy_as_its_mean(dtype):
    """Exactly, over all orders; and an estimate is within 6 standard errors."""
    from fastgrad.kernels.distributions import plackett_luce_entropy

    for row in ROWS[[0, 1, 3]]:
        for k in (1, 3, 5):
            z = np.ascontiguousarray(orders(k), np.int32)[:, None]
            given = np.empty(len(z), dtype)
            arrays = map(_validate.frozen, (row[None].astype(dtype), z))
            plackett_luce_entropy.entropy_given(*arrays, given)
            mean = probabilities(row, z[:, 0]) @ given
            assert mean == pytest.approx(
                entropy(row, k), rel=1e-5 if dtype == np.float32 else 1e-12
            )
            estimate = entropy(row.astype(dtype), k, num_samples=4000, rng=7)
            error = given.max() - given.min()
            assert abs(estimate - mean) <= 6 * error / np.sqrt(4000) + 1e-5


def test_entropy_of_logits_further_apart_than_numbers_reach():
    assert entropy(np.array([1e308, -1e308, 0.0]), 1) == 0
    assert entropy(np.array([1e308, -1e308, 1e308]), 1) == pytest.approx(np.log(2))


@by_dtype
def test_logits_further_apart_than_numbers_reach_are_refused(dtype):
    """Their difference is -inf, which means that an item is gone: it would be chosen twice."""
    far = dtype(0.9 * np.finfo(dtype).max)
    z = np.array([0, 2, 1])
    for call in (lambda x: gumbel_top_k(x, 3, rng=0), lambda x: log_prob(x, z)):
        with pytest.raises(ValueError, match="logits of a row must differ by at most"):
            call(np.array([far, -far, 0], dtype))
        call(np.array([far, far / 2, 0], dtype))
    np.testing.assert_array_equal(
        gumbel_top_k(np.array([far, -np.inf, 0], dtype), 2, rng=0), [0, 2]
    )


def test_entropy_of_extreme_logits_is_finite():
    x = np.array([[1e4, 0.0, -1e4, -INF], [0.0, 0.0, 0.0, -INF]])
    np.testing.assert_allclose(entropy(x, 3), [0, np.log(6)], atol=1e-12)
    np.testing.assert_allclose(entropy(x, 3, num_samples=5, rng=0), [0, np.log(6)], atol=1e-12)


# -- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS)
def test_layouts(way):
    x = some_logits(5, 6, np.float64)
    x[np.isneginf(x)] = 0
    z = gumbel_top_k(x, 3, rng=8)
    y = restride(x, way)
    assert np.array_equal(gumbel_top_k(y, 3, rng=8), z)
    assert np.array_equal(log_prob(y, restride(z, way)), log_prob(x, z))
    assert np.array_equal(score(y, restride(z, way)), score(x, z))


def test_shapes():
    x = np.zeros((2, 3, 5))
    assert gumbel_top_k(x, 2, rng=0).shape == (2, 3, 2)
    z = gumbel_top_k(x, 2, num_samples=4, rng=0)
    assert z.shape == (4, 2, 3, 2)
    assert log_prob(x, z).shape == (4, 2, 3)
    assert score(x, z).shape == (4, 2, 3, 5)
    assert entropy(x, 2).shape == (2, 3)
    out = np.empty((4, 2, 3, 2), np.int32)
    assert gumbel_top_k(x, 2, num_samples=4, rng=0, out=out) is out
    assert np.array_equal(out, z)
    assert gumbel_top_k(x[:0], 2, num_samples=4, rng=0).shape == (4, 0, 3, 2)


def test_k_above_the_support_is_an_error():
    x = np.array([[0.0, 0.0, 0.0], [0.0, -INF, -INF]])
    with pytest.raises(ValueError, match="k must be at most the number of logits, 3, got 4"):
        gumbel_top_k(x, 4, rng=0)
    with pytest.raises(
        ValueError, match=r"k must be at most .* above -inf, 1 in row \(1,\), got 2"
    ):
        gumbel_top_k(x, 2, rng=0)
    with pytest.raises(ValueError, match="got 2"):
        entropy(x, 2)
    with pytest.raises(ValueError, match="k must be at least 1"):
        gumbel_top_k(x, 0, rng=0)
    with pytest.raises(TypeError, match="k must be an integer"):
        gumbel_top_k(x, 1.5, rng=0)


@pytest.mark.parametrize(
    ("z", "error", "message"),
    [
        (np.array([0, 0]), ValueError, "chosen twice"),
        (np.array([0, 3]), ValueError, "from 0 to 2, got 3"),
        (np.array([-1, 0]), ValueError, "got -1"),
        (np.array([0, 1, 2, 0]), ValueError, "from 1 to 3 items, got 4"),
        (np.array([0.0, 1.0]), TypeError, "z must hold integers"),
        (np.array(1), ValueError, "z must have shape"),
        (np.zeros((2, 2, 2), int), ValueError, "z must have shape"),
    ],
)
def test_bad_choices(z, error, message):
    for function in (log_prob, score):
        with pytest.raises(error, match=message):
            function(np.zeros(3), z)


def test_entropy_of_many_items_needs_samples():
    with pytest.raises(ValueError, match="num_samples and rng for more than 16 items"):
        entropy(np.zeros(17))
    with pytest.raises(TypeError, match="rng must be"):
        entropy(np.zeros(17), num_samples=3)
