"""Straight-through estimators against their formulae, and their exact means over all outcomes.

The draws of these estimators are outcomes, so `nodes` names them all and nothing here is random
but the problems. Only the last test draws: a training run with a fixed seed.
"""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import reference
from exact_moments import moments

import fastgrad as fg
from fastgrad import exact
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import ESTIMATORS, estimator
from fastgrad.objectives import objective, separable

RNG = np.random.default_rng(11)
NAMES = ["straight_through", "reinmax", "gapped_st"]
LOGITS = {
    "plain": np.array([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]]),
    "masked": np.array([[0.3, -np.inf, 0.8], [-np.inf, 0.5, -np.inf]]),
    "near-deterministic": np.array([[30.0, 0.0, -2.0], [0.0, -700.0, 2.0]]),
}


def product(p, w):
    """J(p) w."""
    return p * (w - (p * w).sum(axis=-1, keepdims=True))


def straight_through(logits, hot, w, temperature=1.0):
    return product(reference.softmax(logits / temperature), w) / temperature


def reinmax(logits, hot, w, temperature=1.0):
    y = (reference.softmax(logits / temperature) + hot) / 2
    return 2 * product(y, w) - product(reference.softmax(logits), w) / 2


def gapped_st(logits, hot, w, temperature=1.0, gap=1.0):
    """The shifts of Fan et al. (2022), algorithm 1: m1 for the outcome, m2 for the others."""
    top = logits.max(axis=-1, keepdims=True)
    with np.errstate(invalid="ignore"):
        m1 = np.where(hot > 0, top - logits, 0)
    m2 = np.where(hot > 0, 0, np.maximum(logits - top + gap, 0))
    moved = np.where(hot > 0, logits + m1, logits - m2)
    return product(reference.softmax(moved / temperature), w) / temperature


FORMULAE = {"straight_through": straight_through, "reinmax": reinmax, "gapped_st": gapped_st}


def pairs(logits):
    """Two categories for each site: the second is the Bernoulli variable's 1."""
    return np.stack([np.zeros_like(logits), logits], axis=-1)


def over_copies(f, grad, axes):
    """An objective with one value for each copy of the problem, whose features are these axes."""
    return objective(lambda x: f(x).sum(axis=axes), grad=grad)


# -- formulae --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("batch", "k"), [((), 3), ((5,), 1), ((70,), 2), ((3, 40), 16), ((9,), 65), ((2,), 700)]
)
@pytest.mark.parametrize("name", NAMES)
def test_formula(name, batch, k, dtype):
    logits = RNG.normal(size=(*batch, k), scale=2).astype(dtype)
    if k > 2:
        logits[..., 1] = -np.inf
    d = Categorical(logits)
    z = d.sample(num_samples=6, rng=1)
    w, values = RNG.normal(size=(6, *batch, k)).astype(dtype), RNG.normal(size=6)
    wide = logits.astype(np.float64)
    for options in ({}, {"temperature": 0.4}, {"temperature": 3.0}, {"gap": 0.2}):
        if "gap" in options and name != "gapped_st":
            continue
        estimate = estimator(name, **options).combine(d, [(z, (values, w))])
        expected = FORMULAE[name](wide, reference.one_hot(z, k), w, **options).mean(axis=0)
        assert estimate.grad.dtype == estimate.value.dtype == dtype
        assert estimate.evaluations == 6
        np.testing.assert_allclose(
            estimate.grad, expected, rtol=0, atol=40 * np.finfo(dtype).eps / 0.4
        )
        np.testing.assert_allclose(estimate.value, values.mean(), rtol=1e-6)
        assert not estimate.grad[np.isinf(logits)].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (3,), (4, 700)])
