"""Gumbel-softmax gradients by quadrature over their noise; what they compute: `test_estimators`."""

import numpy as np
import pytest
from exact_moments import value_and_grad_moments
from scipy.special import expit

from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import estimator
from fastgrad.objectives import objective

RNG = np.random.default_rng(14)


def mean_relaxed(phi, temperature):
    """Mean of the cube of a relaxed bit, by a trapezoid.

    Its error falls as exp(-2 pi d / step), d = pi temperature or pi the distance to a pole.
    """
    z = np.linspace(-60, 60, 24_001)
    density = 1 / (4 * np.cosh((z - phi) / 2) ** 2)
    return (expit(z / temperature) ** 3 * density).sum() * 5e-3


@pytest.mark.parametrize("phi", [-30.0, -1.3, 0.4, 6.0])
@pytest.mark.parametrize("temperature", [0.05, 0.7, 20.0])
def test_mean_gradient_is_the_slope_of_the_mean_relaxed_f(temperature, phi):
    """So it is unbiased for what its value estimates; the bit alone or as one of two categories."""
    run, h = estimator("gumbel_softmax", temperature=temperature), 1e-4
    up, down = (mean_relaxed(phi + s, temperature) for s in (h, -h))
    bit = objective(lambda x: x**3, grad=lambda x: 3 * x**2)
    pair = objective(lambda x: x[..., 1] ** 3, grad=lambda x: 3 * x**2 * [0, 1])
    for f, d in ((bit, Bernoulli(np.array(phi))), (pair, Categorical(np.array([0.0, phi])))):
        (value, _), (grad, _) = value_and_grad_moments(run, f, d)
        assert value == pytest.approx(mean_relaxed(phi, temperature), abs=1e-11)
        assert grad.flat[-1] == pytest.approx((up - down) / (2 * h), abs=1e-8)
        assert grad.flat[0] == pytest.approx(grad.flat[-1] * (1 if d.logits.size == 1 else -1))


@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
def test_two_variables_or_two_samples(kind):
    """f mixes two bits: value and gradient agree by differences; two samples halve the variance."""
    logits = np.array([0.7, -0.9])
    run, h = estimator("gumbel_softmax", temperature=0.6), 1e-5

    def problem(phi):
        return Bernoulli(phi) if kind is Bernoulli else Categorical(np.stack([0 * phi, phi], -1))

    def bits(x):
        return x if kind is Bernoulli else x[..., 1]

    def grad(x):
        g = bits(x)[..., ::-1] * (1 + np.array([0, 1]) * bits(x)) * [1, 1] + 0
        g[..., 0] = bits(x)[..., 1] ** 2
        g[..., 1] = 2 * bits(x)[..., 0] * bits(x)[..., 1]
        return g if kind is Bernoulli else np.stack([0 * g, g], axis=-1)

    f = objective(lambda x: bits(x)[..., 0] * bits(x)[..., 1] ** 2, grad=grad)
    (_, (mean, _)) = value_and_grad_moments(run, f, problem(logits))
    mean = mean if kind is Bernoulli else mean[:, 1]
    for i in range(2):
        step = h * np.eye(2)[i]
        up, down = (
            value_and_grad_moments(run, f, problem(logits + s))[0][0] for s in (step, -step)
        )
        assert mean[i] == pytest.approx((up - down) / (2 * h), abs=1e-9)
    g = objective(lambda x: x.reshape(*x.shape[:2], -1)[..., -1] ** 2, grad=lambda x: np.cos(x))
    one, two = (value_and_grad_moments(run, g, problem(logits[:1]), s) for s in (1, 2))
    for (mean, variance), (same, half) in zip(one, two):
        np.testing.assert_allclose(same, mean, rtol=0, atol=1e-12)
        np.testing.assert_allclose(half, variance / 2, rtol=0, atol=1e-12)


def test_masked_categories_and_too_many_nodes():
    run = estimator("gumbel_softmax")
    f = objective(lambda x: x[..., 0], grad=lambda x: np.cos(x))
    (value, _), (mean, variance) = value_and_grad_moments(
        run, f, Categorical(np.array([0.0, -np.inf]))
    )
    assert value == 1
    assert not mean.any()
    assert not variance.any()
    for d, num_samples in (
        (Categorical(np.zeros(3)), 1),
        (Categorical(np.zeros((3, 2))), 1),
        (Categorical(np.zeros((0, 2))), 1),
        (Bernoulli(np.zeros(2)), 2),
    ):
        assert run.nodes(d, num_samples) is None


def test_temperatures_are_within_reach_of_float32():
    for temperature in (0.0, -1.0, np.nan, "1"):
        with pytest.raises(ValueError, match="temperature must be a finite number above 0"):
            estimator("gumbel_softmax", temperature=temperature)
    with pytest.raises(ValueError, match=r"temperature must be from 2\*\*-60 to 2\*\*60"):
        estimator("gumbel_softmax", temperature=1e-30)
