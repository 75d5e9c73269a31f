"""Sets within a budget against enumeration of them all."""

import itertools

import numpy as np
import pytest
from scipy import stats

import fastgrad as fg
from fastgrad.distributions.knapsack import (
    knapsack,
    knapsack_log_normaliser,
    knapsack_log_prob,
    knapsack_marginals,
    knapsack_marginals_vjp,
)

FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
INF = np.inf
COSTS = np.array([3, 1, 4, 1, 5, 9, 2, 6])


def sets(costs, budget):
    """All sets that fit."""
    x = np.array(list(itertools.product([0, 1], repeat=len(costs))), float)
    return x[x @ np.asarray(costs) <= budget]


def law(logits, x):
    """Log of the sum of weights, and probabilities, of sets x."""
    weight = np.where(x > 0, logits, 0).sum(axis=1)
    top = weight.max()
    total = np.exp(weight - top).sum()
    return top + np.log(total), np.exp(weight - top) / total


@pytest.mark.parametrize("spread", [0.0, 1.0, 8.0, 300.0])
@pytest.mark.parametrize("budget", [0, 1, 4, 10, 22, 31, 10**9])
def test_sums_over_all_sets_that_fit(budget, spread):
    """Marginals, their Jacobian and the normaliser."""
    rng = np.random.default_rng(budget)
    x = sets(COSTS, budget)
    for masked in (0, 2):
        logits = spread * rng.normal(size=8)
        logits[:masked] = -INF
        log_sum, p = law(logits, x)
        mean = p @ x
        covariance = (x.T * p) @ x - np.outer(mean, mean)
        r = rng.normal(size=8)
        found = knapsack_marginals(logits, COSTS, budget)
        np.testing.assert_allclose(found, mean, rtol=1e-12, atol=1e-15)
        found = knapsack_log_normaliser(logits, COSTS, budget)
        np.testing.assert_allclose(found, log_sum, rtol=1e-13, atol=1e-12)
        got = knapsack_marginals_vjp(logits, r, COSTS, budget)
        np.testing.assert_allclose(got, covariance @ r, rtol=0, atol=1e-13)
        assert (got[:masked] == 0).all()


@pytest.mark.parametrize("costs", [np.zeros(5, int), [0, 2, 0, 2, 4], [6, 3, 9, 3, 12]])
def test_costs_of_nothing_and_of_a_common_divisor(costs):
    logits = np.random.default_rng(0).normal(size=(2, 5))
    for budget in (0, 3, 7):
        x = sets(costs, budget)
        for row, found in zip(logits, knapsack_marginals(logits, costs, budget)):
            np.testing.assert_allclose(found, law(row, x)[1] @ x, rtol=1e-12, atol=1e-15)


def test_of_equal_costs_it_has_the_sets_of_up_to_so_many():
    """By sums over sets of k items, for k from 0 on, of which each is exact by other means."""
    logits = np.random.default_rng(1).normal(size=40)
    log_sums = [0.0] + [fg.subset.log_normaliser(logits, k) for k in range(1, 8)]
    share = np.exp(log_sums - np.logaddexp.reduce(log_sums))
    expected = sum(p * fg.subset.marginals(logits, k) for k, p in enumerate(share) if k)
    costs = np.full(40, 300)
    np.testing.assert_allclose(knapsack_marginals(logits, costs, 2199), expected, rtol=1e-11)
    found = knapsack_log_normaliser(logits, costs, 2199)
    np.testing.assert_allclose(found, np.logaddexp.reduce(log_sums), rtol=1e-13)


def test_with_room_for_all_items_they_are_independent():
    logits = 20 * np.random.default_rng(2).normal(size=(3, 30))
    found = knapsack_marginals(logits, np.arange(30), 435)
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-logits)), rtol=1e-12)


