"""Gamma variates from tiny to huge shapes, in log space, and their derivatives by the shape."""

import numba
import numpy as np
import pytest
from scipy import special, stats

import fastgrad as fg
from fastgrad.distributions.continuous.gamma import log_gamma_draws, log_gamma_slopes
from fastgrad.kernels.random import rejection

C = fg.continuous
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
SHAPES = [1e-3, 1e-2, 0.1, 0.5, 1.0, 1.5, 7.0, 100.0, 1e4]
by_shape = pytest.mark.parametrize("a", SHAPES)
by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def draws(a, count, seed=0, offset=0):
    return log_gamma_draws(np.atleast_1d(np.asarray(a, float)), count, fg.Key(seed), offset)


def distribution_function(a, log_x):
    """F, by its first term where x is so small that only this counts."""
    x = np.exp(log_x)
    first = np.exp(np.minimum(a * log_x - special.gammaln(a + 1), 0))
    return np.where(x < 1e-20, first, special.gammainc(a, x))


def quantiles(a, q):
    """log x where F = q, whatever underflows."""
    log_x = (np.log(q) + special.gammaln(a + 1)) / a
    inverse = special.gammaincinv(a, q) if q <= 0.5 else special.gammainccinv(a, 1 - q)
    return log_x if log_x < -20 else np.log(inverse)


@by_shape
def test_draws_follow_the_law(a):
    u = distribution_function(a, draws(a, 100_000, seed=4)[:, 0])
    assert stats.kstest(u, "uniform").pvalue > FALSE_ALARM


@by_dtype
@by_shape
def test_samples_and_their_logarithms(a, dtype):
    d = C.Gamma(dtype(np.log(a)), dtype(0.7))
    log_x = d.sample(num_samples=20_000, rng=1, log=True)
    x = d.sample(num_samples=20_000, rng=1)
    assert log_x.dtype == x.dtype == dtype
    info = np.finfo(dtype)
    inside = log_x > np.log(info.tiny)
    np.testing.assert_allclose(x[inside], np.exp(log_x[inside].astype(float)), rtol=3e-5)
    assert (x[~inside] == info.tiny).all()
    u = distribution_function(np.exp(float(d.log_concentration)), log_x.astype(float) + 0.7)
    # float32 logarithms of variates of shape 1e4 leave few distinct numbers: no more than rounding
    assert stats.kstest(u, "uniform").statistic < 0.021


def test_tiny_shapes_need_the_logarithm():
    log_x = draws(1e-3, 20_000)
    below = (log_x < np.log(np.finfo(float).tiny)).mean()
    assert abs(below - np.exp(-0.708)) < 4.9 * 0.5 / np.sqrt(20_000)
    assert log_x.min() < -5000


def test_log_density_at_a_logarithm():
    log_x = np.array([-3.0, 0.1, 2.0])
    d = C.Gamma(np.full(3, -0.5), np.full(3, 0.3))
    np.testing.assert_allclose(d.log_prob(log_x, log=True), d.log_prob(np.exp(log_x)), rtol=1e-12)
    tiny = C.Gamma(np.log(1e-3), 0.0).log_prob(-5000.0, log=True)
    np.testing.assert_allclose(tiny, 5000 * 0.999 - special.gammaln(1e-3), rtol=1e-12)
    dirichlet = C.Dirichlet(np.log([0.5, 2.0]))
    log_p = np.log([0.3, 0.7])
    np.testing.assert_allclose(dirichlet.log_prob(log_p, log=True), dirichlet.log_prob([0.3, 0.7]))


@by_shape
def test_density_is_scipys_for_all_shapes(a):
    d = C.Gamma(np.log(a), 0.0)
    x = np.exp(max(quantiles(a, 0.3), -600))
    np.testing.assert_allclose(d.log_prob(x), stats.gamma(a).logpdf(x), rtol=1e-9)
    # SciPy's entropy loses digits to cancellation for large shapes
    np.testing.assert_allclose(d.entropy(), stats.gamma(a).entropy(), rtol=1e-9, atol=1e-9)


