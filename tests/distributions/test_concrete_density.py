"""Densities of the Concrete and ExpConcrete distributions: integrals, the oracle, torch."""

import numpy as np
import pytest
import reference
from scipy import integrate
from strategies import DTYPES, some_logits

import fastgrad as fg

TEMPERATURES = (0.01, 0.1, 0.5, 1.0, 3.0, 100.0)
by_dtype = pytest.mark.parametrize("dtype", DTYPES)
INF = np.inf


def test_density_of_two_categories_integrates_to_one():
    for temperature in (0.4, 1.0, 2.5):

        def density(a, temperature=temperature):
            x = np.array([a, 1 - a])
            return np.exp(fg.concrete_log_prob(np.array([0.3, -1.0]), x, temperature=temperature))

        total = sum(integrate.quad(density, *ends, limit=400)[0] for ends in ((0, 0.5), (0.5, 1)))
        assert total == pytest.approx(1, abs=1e-6)


def test_density_of_three_categories_integrates_to_one():
    """In y_i = log(x_i / x_3), whose Jacobian is the product of the x; the trapezoid rule."""
    y = np.linspace(-45, 45, 361)
    a, b = np.meshgrid(y, y, indexing="ij")
    log_x = reference.log_softmax(np.stack([a, b, np.zeros_like(a)], axis=-1))
    step = (y[1] - y[0]) ** 2
    for temperature in (0.5, 1.0, 2.0):
        logits = np.array([0.5, -1.0, 0.2])
        density = fg.exp_concrete_log_prob(
            np.broadcast_to(logits, log_x.shape), log_x, temperature=temperature
        )
        assert np.exp(density).sum() * step == pytest.approx(1, abs=1e-6)
        inside = log_x.min(axis=-1) > -300
        concrete = fg.concrete_log_prob(
            np.broadcast_to(logits, log_x.shape)[inside],
            np.exp(log_x[inside]),
            temperature=temperature,
        )
        jacobian = log_x[inside].sum(axis=-1)
        assert np.exp(concrete + jacobian).sum() * step == pytest.approx(1, abs=1e-6)


@by_dtype
def test_densities_equal_the_oracle(dtype):
    x = some_logits(40, 6, dtype)
    for temperature in (0.2, 1.0, 4.0):
        log_y = fg.gumbel_softmax(x, temperature=temperature, num_samples=5, rng=40, log=True)
        expected = reference.exp_concrete_log_prob(
            x.astype(np.float64), log_y.astype(np.float64), temperature
        )
        got = fg.exp_concrete_log_prob(x, log_y, temperature=temperature)
        assert got.dtype == dtype
        tolerance = 1e-11 if dtype == np.float64 else 2e-4
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=tolerance)
        inside = (log_y > -30) | np.isneginf(x)
        rows = inside.all(axis=(0, 2))
        y = np.exp(log_y[:, rows])
        expected = reference.concrete_log_prob(
            x[rows].astype(np.float64), y.astype(np.float64), temperature
        )
        got = fg.concrete_log_prob(x[rows], y, temperature=temperature)
        np.testing.assert_allclose(got, expected, rtol=tolerance, atol=10 * tolerance)
        assert rows.sum() > 5


@by_dtype
def test_exp_concrete_is_finite_at_low_temperature(dtype):
    x = some_logits(30, 5, dtype)
    y = fg.gumbel_softmax(x, temperature=0.01, num_samples=200, rng=41, log=True)
    assert np.isfinite(fg.exp_concrete_log_prob(x, y, temperature=0.01)).all()


def test_points_on_the_boundary_are_refused_by_name():
    with pytest.raises(ValueError, match="x must be inside the simplex"):
        fg.concrete_log_prob(np.zeros(2), np.array([0.0, 1.0]), temperature=1)
    masked = np.array([0.0, 0.0, -INF])
    inside = fg.concrete_log_prob(masked, np.array([0.4, 0.6, 0.0]), temperature=0.7)
    assert inside == pytest.approx(
        fg.concrete_log_prob(np.zeros(2), np.array([0.4, 0.6]), temperature=0.7)
    )


@pytest.mark.optional
def test_densities_equal_those_of_torch():
    torch = pytest.importorskip("torch")
    x = np.random.default_rng(8).normal(size=(30, 4))
    for temperature in (0.3, 1.0, 2.0):
        y = fg.gumbel_softmax(x, temperature=temperature, num_samples=3, rng=42)
        y = np.clip(y, 1e-12, None)
        y /= y.sum(-1, keepdims=True)
        law = torch.distributions.RelaxedOneHotCategorical(
            torch.tensor(temperature, dtype=torch.float64),
            logits=torch.tensor(x),
            validate_args=False,
        )
        np.testing.assert_allclose(
            fg.concrete_log_prob(x, y, temperature=temperature),
            law.log_prob(torch.tensor(y)).numpy(),
            rtol=1e-9,
            atol=1e-9,
        )