def test_at_a_low_temperature_they_solve_the_problem():
    """Against the best of all sets: the value, smoothed, is above it, and the set is the set."""
    values, t = np.random.default_rng(3).uniform(1, 9, size=(20, 8)), 1e-3
    x = sets(COSTS, 12)
    best = (values @ x.T).max(axis=1)
    value = t * knapsack_log_normaliser(values / t, COSTS, 12)
    assert (value >= best - 1e-13 * best).all()
    np.testing.assert_allclose(value, best, rtol=0, atol=1e-2)
    found = knapsack_marginals(values / t, COSTS, 12)
    np.testing.assert_allclose(found, x[(values @ x.T).argmax(axis=1)], atol=1e-3)


def test_a_large_one_is_consistent():
    """Marginals are the gradient of the normaliser, the product is theirs, of 200 items."""
    rng = np.random.default_rng(4)
    logits, v, r = rng.normal(size=(3, 2, 200))
    costs, h = rng.integers(1, 60, size=200), 1e-5
    p = knapsack_marginals(logits, costs, 1500)
    assert (p >= 0).all()
    assert (p <= 1).all()
    up, down = (knapsack_log_normaliser(logits + s * h * v, costs, 1500) for s in (1, -1))
    np.testing.assert_allclose((p * v).sum(axis=1), (up - down) / (2 * h), rtol=1e-7)
    up, down = (knapsack_marginals(logits + s * h * v, costs, 1500) for s in (1, -1))
    product = knapsack_marginals_vjp(logits, r, costs, 1500)
    slope = (r * (up - down)).sum(axis=1) / (2 * h)
    np.testing.assert_allclose((product * v).sum(axis=1), slope, rtol=1e-6)


def test_products_are_summed_over_samples():
    logits = np.random.default_rng(5).normal(size=(2, 8))
    r = np.random.default_rng(6).normal(size=(3, 2, 8))
    whole = knapsack_marginals_vjp(logits, r, COSTS, 10)
    each = sum(knapsack_marginals_vjp(logits, one, COSTS, 10) for one in r)
    np.testing.assert_allclose(whole, each, rtol=1e-10, atol=1e-14)


def test_in_float32_they_are_those_of_float64():
    logits = np.random.default_rng(7).normal(size=(4, 8)).astype(np.float32)
    exact = logits.astype(np.float64)
    for function in (knapsack_marginals, knapsack_log_normaliser):
        found = function(logits, COSTS, 10)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, function(exact, COSTS, 10), rtol=1e-6, atol=1e-7)
    x = knapsack(logits, COSTS, 10, num_samples=50, rng=0)
    np.testing.assert_array_equal(x, knapsack(exact, COSTS, 10, num_samples=50, rng=0))


# -- exact samples -----------------------------------------------------------------------------


def test_samples_have_their_law():
    n, logits = 40_000, np.array([[0.0, 1.0, -2.0, 0.3, -INF, 0.8], [0.0] * 6])
    costs, budget = [3, 1, 2, 2, 1, 4], 6
    drawn = knapsack(logits, costs, budget, num_samples=n, rng=5)
    x, code = sets(costs, budget), 2 ** np.arange(6)
    for i, row in enumerate(logits):
        _, p = law(row, x)
        counts = np.bincount((drawn[:, i] @ code).astype(int), minlength=64)[(x @ code).astype(int)]
        assert counts.sum() == n
        assert (counts[p == 0] == 0).all()
        often = n * p > 5
        expected = [*n * p[often], n * (1 - p[often].sum()) + 1e-9]
        observed = [*counts[often], n - counts[often].sum()]
        keep = np.array(expected) > 1e-6
        found = stats.chisquare(np.array(observed)[keep], np.array(expected)[keep], sum_check=False)
        assert found.pvalue > FALSE_ALARM


