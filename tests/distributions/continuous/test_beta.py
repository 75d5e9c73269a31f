"""Beta variables next to either end of their support."""

import numpy as np
import pytest
from scipy import stats

import fastgrad as fg

C = fg.continuous
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
by_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


def test_beta_samples_stay_inside():
    for dtype in (np.float32, np.float64):
        d = C.Beta(np.full(1000, -5, dtype), np.full(1000, -5, dtype))
        x = d.sample(rng=0)
        assert ((x > 0) & (x < 1)).all()
        assert 0.4 < (x > 0.5).mean() < 0.6
        assert np.isfinite(d.log_prob(x)).all()
        assert all(np.isfinite(s).all() for s in d.score(x).values())


@by_dtype
def test_logarithms_and_complements_are_of_the_same_variates(dtype):
    d = C.Beta(np.full(200, 0.3, dtype), np.full(200, -0.4, dtype))
    x, rest, log_x, log_rest = (
        d.sample(num_samples=50, rng=1, log=log, complement=complement).astype(float)
        for log in (False, True)
        for complement in (False, True)
    )
    assert d.sample(rng=1, log=True, complement=True).dtype == dtype
    np.testing.assert_allclose(x + rest, 1, rtol=1e-6)
    np.testing.assert_allclose(np.exp(log_x), x, rtol=1e-5)
    np.testing.assert_allclose(np.exp(log_rest), rest, rtol=1e-5)


@by_dtype
@pytest.mark.parametrize("complement", [False, True])
def test_tiny_shapes_have_exact_logarithms(dtype, complement):
    """If b = 1e-3, -b log(1 - x) is nearly exponential where x is above 1/2."""
    d = C.Beta(*np.full(2, np.log(1e-3), dtype))
    y = d.sample(num_samples=20_000, rng=0, log=True, complement=complement)
    assert np.isfinite(y).all()
    y = y[y < -1]  # of the others the complement's logarithm has the digits
    assert stats.kstest(-1e-3 * y.astype(float), "expon").pvalue > FALSE_ALARM
    assert np.isfinite(d.log_prob(y, log=True, complement=complement)).all()


@pytest.mark.parametrize("complement", [False, True])
def test_densities_and_scores_of_logarithms_and_complements(complement):
    d = C.Beta(np.full(4, 0.3), np.full(4, -1.4))
    x = np.array([1e-9, 0.3, 0.6, 0.99])
    point = 1 - x if complement else x
    np.testing.assert_allclose(
        d.log_prob(np.log(x), log=True, complement=complement), d.log_prob(point), rtol=1e-7
    )
    np.testing.assert_allclose(d.log_prob(x, complement=complement), d.log_prob(point), rtol=1e-7)
    plain = d.score(point)
    for log, at in ((False, x), (True, np.log(x))):
        score = d.score(at, log=log, complement=complement)
        for name in plain:
            np.testing.assert_allclose(score[name], plain[name], rtol=1e-6, atol=1e-8)
    deep = C.Beta(np.log(1e-3), np.log(1e-3)).log_prob(-5000.0, log=True, complement=complement)
    np.testing.assert_allclose(deep, 5000 * 0.999 + np.log(1e-3 / 2), rtol=1e-6)


def test_the_density_at_the_ends_of_the_support():
    for a, at_zero in ((0.5, np.inf), (1.0, np.log(3)), (2.0, -np.inf)):
        d = C.Beta(np.log(a), np.log(3))
        for ends in ((0.0, False), (-np.inf, True)):
            np.testing.assert_allclose(d.log_prob(ends[0], log=ends[1]), at_zero, rtol=1e-14)
        assert d.log_prob(1.0) == d.log_prob(0.0, log=True) == -np.inf
        assert d.log_prob(-0.1) == d.log_prob(1.1) == d.log_prob(0.1, log=True) == -np.inf


def test_errors():
    with pytest.raises(ValueError, match="log_alpha must be finite, got inf"):
        C.Beta(np.inf, 0.0)
    with pytest.raises(ValueError, match=r"x must have shape \(\) or \(S, \*\(\)\), got \(2, 2\)"):
        C.Beta(0.0, 0.0).score(np.zeros((2, 2)))
