"""Counts against SciPy: quantiles on every draw, both tails, probabilities, and differences."""

import numpy as np
import pytest
from scipy import stats

import fastgrad as fg
from fastgrad.distributions.counts.densities import log_binomial, log_poisson

ODDS = np.array([-3.0, 0.5, 20.0])
FAIR = np.array([-2.0, 0.3])


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


CASES = {
    "poisson": (fg.counts.Poisson(np.log([1e-3, 4.0, 1e4])), stats.poisson([1e-3, 4.0, 1e4])),
    "binomial": (fg.counts.Binomial(ODDS, 20), stats.binom(20, sigmoid(ODDS))),
    "one trial": (fg.counts.Binomial(ODDS, 1), stats.binom(1, sigmoid(ODDS))),
    "many trials": (fg.counts.Binomial(FAIR, 10**5), stats.binom(10**5, sigmoid(FAIR))),
    "negative": (fg.counts.NegativeBinomial(FAIR, 2.5), stats.nbinom(2.5, sigmoid(-FAIR))),
    "small": (fg.counts.NegativeBinomial(FAIR, 0.1), stats.nbinom(0.1, sigmoid(-FAIR))),
    "geometric": (fg.counts.Geometric(FAIR), stats.geom(sigmoid(FAIR), loc=-1)),
}
each_law = pytest.mark.parametrize("name", CASES)


@each_law
def test_samples_are_the_quantiles_of_their_noise(name):
    d, law = CASES[name]
    z = d.sample(num_samples=500, rng=3)
    left, right = d._tails(500, fg.Key(3), 0)
    np.testing.assert_allclose(left + right, 1, rtol=1e-15)
    expected = np.where(left < 0.5, law.ppf(left), law.isf(right))
    assert z.dtype == np.int32
    assert np.mean(z != expected) < 0.001  # SciPy's quantiles miss by one where sums round


@each_law
def test_both_tails_are_exact(name):
    """Far out, where 1 less a probability is 1: that the quantile is the smallest that will do."""
    d, law = CASES[name]
    for side, p in (("right", 1e-30), ("left", 1e-30), ("right", 1e-12), ("left", 1e-12)):
        tail = np.full((1, d.num_variables), p)
        z = np.empty(tail.shape, np.int32)
        if side == "right":
            d._invert(1 - tail, tail, z)
            assert (law.sf(z) <= 1.0001 * p).all()
            assert (law.sf(z - 1.0) >= 0.9999 * p)[z > 0].all()
        else:
            d._invert(tail, 1 - tail, z)
            assert (law.cdf(z) >= 0.9999 * p).all()
            assert (law.cdf(z - 1.0) <= 1.0001 * p)[z > 0].all()


@each_law
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_log_prob(name, dtype):
    d, law = CASES[name]
    d = d.with_logits(d.logits.astype(dtype))
    z = d.sample(num_samples=200, rng=1)
    found = d.log_prob(z)
    assert found.dtype == dtype
    tolerance = 1e-9 if dtype == np.float64 else 2e-2
    np.testing.assert_allclose(found, law.logpmf(z), rtol=tolerance, atol=tolerance)


