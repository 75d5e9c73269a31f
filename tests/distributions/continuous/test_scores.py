"""The score has mean zero: for every family, from tiny to huge shapes, in both types.

Statistics are means of independent scores, in standard errors. A bound of 7.5 makes false alarms
rarer than 1e-6 although some scores are skewed: the most skewed sum here, of 100,000 gamma
variates of shape 1e-4, is a gamma variate of shape 10, which exceeds its mean by 7.5 standard
deviations with a probability of 6e-7. Of normal means 5 standard errors are a rate of 6e-7.
"""

import itertools

import numpy as np
import pytest
from families import FAMILIES, C, make
from scipy import special, stats

import fastgrad as fg

SHAPES = np.array([1e-4, 1e-3, 1e-2, 0.1, 0.5, 3.0, 1e3, 1e8, 1e15])
DTYPES = [np.float32, np.float64]
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
N, BOUND = 100_000, 7.5
PART = N // 10  # of the samples at once, where there are many


def log_shapes(dtype):
    return np.log(SHAPES).astype(dtype)


def pairs(dtype):
    return (p.reshape(-1) for p in np.meshgrid(log_shapes(dtype)[::2], log_shapes(dtype)[::2]))


EXTREME = {
    "gamma": lambda t: C.Gamma(log_shapes(t), np.linspace(-9, 9, len(SHAPES)).astype(t)),
    "beta": lambda t: C.Beta(*pairs(t)),
    "dirichlet": lambda t: C.Dirichlet(np.stack([*pairs(t), t(0) * next(pairs(t))], axis=-1)),
    "student_t": lambda t: C.StudentT(np.full(9, t(100)), np.full(9, t(-3)), log_shapes(t)),
    "von_mises": lambda t: C.VonMises(
        np.full(10, t(3)), np.append(log_shapes(t), t(-np.inf)).astype(t)
    ),
    "lognormal": lambda t: C.LogNormal(np.full(5, t(0)), np.linspace(-9, 9, 5).astype(t)),
    "normal": lambda t: C.Normal(np.full(5, t(1e4)), np.linspace(-30, 30, 5).astype(t)),
    "multivariate_normal": lambda t: C.MultivariateNormal(
        np.full(3, t(1e4)), np.tril([[1e-9, 0, 0], [3, 1e-4, 0], [0.5, -1e5, 1e6]]).astype(t)
    ),
}


def moments(d, n, seeds):
    """Sums of the scores of the distribution's own samples and of their squares, by name."""
    total = {}
    for seed, start in itertools.product(seeds, range(0, n, PART)):
        noise = d.noise(PART, rng=seed, sample_offset=start)
        for name, s in d.transform_score(noise).items():
            assert s.dtype == d.dtype
            assert np.isfinite(s).all()
            s = s.astype(np.float64)
            first, second = total.get(name, (0, 0))
            total[name] = first + s.sum(axis=0), second + np.square(s).sum(axis=0)
    return total


def means(d, n, seed):
    """Mean scores, in standard errors, by name."""
    found = {}
    for name, (first, second) in moments(d, n, [seed]).items():
        error = np.sqrt(second - first * first / n)
        found[name] = np.divide(np.abs(first), error, out=np.zeros_like(error), where=first != 0)
    return found


@by_dtype
@pytest.mark.parametrize("name", EXTREME)
def test_scores_have_mean_zero_from_tiny_to_huge_shapes(name, dtype):
    for gap in means(EXTREME[name](dtype), N, 3).values():
        assert gap.max() < BOUND, gap


@by_dtype
@pytest.mark.parametrize("name", [n for n in FAMILIES if n != "uniform"])
def test_scores_have_mean_zero_in_every_family(name, dtype):
    for parameters in FAMILIES[name][2]:
        for gap in means(make(name, parameters, (4,), dtype), N, 4).values():
            assert gap.max() < BOUND, gap


def test_uniform_samples_have_no_score():
    d = C.Uniform(0.0, 1.0)
    with pytest.raises(TypeError, match="Uniform has no score"):
        d.transform_score(d.noise(3, rng=0))


VARIANCES = {  # Fisher information, by the logarithm of the shape
    "gamma": lambda a: {"log_concentration": a * a * special.polygamma(1, a), "log_rate": a},
    "student_t": lambda v: {"loc": np.exp(6) * (v + 1) / (v + 3), "log_scale": 2 * v / (v + 3)},
}


@by_dtype
@pytest.mark.parametrize("name", VARIANCES)
def test_scores_vary_by_the_fisher_information(name, dtype):
    d = EXTREME[name](dtype)
    scores = d.transform_score(d.noise(N, rng=5))
    kept = slice(2, None)  # below, few scores make up the variance
    for key, exact in VARIANCES[name](SHAPES).items():
        ratio = scores[key].astype(float).var(axis=0) / exact
        np.testing.assert_allclose(ratio[kept], 1, atol=0.25 if key == "log_rate" else 0.05)


@pytest.mark.parametrize("name", [n for n in FAMILIES if n != "uniform"])
def test_where_nothing_is_clipped_it_is_the_score_of_the_sample(name):
    for parameters in FAMILIES[name][2]:
        d = make(name, parameters, (3,))
        noise = d.noise(200, rng=1)
        plain, scores = d.score(d.transform(noise)), d.transform_score(noise)
        for key, s in scores.items():
            np.testing.assert_allclose(s, plain[key], rtol=1e-7, atol=1e-9)