@pytest.mark.parametrize("name", NAMES)
def test_a_bernoulli_variable_is_the_second_of_two_categories(name, batch, dtype):
    logits = RNG.normal(size=batch, scale=2).astype(dtype)
    x = RNG.integers(0, 2, (6, *batch)).astype(np.int32)
    values, w = RNG.normal(size=6), RNG.normal(size=(6, *batch)).astype(dtype)
    for temperature in (1.0, 0.4, 3.0):
        run = estimator(name, temperature=temperature)
        a = run.combine(Bernoulli(logits), [(x, (values, w))]).grad
        b = run.combine(Categorical(pairs(logits)), [(x, (values, pairs(w)))]).grad
        assert a.shape == batch
        assert a.dtype == dtype
        np.testing.assert_allclose(a, b[..., 1], rtol=0, atol=40 * np.finfo(dtype).eps)


@pytest.mark.parametrize("name", NAMES)
def test_jacobian_is_that_of_the_surrogate(name):
    """Central differences of the softmax each stands for, its constants held."""
    logits, temperature = RNG.normal(size=(1, 5)), 0.7
    w, z = RNG.normal(size=(1, 1, 5)), np.array([[3]], np.int32)
    hot, p = np.eye(5)[3], reference.softmax(logits[0] / temperature)
    if name == "straight_through":
        shifts = [(np.zeros(5), 1 / temperature, 1.0)]
    elif name == "gapped_st":
        top = logits[0].max()
        m1, m2 = (top - logits[0]) * hot, np.maximum(logits[0] - top + 1, 0) * (1 - hot)
        shifts = [(m1 - m2, 1 / temperature, 1.0)]
    else:
        shifts = [(np.log((p + hot) / 2) - logits[0], 1.0, 2.0), (np.zeros(5), 1.0, -0.5)]
    surrogate = sum_of_softmaxes(w[0, 0], shifts)
    expected = reference.gradient(surrogate, logits[0])
    run = estimator(name, temperature=temperature)
    grad = run.combine(Categorical(logits), [(z, (np.zeros(1), w))]).grad
    np.testing.assert_allclose(grad[0], expected.astype(float), rtol=0, atol=1e-11)


def sum_of_softmaxes(w, shifts):
    def surrogate(phi):
        return sum(c * (w * reference.softmax((phi + s) * scale)).sum() for s, scale, c in shifts)

    return surrogate


# -- exact means -----------------------------------------------------------------------------------

CASES = {  # logits (1, 0); power: true gradient by the first logit, and the estimators' means
    2.0: (0.019661, {"straight_through": 0.110519, "gapped_st": 0.110519, "reinmax": 0.019661}),
    1.5: (0.020845, {"straight_through": 0.106688, "reinmax": 0.010440}),
}


@pytest.mark.parametrize("power", CASES)
def test_means_of_polynomial_programming(power):
    """Means for one variable of two categories, f = abs(x_0 - 0.45)**power."""
    d = Categorical(np.array([[1.0, 0.0]]))
    f = separable([[0.45, 0.0]], weights=[[1.0, 0.0]], power=power)
    truth, means = CASES[power]
    assert exact.grad(f, d)[0, 0] == pytest.approx(truth, abs=5e-7)
    on_copies = over_copies(lambda x: np.abs(x[..., 0] - 0.45) ** power, f.grad, -1)
    for name, expected in means.items():
        mean, _ = moments(estimator(name), on_copies, d)
        assert mean[0, 0] == pytest.approx(expected, abs=5e-7)
        assert mean[0, 1] == pytest.approx(-expected, abs=5e-7)


def quadratic(n, k):
    """A random quadratic in n variables of k categories, neither symmetric nor separable."""
    a, b = RNG.normal(size=(n * k, n * k)), RNG.normal(size=n * k)

    def f(x):
        x = x.reshape(*x.shape[:-2], n * k)
        return ((x @ a) * x).sum(axis=-1) + x @ b

    def grad(x):
        flat = x.reshape(*x.shape[:-2], n * k)
        return (flat @ (a + a.T) + b).reshape(x.shape)

    return f, grad