# -- derivatives by the shape ------------------------------------------------------------------


@by_shape
def test_slopes_against_mpmath(a):
    """-(dF / da) / (x F'(x)), from the tail of F that is the smaller."""
    mp = pytest.importorskip("mpmath")
    probabilities = [1e-12, 1e-6, 0.01, 0.3, 0.5, 0.7, 0.99, 1 - 1e-6, 1 - 1e-9]
    log_x = np.array([[quantiles(a, q)] for q in probabilities])
    got = log_gamma_slopes(np.array([a]), log_x)[:, 0] / a
    with mp.workdps(40):
        for y, slope in zip(log_x[:, 0], got):
            x, h = mp.e ** mp.mpf(float(y)), mp.mpf(10) ** -12 * a
            lower = mp.gammainc(a, 0, x, regularized=True) < 0.5
            ends, sign = ((0, x), -1) if lower else ((x, mp.inf), 1)
            up, down = (mp.gammainc(a + s * h, *ends, regularized=True) for s in (1, -1))
            density = mp.e ** (mp.mpf(a) * float(y) - x - mp.loggamma(a))
            exact = sign * (up - down) / (2 * h) / density
            assert abs(slope / float(exact) - 1) < 1e-11


def test_slopes_are_positive_and_continuous_over_all_regimes():
    for a in [*SHAPES, 7.99, 8.01, 30.0]:
        log_x = np.linspace(max(quantiles(a, 1e-9), -3), quantiles(a, 1 - 1e-9), 20_001)
        log_x = log_x[:, None]
        slope = log_gamma_slopes(np.array([a]), log_x)[:, 0]
        assert (slope > 0).all()
        assert np.abs(np.diff(np.log(slope), 2)).max() < 1e-2
    near = log_gamma_slopes(np.array([8 - 1e-9, 8 + 1e-9]), np.log([[5.0, 5.0], [1.0, 1 + 1e-12]]))
    np.testing.assert_allclose(near[:, 0], near[:, 1], rtol=1e-8)


@pytest.mark.parametrize("a", [1e-300, 1e-30, 1e8, 1e15, 1e17, 1e200])
def test_the_most_extreme_shapes_stay_finite(a):
    """x = a (1 + z / sqrt(a)) for huge shapes, so that d log x / d log a tends to 1."""
    d = C.Gamma(np.full(500, np.log(a)), np.zeros(500))
    log_x = d.noise(1, rng=0)
    slope = log_gamma_slopes(np.full(500, a), log_x)
    assert np.isfinite(log_x).all()
    assert np.isfinite(slope).all()
    assert (slope > 0).all()
    if a > 1:
        np.testing.assert_allclose(log_x, np.log(a), atol=6 / np.sqrt(a) + 1e-13)
        np.testing.assert_allclose(slope, 1, atol=6 / np.sqrt(a) + 1e-13)
    else:  # log x = -E / a, whose derivative by log a is -log x
        np.testing.assert_allclose(slope, -log_x, rtol=1e-9)


@pytest.mark.parametrize("a", [1e-3, 0.1, 3.0, 1e4])
def test_gradients_of_the_mean_for_all_shapes(a):
    """E[x] = a / rate: its derivatives by the logarithms are that and its negative."""
    d = C.Gamma(np.full(200, np.log(a)), np.full(200, 0.5))
    f = fg.objective(lambda x: x, grad=np.ones_like)
    estimate = fg.estimator("pathwise")(f, d, num_samples=20_000, rng=2)
    for key, sign in (("log_concentration", 1), ("log_rate", -1)):
        g = estimate.grad[key]
        gap = abs(g.mean() - sign * a * np.exp(-0.5)) / (g.std(ddof=1) / np.sqrt(len(g)))
        assert gap < stats.t.isf(FALSE_ALARM / 2, len(g) - 1)