def test_the_score_of_vectors_is_the_score_of_the_sample():
    d = C.Dirichlet(np.log([[0.3, 1.0, 2.0], [3.0, 0.5, 9.0]]))
    e = C.MultivariateNormal(np.ones((2, 2)), np.array([[[1.0, 0], [0.5, 2]], [[0.5, 0], [-1, 2]]]))
    for law in (d, e):
        noise = law.noise(50, rng=1)
        plain, scores = law.score(law.transform(noise)), law.transform_score(noise)
        for key, s in scores.items():
            np.testing.assert_allclose(s, plain[key], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("x", [0.0, 1.0])
def test_scores_at_the_boundary_are_limits_and_warn_of_nothing(x):
    beta = C.Beta(0.3, 0.4).score(x)
    assert beta["log_alpha" if x == 0 else "log_beta"] == -np.inf
    assert np.isfinite(beta["log_beta" if x == 0 else "log_alpha"])
    dirichlet = C.Dirichlet(np.zeros(2)).score([x, 1 - x])["log_concentration"]
    assert sorted(np.isfinite(dirichlet)) == [False, True]
    for d in (C.Gamma(0.0, 0.0), C.LogNormal(0.0, 0.0), C.Exponential(0.0)):
        outside = d.score(-1 - x)
        assert all(np.isnan(s) for s in outside.values())
    assert C.Gamma(0.0, 0.3).score(0.0)["log_rate"] == 1
    assert all(np.isnan(s) for s in C.Beta(0.0, 0.0).score(-1.0).values())


# -- estimates ---------------------------------------------------------------------------------


@by_dtype
@pytest.mark.parametrize("estimator", ["score_function", "pathwise"])
def test_dirichlet_gradients_at_tiny_concentrations(estimator, dtype):
    """E[x_0] = m_0, with the gradient m (e_0 - m_0)."""
    for a in ([1e-2, 2e-2, 3e-2], [1e-4, 2e-4, 3e-4], [1.0, 1e-3, 1e3]):
        a = np.array(a)
        m = a / a.sum()
        d = C.Dirichlet(np.tile(np.log(a), (100, 1)).astype(dtype))
        f = fg.objective(lambda x: x[..., 0], grad=lambda x: 0 * x + np.eye(3)[0].astype(x.dtype))
        g = fg.estimator(estimator)(f, d, num_samples=4000, rng=0).grad["log_concentration"]
        g = g.astype(float)
        error = g.std(axis=0, ddof=1) / 10
        assert (np.abs(g.mean(axis=0) - m * (np.eye(3)[0] - m[0])) < 6 * error + 1e-7 * m).all()


@by_dtype
@pytest.mark.parametrize("a", [1e-2, 1e-4])
def test_gamma_gradients_of_a_step(a, dtype):
    """P(x > 1e-3) by the incomplete gamma function, of which no sample is ever too small."""
    d = C.Gamma(np.full(200, np.log(a), dtype), np.zeros(200, dtype))
    e = fg.estimator("score_function")
    g = e(lambda x: 1.0 * (x > 1e-3), d, num_samples=5000, rng=0).grad["log_concentration"]
    up, down = (special.gammaincc(a * np.exp(s), 1e-3) for s in (1e-4, -1e-4))
    gap = np.abs(g.astype(float).mean() - (up - down) / 2e-4)
    assert gap < 5.5 * g.astype(float).std(ddof=1) / np.sqrt(200)


def test_the_gradient_by_the_larger_of_two_concentrations_is_kept():
    """Where b is 1e19 times a, x_1 is 1 in any type, but its score is that of gamma's rate."""
    d = C.Dirichlet(np.tile(np.log([2.0, 1e19]), (100, 1)))
    f = fg.objective(lambda x: 1e19 * x[..., 0], grad=lambda x: x * 0 + [1e19, 0.0])
    for name in ("pathwise", "score_function"):
        g = fg.estimator(name)(f, d, num_samples=4000, rng=0).grad["log_concentration"]
        error = g.std(axis=0, ddof=1) / 10
        assert (np.abs(g.mean(axis=0) - [2, -2]) < 6 * error + 1e-6).all()


@pytest.mark.slow
@pytest.mark.parametrize("b", [0.5, 0.3, 0.2, 0.15, 0.1, 0.05, 1e-2, 1e-3])
def test_beta_scores_in_single_precision(b):
    """4e6 samples: mean scores within 5 standard errors of 0, d E[x] / d log beta of -1/4."""
    replicas, n = 400, 10_000
    d = C.Beta(*(np.full(replicas, np.log(b), np.float32) for _ in range(2)))
    x, y = d.transform_score(d.noise(n, rng=1)).values()
    for scores in (x.astype(float), y.astype(float)):
        assert abs(scores.mean()) < 5 * scores.std() / np.sqrt(scores.size)
    g = fg.estimator("score_function")(lambda x: x, d, num_samples=n, rng=2).grad
    for name, exact in (("log_alpha", 0.25), ("log_beta", -0.25)):
        found = g[name].astype(float)
        assert abs(found.mean() - exact) < 5 * found.std(ddof=1) / np.sqrt(replicas)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXTREME)
def test_scores_have_mean_zero_in_many_samples(name):
    """In float32: a formula that is slightly wrong is so in both types, rounding only here."""
    d = EXTREME[name](np.float32)
    total = moments(d, N, range(100, 120))
    for first, second in total.values():
        gap = np.divide(np.abs(first), np.sqrt(second), out=np.zeros_like(second), where=second > 0)
        assert gap.max() < BOUND


def test_the_stated_false_alarm_rates():
    assert 2 * stats.norm.sf(5) < 6e-7
    assert stats.gamma.sf(10 + BOUND * np.sqrt(10), 10) < 1e-6