@pytest.mark.parametrize(("n", "k"), [(2, 2), (4, 2), (3, 3), (2, 4), (2, 5)])
@pytest.mark.parametrize("case", ["plain", "masked", "near-deterministic"])
def test_reinmax_is_unbiased_for_quadratics(case, n, k):
    logits = RNG.normal(size=(n, k))
    if case == "masked":
        logits[0, 1] = logits[1, 0] = -np.inf
    if case == "near-deterministic":
        logits[0, 1], logits[1, 0] = 40, -700
    f, grad = quadratic(n, k)
    expected = exact.grad(f, logits)
    mean, _ = moments(estimator("reinmax"), objective(f, grad=grad), Categorical(logits))
    np.testing.assert_allclose(mean, expected, rtol=0, atol=1e-12)
    warmer, _ = moments(
        estimator("reinmax", temperature=1.5), objective(f, grad=grad), Categorical(logits)
    )
    assert case != "plain" or np.abs(warmer - expected).max() > 1e-3


def test_reinmax_is_unbiased_for_quadratics_of_bits():
    a, b, logits = RNG.normal(size=(4, 4)), RNG.normal(size=4), RNG.normal(size=4)
    f = objective(lambda x: ((x @ a) * x).sum(axis=-1) + x @ b, grad=lambda x: x @ (a + a.T) + b)
    mean, _ = moments(estimator("reinmax"), f, Bernoulli(logits))
    np.testing.assert_allclose(mean, exact.grad(f, Bernoulli(logits)), rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", LOGITS)
def test_straight_through_is_unbiased_where_each_variable_enters_linearly(case):
    table = RNG.normal(size=(3, 3))

    def f(x):
        return np.einsum("...i,...j,ij->...", x[..., 0, :], x[..., 1, :], table)

    def grad(x):
        return np.stack([x[..., 1, :] @ table.T, x[..., 0, :] @ table], axis=-2)

    d = Categorical(LOGITS[case])
    mean, _ = moments(estimator("straight_through"), objective(f, grad=grad), d)
    np.testing.assert_allclose(mean, exact.grad(f, d), rtol=0, atol=1e-12)


@pytest.mark.parametrize("case", LOGITS)
@pytest.mark.parametrize("name", NAMES)
def test_mean_and_variance_are_sums_over_outcomes(name, case):
    """Of a cubic that mixes variables; two samples have half the variance of one."""
    d, weights = Categorical(LOGITS[case]), RNG.normal(size=(2, 3))

    def f(x):
        return (weights * x**3).sum(axis=(-2, -1)) * (1 + x[..., 0, 1])

    def grad(x):
        g = 3 * weights * x**2 * (1 + x[..., 0, 1])[..., None, None]
        g[..., 0, 1] += (weights * x**3).sum(axis=(-2, -1))
        return g

    joint = np.array(list(itertools.product(range(3), repeat=2)), np.int32)
    p = np.exp(d.log_prob(joint).sum(axis=1))
    hot = np.eye(3)[joint][p > 0]
    each = FORMULAE[name](d.logits, hot, grad(hot)).reshape(len(hot), -1)
    mean = p[p > 0] @ each
    covariance = (p[p > 0, None] * (each - mean)).T @ (each - mean)
    for num_samples in (1, 2):
        found = moments(estimator(name), objective(f, grad=grad), d, num_samples)
        np.testing.assert_allclose(found[0], mean.reshape(2, 3), rtol=0, atol=1e-12)
        np.testing.assert_allclose(found[1], covariance / num_samples, rtol=0, atol=1e-11)


# -- calls -----------------------------------------------------------------------------------------


def test_a_call_asks_at_outcomes():
    logits, key = RNG.normal(size=(4, 3)), fg.Key(3)
    seen = {}

    def f(x):
        seen["f"] = x
        return (x * np.arange(3)).sum(axis=(1, 2))

    def grad(x):
        seen["grad"] = x
        return np.broadcast_to(np.arange(3.0), x.shape)

    for name in NAMES:
        estimate = estimator(name)(objective(f, grad=grad), logits, num_samples=7, rng=key)
        z = fg.sample(logits, num_samples=7, rng=key)
        np.testing.assert_array_equal(seen["f"], np.eye(3)[z])
        np.testing.assert_array_equal(seen["grad"], np.eye(3)[z])
        assert estimate.value == pytest.approx(z.sum() / 7)


ERRORS = {
    "no gradient": (
        {},
        lambda x: x[:, 0],
        TypeError,
        "reinmax needs the gradient of f at relaxed points: fg.objective(f, grad=...)",
    ),
    "temperature": (
        {"temperature": 0.0},
        None,
        ValueError,
        "temperature must be a finite number above 0, got 0.0",
    ),
    "value": (
        {},
        objective(lambda x: x, grad=lambda x: x),
        ValueError,
        "f must return values whose shape is a leading part of (S, *batch) = (4,), got (4, 3)",
    ),
    "gradient": (
        {},
        objective(lambda x: x[:, 0], grad=lambda x: x[:, 0]),
        ValueError,
        "the gradient of f must have shape (4, 3), got (4,)",
    ),
    "NaN": (
        {},
        objective(lambda x: np.where(np.arange(len(x)) == 2, np.nan, 0), grad=lambda x: x),
        ValueError,
        "f must be finite, got nan for sample 2",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_errors(case):
    options, f, kind, message = ERRORS[case]
    with pytest.raises(kind) as error:
        estimator("reinmax", **options)(f, np.zeros(3), num_samples=4, rng=0)
    assert str(error.value) == message


def test_a_gap_is_above_zero():
    with pytest.raises(ValueError, match="gap must be a finite number above 0, got 0"):
        estimator("gapped_st", gap=0)


def test_they_describe_themselves():
    for name in NAMES:
        run = estimator(name)
        assert run.name == name
        assert run.needs == ("f", "grad")
        assert run.evaluations == "S"
        assert not run.unbiased
        assert ESTIMATORS[name].paper
        with pytest.raises(dataclasses.FrozenInstanceError):
            run.temperature = 2.0


# -- training --------------------------------------------------------------------------------------

PROGRAMME = {  # losses after 40 epochs, and how far from them means of the last epoch may be
    "reinmax": ((0.3054, 0.2037), 0.0006),
    "straight_through": ((0.3522, 0.2475), 0.0015),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", PROGRAMME)
def test_polynomial_programming(name):
    """128 variables, 64 samples, Adam at 1e-3, 40 epochs of 200 steps; a fixed seed.

    The powers 3/2 and 2 are two examples of one minibatch, which do not mix.
    """
    powers = np.array([1.5, 2.0])[:, None]

    def value_and_grad(x):
        distance, grad = x[..., 0] - 0.45, np.zeros_like(x)
        size = np.abs(distance)
        slope = np.stack([np.sqrt(size[:, 0]), size[:, 1]], axis=1)  # size**(power - 1)
        grad[..., 0] = np.copysign(slope, distance) * powers / 128
        return (size * slope).mean(axis=-1), grad

    f = objective(value_and_grad=value_and_grad)
    logits = np.random.default_rng(0).uniform(-0.01, 0.01, (128, 2))
    logits = np.stack([logits, logits])
    first, second, losses, run = 0.0, 0.0, [], estimator(name)
    for step in range(1, 8001):
        value, grad, *_ = run(f, logits, num_samples=64, rng=fg.Key(1).fold_in(step))
        first, second = 0.9 * first + 0.1 * grad, 0.999 * second + 0.001 * grad**2
        pace = math.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        logits = logits - 1e-3 * pace * first / (np.sqrt(second) + 1e-8 * pace)
        losses.append(value)
    expected, tolerance = PROGRAMME[name]
    np.testing.assert_allclose(np.mean(losses[-200:], axis=0), expected, rtol=0, atol=tolerance)
