"""Correlated bits: probabilities by other quadrature, closed forms, and samples by statistics."""

import itertools

import numpy as np
import pytest
from scipy import special, stats

import fastgrad as fg
from fastgrad.distributions.structured import one_factor

RNG = np.random.default_rng(51)
SIGMAS = 5.5  # a false-alarm rate of 4e-8 for each number compared
Copula = fg.bernoulli.CopulaBernoulli


def densely(logits, bits, loadings):
    """The integral over the factor with very many points, its log."""
    t, a, s = stats.norm.isf(1 / (1 + np.exp(logits))), np.array(loadings), 2 * np.array(bits) - 1
    z = np.linspace(-14, 14, 20_001)
    u = s * (t + a * z[:, None]) / np.sqrt(1 - a**2)
    log_f = stats.norm.logcdf(u).sum(axis=1) + stats.norm.logpdf(z)
    return np.log(z[1] - z[0]) + special.logsumexp(log_f)


@pytest.mark.parametrize(
    ("logits", "loadings"),
    [
        ([0.3, -1.2, 0.7], [0.5, -0.8, 0.3]),
        ([2.0, -3.0], [0.995, 0.995]),
        ([-8.0, 6.0], [0.9, -0.6]),
        ([0.4], [0.7]),
    ],
)
def test_log_probabilities_to_ten_digits(logits, loadings):
    d = Copula(np.array(logits), loadings)
    for bits in itertools.product((0.0, 1.0), repeat=len(logits)):
        expected = densely(np.array(logits), bits, loadings)
        assert d.log_prob(np.array(bits)) == pytest.approx(expected, abs=1e-10, rel=1e-12)


def test_rows_are_orthants_of_a_normal_vector():
    """By Genz's integral over the orthant, for the correlations that the loadings make."""
    logits, a = np.array([0.5, -1.0, 0.3]), np.array([0.9, -0.6, 0.5])
    t = stats.norm.ppf(1 / (1 + np.exp(-logits)))
    for bits in itertools.product((0.0, 1.0), repeat=3):
        s = 2 * np.array(bits) - 1
        correlation = np.outer(s * a, s * a)
        np.fill_diagonal(correlation, 1)
        law = stats.multivariate_normal(np.zeros(3), correlation, seed=0)
        p = np.exp(Copula(logits, a).log_prob(np.array(bits)))
        assert p == pytest.approx(law.cdf(s * t), abs=2e-5)