@each_law
def test_mean_score_and_growth(name):
    d, law = CASES[name]
    np.testing.assert_allclose(d.mean(), law.mean(), rtol=1e-12)
    z, h = d.sample(num_samples=20, rng=2), 1e-6
    up, down = (d.with_logits(d.logits + s * h) for s in (1, -1))
    slope = (up.log_prob(z) - down.log_prob(z)) / (2 * h)
    np.testing.assert_allclose(d.score(z), slope, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(
        d.growth(), (up.mean() - down.mean()) / (2 * h), rtol=1e-6, atol=1e-8
    )


@pytest.mark.parametrize("name", ["binomial", "one trial", "negative", "small", "geometric"])
def test_the_derivative_is_a_difference_of_means(name):
    """growth E[f(Y + 1) - f(Y)] over all Y is the gradient, for an f of no special kind."""
    d, _ = CASES[name]

    def f(x):
        return np.sin(x)

    for i, logit in enumerate(d.logits[:2]):
        one = d.with_logits(logit)
        shifted = one.shifted()
        y = np.zeros(1, np.int32)
        p = np.ones(1)
        if hasattr(shifted, "table"):
            y, p = shifted.table(), np.exp(shifted.log_probabilities())
        found = one.growth() * (p * (f(y + 1) - f(y))).sum()
        np.testing.assert_allclose(found, fg.exact.grad(f, one), rtol=1e-9, err_msg=str(i))


def test_densities_keep_their_digits():
    """Against exact rational arithmetic at counts where log-gamma functions cancel."""
    mpmath = pytest.importorskip("mpmath")
    with mpmath.workdps(50):
        for x, rate in ((0, 1e-3), (7, 3.0), (10**6 + 3, 1e6), (10**7, 1.001e7)):
            log_rate = np.log(rate)
            true = x * mpmath.mpf(log_rate) - mpmath.exp(mpmath.mpf(log_rate))
            true = float(true - mpmath.loggamma(x + 1))
            np.testing.assert_allclose(log_poisson(np.float64(x), log_rate), true, rtol=1e-10)
        n, x, p = 10**7, 5_001_000, 0.5
        true = mpmath.log(mpmath.binomial(n, x)) + n * mpmath.log(p)
        found = log_binomial(np.float64(x), n, np.log(p), np.log(p))
        np.testing.assert_allclose(found, float(true), rtol=1e-8)


def test_no_outcome_is_beyond_the_number_of_trials():
    d = fg.counts.Binomial(np.array(800.0), 5)
    assert d.log_prob(np.array(6)) == -np.inf
    assert (d.sample(num_samples=10, rng=0) == 5).all()
    assert d.num_outcomes == 6


def test_multinomials_have_their_law():
    d = fg.counts.Multinomial(np.array([0.0, 1.0, -np.inf, 0.5]), 3)
    p = np.exp(fg.log_softmax(d.logits))
    expected = stats.multinomial(3, p).pmf(d.table())
    np.testing.assert_allclose(np.exp(d.log_probabilities()), expected, rtol=1e-12)
    z = d.sample(num_samples=100, rng=0)
    assert (z.sum(axis=1) == 3).all()
    assert (z[:, 2] == 0).all()
    drawn = fg.sample(d.logits, num_samples=300, rng=0).reshape(100, 3)
    np.testing.assert_array_equal(z, (drawn[..., None] == np.arange(4)).sum(axis=1))


def test_the_derivative_of_a_multinomial_is_a_difference_of_means():
    d, w = fg.counts.Multinomial(np.array([0.2, -0.4, 0.1]), 3), np.array([0.3, -0.8, 0.5])

    def f(x):
        return np.exp(x @ w)

    _, coefficients = d.weak_derivative(1, fg.Key(0))
    y = fg.counts.Multinomial(d.logits, 2)
    p, eye = np.exp(y.log_probabilities()), np.eye(3)
    means = np.array([(p * f(y.table() + eye[k])).sum() for k in range(3)])
    np.testing.assert_allclose(means @ coefficients, fg.exact.grad(f, d), rtol=1e-10)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: fg.counts.Poisson(np.inf), "log_rate must be finite, got inf"),
        (
            lambda: fg.counts.Poisson(20.0),
            r"the mean of Poisson must be at most 2\*\*24",
        ),
        (lambda: fg.counts.Geometric(-20.0), r"the mean of Geometric must be at most 2\*\*24"),
        (lambda: fg.counts.Binomial(0.0, 0), "total_count must be from 1 to"),
        (lambda: fg.counts.NegativeBinomial(0.0, -1.0), "total_count must be .*, got -1.0"),
        (
            lambda: fg.counts.Multinomial(np.zeros(3), 0),
            "total_count must be from 1 to",
        ),
        (lambda: fg.counts.Binomial(np.nan, 3), "logits must be finite, got nan"),
        (lambda: fg.counts.Poisson(0.0).log_prob(np.array(-1)), "z must be at least 0, got -1"),
        (
            lambda: fg.counts.Multinomial(np.zeros(2), 3).log_prob(np.array([1, 1])),
            "z must hold counts of sum 3",
        ),
    ],
)
def test_bad_input_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_counts_have_no_temperature():
    f = fg.objective(lambda x: x, grad=lambda x: np.ones_like(x))
    with pytest.raises(ValueError, match="temperature must be 1 for Poisson"):
        fg.estimator("straight_through", temperature=0.5)(
            f, fg.counts.Poisson(0.0), num_samples=1, rng=0
        )


@pytest.mark.parametrize(
    "d",
    [
        fg.counts.Poisson(0.0),
        fg.counts.Binomial(np.array(0.0), 3),
        fg.counts.Geometric(np.array(0.0)),
        fg.counts.NegativeBinomial(np.array(0.0), 2.5),
    ],
)
def test_one_variable_has_one_number(d):
    for z in (2, np.array(2), d.sample(rng=0)):
        assert np.shape(d.log_prob(z)) == np.shape(d.score(z)) == ()
    assert np.shape(d.log_prob(d.sample(num_samples=3, rng=0))) == (3,)
