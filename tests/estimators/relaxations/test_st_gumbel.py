"""Straight-through Gumbel-softmax: its coupling on every draw, its moments by quadrature.

Two tests draw, with fixed seeds and bounds of 5.5 standard errors (a false-alarm rate of 4e-8 for
each number compared).
"""

import math

import numpy as np
import pytest
import reference
from exact_moments import value_and_grad_moments
from scipy.special import expit

import fastgrad as fg
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import estimator
from fastgrad.objectives import objective, separable

RNG = np.random.default_rng(12)
SIGMAS = 5.5


# -- coupling --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.01, 0.5, 100.0])
@pytest.mark.parametrize(
    ("batch", "k"), [((), 3), ((7,), 1), ((70,), 2), ((3, 41), 16), ((9,), 65), ((2,), 700)]
)
def test_outcome_is_the_argmax_of_the_relaxed_sample(batch, k, temperature, dtype):
    logits = RNG.normal(size=(*batch, k), scale=3).astype(dtype)
    if k > 2:
        logits[..., 1] = -np.inf
    key = fg.Key(5)
    run = estimator("st_gumbel", temperature=temperature)
    x, y = run.draw(Categorical(logits), 9, key, offset=2)
    z = fg.sample(logits, num_samples=9, rng=key, method="gumbel", sample_offset=2)
    soft = fg.gumbel_softmax(
        logits, temperature=temperature, num_samples=9, rng=key, sample_offset=2
    )
    assert x.dtype == y.dtype == dtype
    np.testing.assert_array_equal(x, reference.one_hot(z, k))
    # At 1/2 those are ratios, whose last digits differ.
    bound = 200 * np.finfo(dtype).eps if temperature == 0.5 else 0
    np.testing.assert_allclose(y, soft, rtol=bound, atol=np.finfo(dtype).tiny)
    np.testing.assert_array_equal(y.argmax(axis=-1), z)
    assert not x.flags.writeable


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [0.01, 0.5, 100.0])
@pytest.mark.parametrize("batch", [(), (70,), (3, 701)])
def test_bit_is_the_side_of_the_relaxed_sample(batch, temperature, dtype):
    logits = RNG.normal(size=batch, scale=3).astype(dtype)
    key = fg.Key(6)
    run = estimator("st_gumbel", temperature=temperature)
    x, y = run.draw(Bernoulli(logits), 9, key, offset=3)
    same = {"num_samples": 9, "rng": key, "sample_offset": 3}
    np.testing.assert_array_equal(x, fg.bernoulli.sample(logits, **same))
    np.testing.assert_array_equal(
        y, fg.bernoulli.gumbel_softmax(logits, temperature=temperature, **same)
    )
    np.testing.assert_array_equal(y > 0.5, x > 0)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_decoupled_temperatures_scale_the_logits_under_the_same_noise(dtype):
    key = fg.Key(7)
    run = estimator("decoupled_st_gumbel", temperature=0.5, backward_temperature=4.0)
    logits = RNG.normal(size=(50, 6)).astype(dtype)
    logits[:, 2] = -np.inf
    x, y = run.draw(Categorical(logits), 9, key)
    z = fg.sample(logits * 2, num_samples=9, rng=key, method="gumbel")
    np.testing.assert_array_equal(x, reference.one_hot(z, 6))
    soft = fg.gumbel_softmax(logits / 4, temperature=1, num_samples=9, rng=key)
    np.testing.assert_allclose(y, soft, rtol=0, atol=4 * np.finfo(dtype).eps)
    assert (y.argmax(axis=-1) != z).any()
    sites = logits[:, 0]
    x, y = run.draw(Bernoulli(sites), 9, key)
    same = {"num_samples": 9, "rng": key}
    np.testing.assert_array_equal(x, fg.bernoulli.sample(sites * 2, **same))
    soft = fg.bernoulli.gumbel_softmax(sites / 4, temperature=1, **same)
    np.testing.assert_array_equal(y, soft)


@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
def test_equal_temperatures_of_one_are_st_gumbel(kind):
    d = kind(RNG.normal(size=(30, 5)))
    f = objective(lambda x: x.sum(axis=(1, 2)), grad=lambda x: np.cos(np.arange(5) * (1 + x)))
    a, b = (estimator(n)(f, d, num_samples=4, rng=1) for n in ("st_gumbel", "decoupled_st_gumbel"))
    np.testing.assert_array_equal(a.grad, b.grad)
    assert a.value == b.value