def test_step_and_reach_are_enough():
    """Half the step and twice the reach change nothing, for steep sites and rare rows."""
    logits, loadings = 6 * RNG.normal(size=(64, 6)), np.array([0.99, -0.9, 0.3, 0.0, 0.7, 0.95])
    bits = ((np.arange(64)[:, None] >> np.arange(6)) & 1).astype(float)
    log_p, slopes = one_factor.integrate(logits, bits, loadings, slopes=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(one_factor, "STEP", one_factor.STEP / 2)
        patch.setattr(one_factor, "REACH", one_factor.REACH * 2)
        again, finer = one_factor.integrate(logits, bits, loadings, slopes=True)
    np.testing.assert_allclose(log_p, again, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(slopes, finer, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 5])
def test_probabilities_sum_to_one_and_sites_keep_their_own(k):
    d = Copula(2 * RNG.normal(size=(3, k)), RNG.uniform(-0.99, 0.99, size=k))
    p = np.exp(d.log_probabilities())
    np.testing.assert_allclose(p.sum(axis=0), 1, rtol=1e-12)
    mean = np.einsum("tb,tbk->bk", p, d.everything())
    np.testing.assert_allclose(mean, d.mean(), rtol=1e-11)
    np.testing.assert_allclose(mean, 1 / (1 + np.exp(-d.logits)), rtol=1e-11)


@pytest.mark.parametrize("r", [-0.6, 0.0, 0.5, 0.9])
def test_two_fair_bits_agree_as_sheppard_says(r):
    loadings = np.sqrt(abs(r)) * np.array([1, np.sign(r)])
    both = np.exp(Copula(np.zeros(2), loadings).log_prob(np.ones(2)))
    assert both == pytest.approx(0.25 + np.arcsin(r) / (2 * np.pi), rel=1e-12)


def test_without_loadings_it_is_bernoulli():
    logits, x = RNG.normal(size=(4, 3)), RNG.integers(2, size=(5, 4, 3)).astype(float)
    d, sites = Copula(logits, 0.0), fg.Bernoulli(logits)
    np.testing.assert_allclose(d.log_prob(x), sites.log_prob(x.astype(int)).sum(-1), rtol=1e-12)
    np.testing.assert_allclose(d.score(x), sites.score(x.astype(int)), rtol=1e-11, atol=1e-14)


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_scores_are_derivatives_and_have_mean_zero(scale):
    d, h = Copula(scale * RNG.normal(size=(2, 4)), [0.6, -0.9, 0.2, 0.95]), 1e-5
    x = d.everything()
    for _ in range(3):
        v = RNG.normal(size=d.logits.shape)
        up, down = (d.with_logits(d.logits + s * h * v).log_prob(x) for s in (1, -1))
        along = (d.score(x) * v).sum(axis=-1)
        np.testing.assert_allclose(along, (up - down) / (2 * h), rtol=1e-5, atol=1e-6)
    p = np.exp(d.log_prob(x))
    np.testing.assert_allclose((p[..., None] * d.score(x)).sum(axis=0), 0, atol=1e-13)


def test_extreme_logits():
    """Finite for logits of any size: the score of a rare bit is 1, of a certain one 0."""
    d = Copula(np.array([800.0, -3000.0, 0.0]), [0.5, 0.9, -0.7])
    x = np.array([[1.0, 0, 1], [0, 1, 1]])
    assert np.isfinite(d.log_prob(x)).all()
    assert d.log_prob(x)[0] == pytest.approx(np.log(0.5), rel=1e-9)
    found = d.score(x)
    np.testing.assert_allclose(found[0], [0, 0, 0.5], atol=1e-9)
    assert np.isfinite(found).all()


# -- samples ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_have_their_probabilities(dtype):
    d, count = Copula(np.array([0.4, -0.8, 0.2], dtype), [0.8, -0.5, 0.9]), 40_000
    x = d.sample(num_samples=count, rng=3)
    assert x.dtype == dtype
    assert set(np.unique(x)) == {0, 1}
    seen = np.bincount((x @ [1, 2, 4]).astype(int), minlength=8)
    p = np.exp(d.log_probabilities().astype(float))
    assert (abs(seen - count * p) < SIGMAS * np.sqrt(count * p * (1 - p))).all()


def test_noise_is_normal_to_the_tails():
    """The latent numbers of one site, back from its noise; rare bits come as often as they must."""
    d = Copula(np.zeros((20_000, 1)), 0.6)
    noise = d._perturbed(1, fg.Key(2), 0)[0, :, 0]
    assert stats.kstest(noise, "logistic").pvalue > 1e-7
    rare = Copula(np.full((50_000, 2), -5.0), 0.7).sample(rng=4)
    p = 1 / (1 + np.exp(5.0))
    assert abs(rare.mean() - p) < SIGMAS * np.sqrt(p / rare.size * 2)


def test_samples_and_relaxations_share_their_noise():
    d, key = Copula(RNG.normal(size=(5, 3)), [0.5, 0.8, -0.3]), fg.Key(6)
    x = d.sample(num_samples=20, rng=key)
    for temperature in (0.2, 1.0):
        y = d.gumbel_softmax(temperature=temperature, num_samples=20, rng=key)
        np.testing.assert_array_equal(x, y > 0.5)
    part = d.sample(num_samples=8, rng=key, sample_offset=12)
    np.testing.assert_array_equal(part, x[12:])
    rows = d.with_logits(d.logits[2:]).from_row(2).sample(num_samples=20, rng=key)
    np.testing.assert_array_equal(rows, x[:, 2:])
    assert d.sample(rng=key).shape == (5, 3)


def test_no_row_depends_on_others():
    """Bit for bit, some of them far out, where the maximum is further to search."""
    logits = RNG.normal(size=(60, 3)) * np.where(np.arange(60) % 3, 1, 12)[:, None]
    d, x = Copula(logits, [0.8, -0.5, 0.3]), RNG.integers(0, 2, (60, 3)).astype(float)
    for i in range(60):
        one = d.with_logits(logits[i])
        assert one.log_prob(x[i]) == d.log_prob(x)[i]
        np.testing.assert_array_equal(one.score(x[i]), d.score(x)[i])


def test_the_product_of_relaxations():
    d, r = Copula(RNG.normal(size=(2, 3)), [0.5, 0.8, -0.3]), RNG.normal(size=(7, 2, 3))
    options, h = {"temperature": 0.6, "rng": fg.Key(1)}, 1e-6
    v = RNG.normal(size=(2, 3))
    up, down = (
        d.with_logits(d.logits + s * h * v).gumbel_softmax(num_samples=7, **options)
        for s in (1, -1)
    )
    expected = ((up - down) * r).sum() / (2 * h)
    assert (d.gumbel_softmax_vjp(r, **options) * v).sum() == pytest.approx(expected, rel=1e-7)


def test_straight_through_is_exact_where_f_is_linear():
    d, w = Copula(RNG.normal(size=3), 0.7), np.array([1.0, -2.0, 0.5])
    f = fg.objective(lambda x: x @ w, grad=lambda x: w + 0 * x)
    found = fg.estimator("straight_through")(f, d, num_samples=1, rng=0)
    np.testing.assert_allclose(found.grad, fg.exact.grad(f, d), rtol=1e-10)
    cold = d.tempered(0.5)
    np.testing.assert_array_equal(cold.logits, 2 * d.logits)
    np.testing.assert_array_equal(cold.loadings, d.loadings)


def test_errors():
    with pytest.raises(ValueError, match=r"loadings must be from -0.995 to 0.995, got 1.0"):
        Copula(np.zeros(3), 1.0)
    with pytest.raises(ValueError, match=r"loadings must have shape \(\) or \(3,\), got \(2,\)"):
        Copula(np.zeros(3), [0.1, 0.2])
    with pytest.raises(ValueError, match="logits must be finite, got -inf"):
        Copula(np.array([0.0, -np.inf]), 0.5)
    with pytest.raises(ValueError, match=r"x must hold 0 and 1, got 0\.5"):
        Copula(np.zeros(2), 0.5).log_prob(np.array([0.5, 1.0]))
    with pytest.raises(ValueError, match=r"x must have shape \(2,\) or \(S, \*\(2,\)\)"):
        Copula(np.zeros(2), 0.5).score(np.zeros(3))
    with pytest.raises(ValueError, match="CopulaBernoulli has too many outcomes to list"):
        Copula(np.zeros(30), 0.5).table()
