"""Densities of relaxed Bernoulli samples and of their log odds."""

import numpy as np
import pytest
import scipy.special as sp
import scipy.stats
from strategies import DTYPES

import fastgrad as fg
from fastgrad.distributions import bernoulli

CASES = [(logit, t) for logit in (-3.0, 0.0, 2.0) for t in (0.1, 0.5, 1.0, 5.0)]
each_case = pytest.mark.parametrize(("logit", "temperature"), CASES)


@each_case
def test_densities_integrate_to_one(logit, temperature):
    """By the trapezoidal rule in the log odds, which converges geometrically."""
    z = np.linspace(-60, 60, 4000) / min(temperature, 1)
    step = z[1] - z[0]
    log_odds = np.exp(bernoulli.exp_concrete_log_prob(np.array(logit), z, temperature=temperature))
    assert abs(log_odds.sum() * step - 1) < 1e-9
    z = z[
        z < 0
    ]  # the upper half is the lower half of the opposite logit, whose y do not round to 1
    change = sp.log_expit(z) + sp.log_expit(-z)  # d y / d z
    halves = [
        bernoulli.concrete_log_prob(np.array(s), sp.expit(z), temperature=temperature) + change
        for s in (logit, -logit)
    ]
    assert abs(np.exp(halves).sum() * step - 1) < 1e-9


@each_case
def test_formula(logit, temperature):
    """Maddison, Mnih and Teh (2017), the binary case, term by term."""
    y, alpha = np.linspace(0.01, 0.99, 99), np.exp(logit)
    expected = (
        np.log(temperature * alpha)
        - (temperature + 1) * np.log(y * (1 - y))
        - 2 * np.log(alpha * y**-temperature + (1 - y) ** -temperature)
    )
    got = bernoulli.concrete_log_prob(np.array(logit), y, temperature=temperature)
    np.testing.assert_allclose(got, expected, rtol=1e-11, atol=1e-12)


@each_case
def test_samples_have_the_density(logit, temperature):
    """The density's own distribution function, by quadrature, against draws: false alarm 1e-6."""
    logits = np.full(100_000, logit)
    z = bernoulli.gumbel_softmax(logits, temperature=temperature, rng=31, log=True)
    grid = np.linspace(-60, 60, 20_001) / min(temperature, 1)
    density = np.exp(bernoulli.exp_concrete_log_prob(logits[0], grid, temperature=temperature))
    cdf = np.cumsum(density) * (grid[1] - grid[0])
    assert scipy.stats.kstest(z, lambda x: np.interp(x, grid, cdf)).pvalue > 1e-6


def test_two_categories_have_the_same_density():
    logits = np.array([-1.0, 0.3, 4.0])
    y = np.random.default_rng(0).uniform(0.01, 0.99, (5, 3))
    two, both = np.stack([0 * logits, logits], -1), np.stack([1 - y, y], -1)
    np.testing.assert_allclose(
        bernoulli.concrete_log_prob(logits, y, temperature=0.7),
        fg.concrete_log_prob(two, both, temperature=0.7),
        rtol=1e-12,
    )


@pytest.mark.optional
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [0.01, 0.3, 1.0, 10.0])
def test_torch_agrees(dtype, temperature):
    torch = pytest.importorskip("torch")
    from torch.distributions.relaxed_bernoulli import LogitRelaxedBernoulli, RelaxedBernoulli

    logits = np.linspace(-4, 4, 9).astype(dtype)
    y = np.random.default_rng(1).uniform(0.05, 0.95, (6, 9)).astype(dtype)
    z = bernoulli.gumbel_softmax(logits, temperature=temperature, num_samples=6, rng=0, log=True)
    location = (torch.tensor(temperature, dtype=torch.float64), None, torch.from_numpy(logits))
    tolerance = {"rtol": 200 * np.finfo(dtype).eps, "atol": 200 * np.finfo(dtype).eps}
    np.testing.assert_allclose(
        bernoulli.concrete_log_prob(logits, y, temperature=temperature),
        RelaxedBernoulli(*location).log_prob(torch.from_numpy(y)).numpy(),
        **tolerance,
    )
    np.testing.assert_allclose(
        bernoulli.exp_concrete_log_prob(logits, z, temperature=temperature),
        LogitRelaxedBernoulli(*location).log_prob(torch.from_numpy(z)).numpy(),
        **tolerance,
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("temperature", [1e-3, 1.0, 1e3])
def test_log_odds_are_finite_at_any_temperature(dtype, temperature):
    logits = np.array([-1e4, -90, 0, 90, 1e4], dtype)
    z = bernoulli.gumbel_softmax(logits, temperature=temperature, num_samples=100, rng=0, log=True)
    value = bernoulli.exp_concrete_log_prob(logits, z, temperature=temperature)
    assert value.dtype == dtype
    assert value.shape == z.shape
    assert np.isfinite(value).all()


def test_certain_sites():
    logits = np.array([-np.inf, np.inf, 0.0])
    y = np.array([[0, 1, 0.5], [1, 0, 0.5], [0.5, 0.5, 0.5]])
    with np.errstate(divide="ignore"):
        z = sp.logit(y)
    for value in (
        bernoulli.concrete_log_prob(logits, y, temperature=1.0),
        bernoulli.exp_concrete_log_prob(logits, z, temperature=1.0),
    ):
        np.testing.assert_array_equal(value[:, :2], [[0, 0], [-np.inf] * 2, [-np.inf] * 2])
        assert np.isfinite(value[:, 2]).all()


ONE = np.zeros(1)
REFUSED = [
    (lambda: bernoulli.concrete_log_prob([np.nan], ONE, temperature=1.0), "logits .*NaN"),
    (lambda: bernoulli.concrete_log_prob(ONE, ONE, temperature=1.0), r"x must .* index \(0,\)"),
    (lambda: bernoulli.concrete_log_prob(ONE, ONE + 1, temperature=1.0), "x must be above 0"),
    (lambda: bernoulli.concrete_log_prob(ONE, ONE + 2, temperature=1.0), "x must be above 0"),
    (lambda: bernoulli.concrete_log_prob(ONE, ONE + np.nan, temperature=1.0), "x must be above 0"),
    (lambda: bernoulli.concrete_log_prob(ONE, 0.5, temperature=1.0), r"x .*\(1,\).*got \(\)"),
    (lambda: bernoulli.concrete_log_prob(ONE, ONE + 0.5, temperature=0), "temperature .*got 0"),
    (
        lambda: bernoulli.exp_concrete_log_prob(ONE, ONE + np.inf, temperature=1.0),
        r"log_odds must be finite .* index \(0,\)",
    ),
    (
        lambda: bernoulli.exp_concrete_log_prob(ONE, np.zeros((1, 2)), temperature=1.0),
        r"log_odds must have shape \(1,\)",
    ),
    (lambda: bernoulli.exp_concrete_log_prob(ONE, ONE, temperature=-1), "temperature .*-1"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_values_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_points_outside_are_refused_at_certain_sites_too():
    logits = np.array([np.inf])
    for x in (-0.5, 1.5, np.nan):
        with pytest.raises(ValueError, match="x must"):
            bernoulli.concrete_log_prob(logits, np.array([x]), temperature=1.0)
    with pytest.raises(ValueError, match="log_odds must"):
        bernoulli.exp_concrete_log_prob(logits, np.array([np.nan]), temperature=1.0)
