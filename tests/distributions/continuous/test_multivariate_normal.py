"""Normal vectors against SciPy."""

import numpy as np
import pytest
from scipy import stats

import fastgrad as fg

C = fg.continuous
FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed
LOC = np.array([0.5, -1.0, 2.0])
SCALE = np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-1.0, 0.3, 0.1]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples_follow_the_law(dtype):
    d = C.MultivariateNormal(LOC.astype(dtype), SCALE.astype(dtype))
    x = d.sample(num_samples=50_000, rng=1).astype(float)
    covariance = SCALE @ SCALE.T
    rng = np.random.default_rng(0)
    for w in [*np.eye(3), *rng.normal(size=(4, 3))]:
        law = stats.norm(w @ LOC, np.sqrt(w @ covariance @ w))
        assert stats.kstest(x @ w, law.cdf).pvalue > FALSE_ALARM


def test_density_and_entropy_are_scipys():
    loc, scale = np.stack([LOC, -LOC]), np.stack([SCALE, 2 * SCALE])
    d = C.MultivariateNormal(loc, scale)
    x = np.random.default_rng(1).normal(size=(5, 2, 3))
    assert d.batch_shape == (2,)
    assert d.event_shape == (3,)
    for i in range(2):
        law = stats.multivariate_normal(loc[i], scale[i] @ scale[i].T)
        np.testing.assert_allclose(d.log_prob(x)[:, i], law.logpdf(x[:, i]), rtol=1e-9)
        np.testing.assert_allclose(d.log_prob(x[0])[i], law.logpdf(x[0, i]), rtol=1e-9)
        np.testing.assert_allclose(d.entropy()[i], law.entropy())


def test_a_diagonal_scale_is_the_normal():
    log_scale = np.array([0.3, -1.0, 0.0])
    full, plain = C.MultivariateNormal(LOC, np.diag(np.exp(log_scale))), C.Normal(LOC, log_scale)
    x = full.sample(num_samples=9, rng=3)
    np.testing.assert_allclose(x, plain.sample(num_samples=9, rng=3), rtol=1e-14)
    np.testing.assert_allclose(full.log_prob(x), plain.log_prob(x).sum(axis=1))
    np.testing.assert_allclose(full.score(x)["loc"], plain.score(x)["loc"])


def test_errors():
    with pytest.raises(
        ValueError, match=r"loc must have shape \(\*batch, D\) with D >= 1, got \(\)"
    ):
        C.MultivariateNormal(0.0, 1.0)
    with pytest.raises(ValueError, match=r"scale_tril must have shape \(3, 3\), got \(2, 2\)"):
        C.MultivariateNormal(LOC, np.eye(2))
    with pytest.raises(ValueError, match="scale_tril must be lower triangular"):
        C.MultivariateNormal(LOC, SCALE.T)
    with pytest.raises(ValueError, match=r"scale_tril must have a positive diagonal, got -0\.1"):
        C.MultivariateNormal(LOC, SCALE * np.array([1, 1, -1]))