def test_samples_are_those_of_the_whole():
    logits = np.random.default_rng(8).normal(size=(3, 70))
    costs = np.arange(70) % 7 + 1
    whole = knapsack(logits, costs, 40, num_samples=5, rng=3)
    assert (whole @ costs).max() <= 40
    part = knapsack(logits[1:], costs, 40, num_samples=2, rng=3, row_offset=1, sample_offset=3)
    np.testing.assert_array_equal(part, whole[3:, 1:])
    many = knapsack(np.tile(logits, (20, 1)), costs, 40, num_samples=5, rng=3)  # on threads
    np.testing.assert_array_equal(many[:, :3], whole)


# -- the probability of a set ------------------------------------------------------------------


def test_log_prob_of_sets():
    logits = 3 * np.random.default_rng(9).normal(size=(2, 8))
    logits[0, 2] = -INF
    x = sets(COSTS, 10)
    each = np.stack([x, x], axis=1)
    found = knapsack_log_prob(logits, each, COSTS, 10)
    for i, row in enumerate(logits):
        np.testing.assert_allclose(np.exp(found[:, i]), law(row, x)[1], rtol=1e-11, atol=0)
    assert knapsack_log_prob(logits[1], np.ones(8), COSTS, 10) == -INF


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), [1, 2], 3), r"costs must be integers of shape \(3,\), .* shape \(2,\)"),
        ((np.zeros(2), [1.0, 2.0], 3), "costs must be integers .*, got float64"),
        ((np.zeros(2), [1, -2], 3), "costs must be at least 0, got -2 at index 1"),
        ((np.zeros(2), [1, 2], -1), "budget must be at least 0, got -1"),
        ((np.array([0.0, np.nan]), [1, 2], 1), "logits must be below infinity, got nan"),
        ((np.zeros(2), [2**40, 2**40 + 1], 2**50), "must make a table of at most 67108864 numbers"),
    ],
)
def test_what_is_no_knapsack_is_refused(arguments, message):
    for function in (knapsack_marginals, fg.subset.Knapsack):
        with pytest.raises(ValueError, match=message):
            function(*arguments)


@pytest.mark.parametrize(
    ("x", "message"),
    [
        ([1, 0, 2], r"x must hold 0 and 1, got 2.0 at index \(2,\)"),
        ([1, 0], r"x must have shape \(3,\)"),
    ],
)
def test_what_is_no_set_is_refused(x, message):
    with pytest.raises(ValueError, match=message):
        knapsack_log_prob(np.zeros(3), x, [1, 2, 3], 4)


# -- the distribution --------------------------------------------------------------------------


def test_the_distribution_lists_its_sets():
    d = fg.subset.Knapsack(np.zeros(8), COSTS, 10)
    x = sets(COSTS, 10)
    assert d.num_outcomes == len(x)
    assert {tuple(row) for row in d.table()} == {tuple(row) for row in x}
    many = fg.subset.Knapsack(np.zeros(200), np.ones(200, int), 100)
    with pytest.raises(ValueError, match="Knapsack has too many outcomes to list"):
        many.table()


def test_relaxed_sets_without_a_limit_are_binary_concrete():
    logits = np.random.default_rng(10).normal(size=(2, 6))
    d = fg.subset.Knapsack(logits, np.ones(6, int), 6)
    found = d.gumbel_softmax(temperature=0.4, num_samples=5, rng=1)
    expected = fg.bernoulli.gumbel_softmax(logits, temperature=0.4, num_samples=5, rng=1)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    part = d.with_logits(logits[1:]).from_row(1)
    again = part.gumbel_softmax(temperature=0.4, num_samples=2, rng=1, sample_offset=3)
    np.testing.assert_array_equal(again, found[3:, 1:])


def test_straight_through_is_exact_where_f_is_linear():
    logits = np.random.default_rng(11).normal(size=6)
    d = fg.subset.Knapsack(logits, [3, 1, 2, 2, 1, 4], 6)
    f = fg.objectives.linear(np.arange(6.0))
    found = fg.estimator("straight_through")(f, d, num_samples=1, rng=0).grad
    np.testing.assert_allclose(found, fg.exact.grad(f, d), rtol=1e-10)