# -- Jacobians -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
@pytest.mark.parametrize("backward", [0.3, 1.0, 5.0])
def test_gradient_is_the_slope_of_the_relaxed_sample(backward, kind):
    """Central differences with the key fixed, of w y with w the gradient of f at the outcomes."""
    logits, key = RNG.normal(size=(3, 4)), fg.Key(8)
    if kind is Categorical:
        logits[1, 2] = -np.inf
    weights = RNG.normal(size=(3, 4))
    f = objective(lambda x: (weights * x**3).sum(axis=(1, 2)), grad=lambda x: weights * (1 + x))
    relax = fg.gumbel_softmax if kind is Categorical else fg.bernoulli.gumbel_softmax
    same = {"num_samples": 5, "rng": key}
    cases = {
        "st_gumbel": (
            {"temperature": backward},
            lambda phi: relax(phi, temperature=backward, **same),
        ),
        "decoupled_st_gumbel": (
            {"temperature": 2.0, "backward_temperature": backward},
            lambda phi: relax(phi / backward, temperature=1.0, **same),
        ),
    }
    for name, (options, y) in cases.items():
        run = estimator(name, **options)
        grad = run(f, kind(logits), num_samples=5, rng=key).grad
        x = run.draw(kind(logits), 5, key).x
        h = 1e-6
        for where in np.ndindex(3, 4):
            step = np.zeros((3, 4))
            step[where] = h
            slope = (weights * (1 + x) * (y(logits + step) - y(logits - step))).sum() / (2 * h) / 5
            assert grad[where] == pytest.approx(slope, abs=1e-8 / backward)


# -- moments ---------------------------------------------------------------------------------------

TABLE = {  # temperature: mean, variance, that of its mean given the outcome, mean of that given it
    0.1: (0.024799, 0.418872, 0.061499, 0.357373),
    0.5: (0.021460, 0.077934, 0.046054, 0.031880),
    1.0: (0.016667, 0.033389, 0.027778, 0.005611),
}


def toy(kind):
    """(x - 0.45)**2 of the first of two categories, or of a bit: one value for each copy."""
    if kind is Bernoulli:
        return objective(lambda x: (x - 0.45) ** 2, grad=lambda x: 2 * (x - 0.45))
    return objective(
        lambda x: (x[..., 0] - 0.45) ** 2, grad=separable([0.45, 0.0], weights=[1.0, 0.0]).grad
    )


def at_zero(kind):
    return kind(np.zeros(() if kind is Bernoulli else 2))


@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
@pytest.mark.parametrize("temperature", TABLE)
def test_moments_of_one_bit(temperature, kind):
    mean, variance, outer, inner = TABLE[temperature]
    run, d = estimator("st_gumbel", temperature=temperature), at_zero(kind)
    (value, _), (grad, spread) = value_and_grad_moments(run, toy(kind), d)
    assert value == pytest.approx((0.55**2 + 0.45**2) / 2, abs=1e-12)
    assert grad.flat[0] == pytest.approx(mean, abs=6e-7)
    assert spread.flat[0] == pytest.approx(variance, abs=6e-7)
    draws, weights = run.nodes(d, 1)
    copies = kind(np.broadcast_to(d.logits, (len(weights), *d.logits.shape)))
    each = run.combine(copies, [(draws, run.ask(toy(kind), copies, draws))]).grad
    each, first = each.reshape(len(weights), -1)[:, 0], draws.x.reshape(len(weights), -1)[:, 0]
    given = [weights[first == x] @ each[first == x] / 0.5 for x in (0, 1)]
    assert np.var(given) == pytest.approx(outer, abs=6e-7)
    assert spread.flat[0] - np.var(given) == pytest.approx(inner, abs=1.2e-6)


def closed_form(phi, temperature):
    """Mean of the slope y (1 - y) / temperature given that the bit is 0, and 1, by a fine grid."""
    z = np.linspace(-60, 60, 1_200_001)
    y = expit(z / temperature)
    density = 1 / (4 * np.cosh((z - phi) / 2) ** 2)
    slope = y * (1 - y) / temperature * density * 1e-4
    middle = slope[z == 0].sum() / 2
    return slope[z < 0].sum() + middle, slope[z > 0].sum() + middle


