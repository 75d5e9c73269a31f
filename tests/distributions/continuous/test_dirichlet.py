"""Dirichlet variables inside the simplex, at its boundary, and off it."""

import numpy as np
import pytest
from scipy import stats

import fastgrad as fg

C = fg.continuous
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed


def test_dirichlet_follows_its_law():
    """Each share is beta, and so is the first of what the others leave."""
    a = np.array([0.3, 1.0, 2.5])
    d = C.Dirichlet(np.log(a))
    x = d.sample(num_samples=50_000, rng=2)
    np.testing.assert_allclose(x.sum(axis=1), 1)
    for i in range(3):
        assert stats.kstest(x[:, i], stats.beta(a[i], a.sum() - a[i]).cdf).pvalue > FALSE_ALARM
    rest = x[:, 1] / (1 - x[:, 0])
    assert stats.kstest(rest, stats.beta(1.0, 2.5).cdf).pvalue > FALSE_ALARM
    law = stats.dirichlet(a)
    np.testing.assert_allclose(d.log_prob(x[:9]), law.logpdf((x[:9] / x[:9].sum(1)[:, None]).T))
    np.testing.assert_allclose(d.entropy(), law.entropy())


def test_dirichlet_of_tiny_concentrations():
    d = C.Dirichlet(np.full(4, np.log(1e-3)))
    log_x = d.sample(num_samples=500, rng=0, log=True)
    assert np.isfinite(log_x).all()
    assert log_x.min() < -2000
    np.testing.assert_allclose(np.exp(log_x).sum(axis=1), 1)
    x = d.sample(num_samples=500, rng=0)
    assert (x > 0).all()
    noise = d.noise(500, rng=0)
    assert np.isfinite(d.transform_vjp(noise, np.ones((500, 4)))["log_concentration"]).all()


def test_a_share_next_to_one_keeps_its_logarithm():
    """With 1e19 to 1, log x_1 is about -1e-19 g: in place of 0."""
    d = C.Dirichlet(np.log([1.0, 1e19]))
    log_x = d.sample(num_samples=2000, rng=0, log=True)
    np.testing.assert_allclose(log_x[:, 1], -np.exp(log_x[:, 0]))
    assert stats.kstest(-1e19 * log_x[:, 1], "expon").pvalue > FALSE_ALARM


def test_two_shares_are_beta():
    a, b = np.log([0.3, 2.0]), np.log([0.7, 1e-3])
    beta, dirichlet = C.Beta(a, b), C.Dirichlet(np.stack([a, b], axis=-1))
    np.testing.assert_allclose(dirichlet.entropy(), beta.entropy(), rtol=1e-14)
    x = np.array([0.2, 0.7])
    shares = np.stack([x, 1 - x], axis=-1)
    np.testing.assert_allclose(dirichlet.log_prob(shares), beta.log_prob(x), rtol=1e-13)
    score = dirichlet.score(shares)["log_concentration"]
    np.testing.assert_allclose(score, np.stack([*beta.score(x).values()], axis=-1), rtol=1e-12)


def test_one_component_is_always_1():
    d = C.Dirichlet(np.array([[0.7], [-3.0]]))
    assert (d.sample(num_samples=5, rng=0) == 1).all()
    np.testing.assert_allclose(d.log_prob(np.ones((2, 1))), 0, atol=1e-14)
    np.testing.assert_allclose(d.score(np.ones((2, 1)))["log_concentration"], 0, atol=1e-14)
    np.testing.assert_allclose(d.entropy(), 0, atol=1e-14)


def test_densities_at_the_boundary():
    for a, at_zero in ((0.5, np.inf), (1.0, np.log(3)), (2.0, -np.inf)):
        d = C.Dirichlet(np.log([a, 3.0]))
        np.testing.assert_allclose(d.log_prob([0.0, 1.0]), at_zero, rtol=1e-14)
        np.testing.assert_allclose(d.log_prob([-np.inf, 0.0], log=True), at_zero, rtol=1e-14)
        score = d.score([0.0, 1.0])["log_concentration"]
        assert score[0] == -np.inf
        assert np.isfinite(score[1])


@pytest.mark.parametrize("call", ["log_prob", "score"])
def test_points_off_the_simplex_are_refused(call):
    call = getattr(C.Dirichlet(np.zeros((2, 3))), call)
    inside = np.full((2, 3), 1 / 3)
    message = r"x must be at least 0 and sum to 1 over its last axis, got 0\.5 in a sum of 1\.5 at"
    with pytest.raises(ValueError, match=message + r" index \(1, 0\)"):
        call(np.stack([inside[0], np.full(3, 0.5)]))
    with pytest.raises(ValueError, match=r"got -0\.2 in a sum of 1\.0 at index \(0, 1\)"):
        call(np.stack([[0.6, -0.2, 0.6], inside[0]]))
    with pytest.raises(ValueError, match=r"exp\(x\) must be at least 0 and sum to 1"):
        call(np.log(inside) + 1, log=True)
    with pytest.raises(ValueError, match="got nan in a sum of nan"):
        call(inside * np.nan)
    call(inside.astype(np.float32))
    call(np.log(inside.astype(np.float32)), log=True)


def test_rounding_does_not_take_points_off_the_simplex():
    """A sum 1e-7 above 1 would move the density of concentrations of 1e6 by 0.3."""
    x = np.float32([0.1, 0.2, 0.7]) * np.float32(1 + 2e-7)
    d = C.Dirichlet(np.log([1e6, 2e6, 7e6]))
    y = x.astype(float) / x.astype(float).sum()
    np.testing.assert_allclose(d.log_prob(x), d.log_prob(y), rtol=1e-10)


def test_errors():
    with pytest.raises(ValueError, match="log_concentration must have at least one axis"):
        C.Dirichlet(0.0)
    message = r"log_concentration must have shape \(\*batch, K\) with K >= 1, got \(3, 0\)"
    with pytest.raises(ValueError, match=message):
        C.Dirichlet(np.zeros((3, 0)))
