"""Student's t: heavy tails, and the derivative by the degrees of freedom."""

import numpy as np
import pytest
from scipy import special, stats

import fastgrad as fg

C = fg.continuous
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed


@pytest.mark.parametrize("df", [0.2, 1.0, 2.5, 30.0, 1e6])
def test_laws_and_densities_for_all_degrees_of_freedom(df):
    law = stats.t(df)
    d = C.StudentT(0.0, 0.0, np.log(df))
    x = d.sample(num_samples=50_000, rng=1)
    assert stats.kstest(x, law.cdf).pvalue > FALSE_ALARM
    at = np.array([-30.0, 0.0, 0.5, 8.0])
    wide = C.StudentT(*(np.full(4, p) for p in d.parameters.values()))
    np.testing.assert_allclose(wide.log_prob(at), law.logpdf(at), rtol=1e-8)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_heaviest_tails_stay_finite(dtype):
    d = C.StudentT(*np.array([[0.0], [3.0], [-5.0]], dtype))
    noise = d.noise(20_000, rng=0)
    x = d.transform(noise)
    assert x.dtype == dtype
    assert np.isfinite(x).all()
    assert (np.abs(x) == np.finfo(dtype).max).any()
    assert np.isfinite(d.log_prob(x)).all()
    assert all(np.isfinite(s).all() for s in d.score(x).values())
    zero = d.transform_vjp(noise, np.zeros_like(x))
    assert all(not g.any() for g in zero.values())


@pytest.mark.parametrize("df", [0.7, 3.0, 1e3])
def test_gradient_by_the_degrees_of_freedom(df):
    """E[log(1 + t^2 / df)] = digamma((df + 1) / 2) - digamma(df / 2), and t^2 itself moves."""

    def f(x):
        return np.log1p(x * x / df)

    def mean(log_df):  # of log(1 + c g), by the law of t^2 / df' = beta prime
        nu = np.exp(log_df)
        law = stats.betaprime(0.5, nu / 2)
        u = (np.arange(200_000) + 0.5) / 200_000
        return np.log1p(law.ppf(u) * nu / df).mean()

    d = C.StudentT(np.zeros(200), np.zeros(200), np.full(200, np.log(df)))
    f = fg.objective(f, grad=lambda x: 2 * x / (df + x * x))
    expected = (mean(np.log(df) + 1e-3) - mean(np.log(df) - 1e-3)) / 2e-3
    gap = special.digamma((df + 1) / 2) - special.digamma(df / 2)
    assert abs(mean(np.log(df)) - gap) < 1e-3
    for name in ("pathwise", "score_function"):
        g = fg.estimator(name)(f, d, num_samples=1000, rng=1).grad["log_df"]
        error = g.std(ddof=1) / np.sqrt(len(g))
        assert abs(g.mean() - expected) < 6 * error + 1e-4


def test_no_mean_without_a_first_moment():
    d = C.StudentT(np.ones(2), np.zeros(2), np.log([0.9, 1.1]))
    assert np.array_equal(d.mean(), [np.nan, 1.0], equal_nan=True)