# -- bits --------------------------------------------------------------------------------------


def test_first_attempts_and_single_draws_agree():
    """The vectorised first attempt and the serial loop are the same function of the counter."""
    from fastgrad.kernels.compiler.jit import standalone
    from fastgrad.kernels.distributions.continuous import gamma as kernels

    a = 1.3
    d, c = a - 1 / 3, 1 / np.sqrt(9 * (a - 1 / 3))
    words = fg.Key(0).kernel_words
    one_draw = standalone(lambda *args: kernels.one_draw(*args))
    single = [one_draw(d, c, np.uint64(e), words) + np.log(d) for e in range(3000)]
    assert np.array_equal(draws(a, 3000)[:, 0], single)


def test_rejected_proposals_are_drawn_anew():
    """Some of the first attempts fail, and attempts differ: no element repeats another's."""
    x = draws(0.9, 100_000)[:, 0]
    assert len(np.unique(x)) == len(x)


@pytest.mark.parametrize("count", [1, 255, 256, 257, 5000])
def test_bits_depend_on_place_only(count):
    a = np.array([1e-3, 0.7, 2.0, 1e4])
    whole = log_gamma_draws(a, 5000, fg.Key(1), 0)
    assert np.array_equal(log_gamma_draws(a, count, fg.Key(1), 0), whole[:count])
    last = log_gamma_draws(a, count, fg.Key(1), 5000 - count)
    assert np.array_equal(last, whole[5000 - count :])
    slopes = log_gamma_slopes(a, whole)
    assert np.array_equal(log_gamma_slopes(a, last), slopes[5000 - count :])
    numba.set_num_threads(1)
    assert np.array_equal(log_gamma_draws(a, 5000, fg.Key(1), 0), whole)
    assert np.array_equal(log_gamma_slopes(a, whole), slopes)


def test_parameters_repeat_over_blocks():
    """Every variable has its own shape, wherever blocks of the stream begin."""
    n = rejection.ROWS + 41
    a = np.exp(np.random.default_rng(0).normal(size=n))
    x = draws(a, 300)
    for i in (0, 1, 41, 255, 256, n - 1):
        u = special.gammainc(a[i], np.exp(x[:, i]))
        assert stats.kstest(u, "uniform").pvalue > FALSE_ALARM
    alone = log_gamma_slopes(a[7:8], np.ascontiguousarray(x[:, 7:8]))
    assert np.array_equal(log_gamma_slopes(a, x)[:, 7:8], alone)


def test_errors():
    with pytest.raises(ValueError, match="log_concentration must be from -708"):
        C.Gamma(-800.0, 0.0)


@by_dtype
def test_scores_of_logarithms_are_those_of_samples_and_never_clipped(dtype):
    d = C.Gamma(np.log([1e-4, 0.5, 30.0]).astype(dtype), np.array([0.5, 0.0, -2.0], dtype))
    noise = d.noise(500, rng=1)
    by_noise, by_log = d.transform_score(noise), d.score(d.transform(noise, log=True), log=True)
    for name in by_noise:
        tolerance = 1e-4 if dtype == np.float32 else 1e-10
        np.testing.assert_allclose(by_log[name], by_noise[name], rtol=tolerance, atol=tolerance)


def test_the_density_at_the_ends_of_the_support():
    d = C.Gamma(np.log([0.5, 1.0, 2.0]), np.full(3, 0.3))
    np.testing.assert_allclose(d.log_prob(np.zeros(3)), [np.inf, 0.3, -np.inf])
    np.testing.assert_allclose(d.log_prob(np.full(3, -np.inf), log=True), [np.inf, 0.3, -np.inf])
    assert (d.log_prob(np.full(3, np.inf)) == -np.inf).all()
    assert (d.log_prob(np.full(3, 800.0), log=True) == -np.inf).all()