@pytest.mark.parametrize("phi", [-30.0, -1.3, 0.4, 6.0])
@pytest.mark.parametrize("temperature", [0.05, 0.7, 20.0])
def test_nodes_are_a_quadrature(temperature, phi):
    """Against a midpoint sum, and f's own mean: the jump lies between two nodes."""
    zero, one = closed_form(phi, temperature)
    run = estimator("st_gumbel", temperature=temperature)
    (value, _), (grad, _) = value_and_grad_moments(run, toy(Bernoulli), Bernoulli(np.array(phi)))
    p = 1 / (1 + math.exp(-phi))
    assert value == pytest.approx(0.55**2 * p + 0.45**2 * (1 - p), abs=1e-12)
    assert grad == pytest.approx(2 * (0.55 * one - 0.45 * zero), abs=2e-9)


@pytest.mark.parametrize("name", ["st_gumbel", "decoupled_st_gumbel"])
@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
def test_two_variables_or_two_samples(kind, name):
    """f a sum: each variable's mean is its own; two samples have half the variance."""
    logits = np.array([[0.3, -0.4], [1.0, 0.1]]) if kind is Categorical else np.array([0.7, -0.9])
    options = {"temperature": 0.6}
    if name == "decoupled_st_gumbel":
        options["backward_temperature"] = 1.7
    run = estimator(name, **options)
    f = objective(lambda x: 0 * x.sum(axis=tuple(range(2, x.ndim))), grad=lambda x: np.sin(1 + x))
    (_, (mean, variance)) = value_and_grad_moments(run, f, kind(logits))
    for i in range(2):
        (_, (alone, spread)) = value_and_grad_moments(run, f, kind(logits[i]))
        np.testing.assert_allclose(mean[i], alone, rtol=0, atol=1e-12)
        np.testing.assert_allclose(variance[i], spread, rtol=0, atol=1e-12)
        (_, (twice, half)) = value_and_grad_moments(run, f, kind(logits[i]), 2)
        np.testing.assert_allclose(twice, alone, rtol=0, atol=1e-12)
        np.testing.assert_allclose(half, spread / 2, rtol=0, atol=1e-12)


def test_masked_and_too_many():
    run = estimator("st_gumbel")
    (_, (mean, variance)) = value_and_grad_moments(
        run, toy(Categorical), Categorical(np.array([0.0, -np.inf]))
    )
    assert not mean.any()
    assert not variance.any()
    assert run.nodes(Categorical(np.zeros(3)), 1) is None
    assert run.nodes(Categorical(np.zeros((3, 2))), 1) is None
    assert run.nodes(Bernoulli(np.zeros(2)), 2) is None


@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("st_gumbel", {"temperature": 0.5}),
        ("decoupled_st_gumbel", {"temperature": 0.5, "backward_temperature": 2.0}),
    ],
)
def test_draws_have_the_moments(name, options, kind):
    examples, run = 40_000, estimator(name, **options)
    logits = np.array(0.7) if kind is Bernoulli else np.array([0.7, 0.0])
    f = toy(kind)
    many = kind(np.broadcast_to(logits, (examples, *logits.shape)))
    drawn = run(f, many, num_samples=1, rng=5)
    exact_moments = value_and_grad_moments(run, f, kind(logits))
    for sample, (mean, variance) in zip((drawn.value, drawn.grad), exact_moments):
        error = np.abs(sample.mean(axis=0) - mean)
        assert (error < SIGMAS * np.sqrt(variance / examples)).all()
        fourth = ((sample - mean) ** 4).mean(axis=0)
        error = np.abs(((sample - mean) ** 2).mean(axis=0) - variance)
        assert (error < SIGMAS * np.sqrt((fourth - variance**2) / examples)).all()


# -- calls -----------------------------------------------------------------------------------------


def test_errors():
    with pytest.raises(TypeError, match="st_gumbel needs the gradient of f at relaxed points"):
        estimator("st_gumbel")(lambda x: x[:, 0], np.zeros(3), num_samples=2, rng=0)
    for value in (1e-50, 1e39):
        with pytest.raises(ValueError, match=r"^backward_temperature must be from"):
            fg.estimator("decoupled_st_gumbel", backward_temperature=value)
    for option in ("temperature", "backward_temperature"):
        with pytest.raises(ValueError, match=f"^{option} must be a finite number above 0, got -1"):
            estimator("decoupled_st_gumbel", **{option: -1})
