"""Estimators against exact means and variances: every combination of outcomes goes in at once.

`combine` takes draws as they come. Given each combination of S outcomes as an example of a
minibatch of its own, one call returns the estimate of each, and weights by their probability make
the exact mean and variance: no sampling, so no false alarms. The few tests that draw have fixed
seeds and a bound of 5.5 standard errors (a false-alarm rate of 4e-8 for each number compared).
"""

import dataclasses
import itertools
import math

import numba
import numpy as np
import pytest
from exact_moments import moments, of_table

import fastgrad as fg
from fastgrad import exact
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import CONTINUOUS, ESTIMATORS, Estimate, estimator, list_estimators
from fastgrad.objectives import Values, bernoulli3, objective, separable

RNG = np.random.default_rng(7)
SIGMAS = 5.5
CORE = ("rloo", "gumbel_softmax")  # in every detail here, the others in their own files
BITS = np.array([0, 1, 1, 2, 1, 2, 2, 3])  # of the outcomes of `bernoulli3`


LOGITS = {
    "plain": np.array([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]]),
    "masked": np.array([[0.3, -np.inf, 0.8], [-np.inf, 0.5, -np.inf]]),
    "near-deterministic": np.array([[30.0, 0.0, -2.0], [0.0, -700.0, 2.0]]),
}


# -- rloo: unbiased, with the variances of the literature ---------------------------------------


@pytest.mark.parametrize("num_samples", [2, 3])
@pytest.mark.parametrize("case", LOGITS)
def test_rloo_is_unbiased(case, num_samples):
    table = RNG.normal(size=(3, 3))
    mean, _ = moments(estimator("rloo"), of_table(table), Categorical(LOGITS[case]), num_samples)
    np.testing.assert_allclose(mean, exact.grad(of_table(table), LOGITS[case]), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("num_samples", "variance"), [(2, 7.275e-3), (3, 3.2e-3), (4, 1.9875e-3)])
def test_rloo_has_the_variance_of_the_three_bit_toy(num_samples, variance):
    table = bernoulli3().f(np.eye(8))
    mean, covariance = moments(
        estimator("rloo"), of_table(table), Categorical(np.zeros((1, 8))), num_samples
    )
    assert mean[0] @ BITS == pytest.approx(-0.045, abs=1e-12)
    assert BITS @ covariance @ BITS == pytest.approx(variance, rel=1e-9)


def test_rloo_has_the_variance_of_the_three_bit_toy_with_eight_samples():
    """The order of samples does not matter: 6435 multisets instead of 8**8 combinations."""
    table, s = bernoulli3().f(np.eye(8)), 8
    z = np.array(list(itertools.combinations_with_replacement(range(8), s)), np.int32).T
    often = (z[:, :, None] == np.arange(8)).sum(axis=0)
    weight = [
        math.factorial(s) / math.prod(map(math.factorial, row)) / 8**s for row in often.tolist()
    ]
    d = Categorical(np.zeros((z.shape[1], 8)))
    grad = estimator("rloo").combine(d, [(z, Values(table[z], None))]).grad @ BITS
    mean = np.dot(weight, grad)
    assert mean == pytest.approx(-0.045, abs=1e-12)
    assert np.dot(weight, (grad - mean) ** 2) == pytest.approx(7.580357e-4, rel=1e-7)


@pytest.mark.parametrize(
    ("t", "phi", "variance"), [(0.45, 0.0, 6.25e-4), (0.499, 0.0, 2.5e-7), (0.3, 1.2, None)]
)
def test_rloo_has_the_variance_of_the_one_bit_toy(t, phi, variance):
    p, delta = 1 / (1 + math.exp(-phi)), 1 - 2 * t
    closed_form = delta**2 * p * (1 - p) * (0.5 - p * (1 - p))
    table = np.array([t**2, (1 - t) ** 2])
    logits = np.array([[0.0, phi]])
    mean, covariance = moments(estimator("rloo"), of_table(table), Categorical(logits), 2)
    assert mean[0, 1] == pytest.approx(delta * p * (1 - p), abs=1e-14)
    assert covariance[1, 1] == pytest.approx(closed_form, rel=1e-10)
    if variance:
        assert closed_form == pytest.approx(variance, rel=1e-7)


def test_rloo_has_the_variance_of_the_separable_toy():
    """a**2 D / 16 for each coordinate, a = (1 - 2 p0) / D: 1.25e-9 at D = 200."""
    p0, d = 0.499, 4
    one, zero = (1 - p0) ** 2 / d, p0**2 / d
    mean, covariance = moments(
        estimator("rloo"),
        objective(index=lambda z: np.where(z == 1, one, zero).sum(axis=-1)),
        Categorical(np.zeros((d, 2))),
        2,
    )
    a = (1 - 2 * p0) / d
    np.testing.assert_allclose(mean[:, 1], a / 4, rtol=1e-10)
    np.testing.assert_allclose(np.diag(covariance)[1::2], a**2 * d / 16, rtol=1e-9)
    assert ((1 - 2 * p0) / 200) ** 2 * 200 / 16 == pytest.approx(1.25e-9, rel=1e-9)


def test_credit_is_unbiased_and_of_lower_variance():
    """A chain of three variables, f the sum of two terms; each variable is told its own terms."""
    first, second = RNG.normal(size=(2, 3, 3))
    logits = RNG.normal(size=(3, 3))

    def terms(z):
        a, b = first[z[..., 0], z[..., 1]], second[z[..., 1], z[..., 2]]
        return a + b, np.stack([a, a + b, b], axis=-1)

    with_credit = moments(estimator("rloo"), objective(index=terms), Categorical(logits), 2)
    without = moments(
        estimator("rloo"), objective(index=lambda z: terms(z)[0]), Categorical(logits), 2
    )
    expected = exact.grad(objective(index=terms), logits)
    np.testing.assert_allclose(with_credit[0], expected, rtol=0, atol=1e-12)
    np.testing.assert_allclose(without[0], expected, rtol=0, atol=1e-12)
    ends, middle = [0, 1, 2, 6, 7, 8], [3, 4, 5]
    lower, higher = np.diag(with_credit[1]), np.diag(without[1])
    assert lower[ends].sum() < 0.8 * higher[ends].sum()
    np.testing.assert_allclose(lower[middle], higher[middle], rtol=1e-9)


# -- rloo: what it computes ---------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (5,), (3, 4), (2, 3, 100)])
@pytest.mark.parametrize(("k", "samples"), [(1, 6), (2, 6), (3, 37), (16, 6), (40, 37), (700, 6)])
def test_rloo_is_its_formula(batch, k, samples, dtype):
    d = Categorical(RNG.normal(size=(*batch, k)).astype(dtype))
    z = d.sample(num_samples=samples, rng=1)
    for lead in range(len(batch) + 2):  # values of every shape, credit last
        signal = 100 + RNG.normal(size=(samples, *batch[:lead]))
        answer = Values(signal, None)
        if lead > len(batch):
            signal = 100 + RNG.normal(size=(samples, *batch))
            answer = Values(np.ones(samples), signal)
        weight = signal - signal.mean(axis=0)
        weight = weight.reshape(*weight.shape, *(1 for _ in range(z.ndim - weight.ndim + 1)))
        expected = (weight * fg.score(d.logits.astype(float), z)).sum(axis=0) / (samples - 1)
        estimate = estimator("rloo").combine(d, [(z, answer)])
        tolerance = 1e-5 if dtype == np.float32 else 1e-12
        np.testing.assert_allclose(estimate.grad, expected, rtol=0, atol=tolerance)
        assert estimate.grad.dtype == estimate.value.dtype == dtype
        np.testing.assert_allclose(estimate.value, answer.value.mean(axis=0), rtol=1e-6)
        assert estimate.evaluations == samples


def test_a_call_draws_asks_and_combines():
    logits, key = RNG.normal(size=(4, 3)), fg.Key(3)
    seen = []

    def f(x):
        seen.append(x)
        return (x * np.arange(3)).sum(axis=(1, 2))

    rloo = estimator("rloo")
    estimate = rloo(f, logits, num_samples=7, rng=key)
    z = fg.sample(logits, num_samples=7, rng=key)
    np.testing.assert_array_equal(seen[0], np.eye(3)[z])
    same = rloo.combine(Categorical(logits), [(z, Values(f(seen[0]), None))])
    np.testing.assert_array_equal(estimate.grad, same.grad)
    assert estimate.value == same.value


def test_rloo_draws_have_the_exact_mean():
    logits = np.tile(LOGITS["plain"], (20_000, 1, 1))
    table = RNG.normal(size=(3, 3))
    grad = estimator("rloo")(of_table(table), logits, num_samples=3, rng=11).grad
    error = grad.mean(axis=0) - exact.grad(of_table(table), logits[0])
    assert (np.abs(error) < SIGMAS * grad.std(axis=0) / math.sqrt(len(grad))).all()


def test_a_constant_f_gives_exactly_zero():
    logits = RNG.normal(size=(30, 4)).astype(np.float32)
    estimate = estimator("rloo")(lambda x: np.full(len(x), 0.1), logits, num_samples=7, rng=0)
    assert not estimate.grad.any()
    assert estimate.value == np.float32(0.1)


def test_masked_categories_get_exactly_zero():
    logits = RNG.normal(size=(30, 4))
    logits[:, 2] = -np.inf
    logits[3, :3] = -np.inf
    f = objective(lambda x: (x**2 * 3 - x).sum(axis=(1, 2)) + x[:, 0, 0], grad=lambda x: 6 * x - 1)
    for name in CORE:
        grad = estimator(name)(f, logits, num_samples=5, rng=0).grad
        assert np.isfinite(grad).all()
        assert not grad[np.isinf(logits)].any()
        assert not grad[3].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("large", [90.0, 1e4, 1e30])
def test_near_deterministic_logits_give_finite_gradients(large, dtype):
    logits = np.array([[large, 0.0, -large], [-large, -large, large]], dtype)
    f = objective(lambda x: x[..., 0].sum(axis=1), grad=lambda x: np.ones_like(x) * [1, 2, 3])
    for name in CORE:
        estimate = estimator(name)(f, logits, num_samples=5, rng=0)
        np.testing.assert_allclose(estimate.grad, 0, atol=1e-6)


# -- examples, blocks, keys ---------------------------------------------------------------------

PROBLEMS = {
    "whole": lambda x: (x * np.arange(x.shape[-1])).sum(axis=(1, 2, 3)),
    "examples": lambda x: (x * np.arange(x.shape[-1])).sum(axis=(2, 3)),
    "credit": lambda x: (x[..., 0].sum(axis=(1, 2)), x[..., 0].astype(np.float64) / 3),
}


def with_gradient(f):
    return objective(f, grad=lambda x: np.sin(3 * x))


@pytest.mark.parametrize("name", CORE)
def test_examples_do_not_mix(name):
    """What one example's f is, and its logits are, changes no other's value and gradient."""
    logits, scale = RNG.normal(size=(4, 6, 3)), np.ones((4, 1, 1))

    def f(x):
        return ((x * scale) ** 2 * [1, 2, 3]).sum(axis=(2, 3))

    def grad(x):
        return 2 * x * scale**2 * [1, 2, 3]

    run = estimator(name)
    before = run(objective(f, grad=grad), logits, num_samples=5, rng=2)
    assert before.value.shape == (4,)
    scale[1], logits[1, 2] = 7, [0, 9, 0]
    after = run(objective(f, grad=grad), logits, num_samples=5, rng=2)
    others = [0, 2, 3]
    np.testing.assert_array_equal(after.grad[others], before.grad[others])
    np.testing.assert_array_equal(after.value[others], before.value[others])
    assert (after.grad[1] != before.grad[1]).any()
    assert after.value[1] != before.value[1]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("name", CORE)
def test_neither_blocks_nor_threads_change_a_bit(name, problem, dtype):
    logits = RNG.normal(size=(5, 70, 10)).astype(dtype)
    f, run = with_gradient(PROBLEMS[problem]), estimator(name)
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    whole = run(f, logits, num_samples=17, rng=4)
    assert whole.evaluations == 17
    for block_size, threads in ((1, 2), (2, 1), (3, 2), (16, 1), (17, 1), (100, 2)):
        numba.set_num_threads(min(threads, numba.config.NUMBA_NUM_THREADS))
        estimate = run(f, logits, num_samples=17, rng=4, block_size=block_size)
        np.testing.assert_array_equal(estimate.grad, whole.grad)
        np.testing.assert_array_equal(estimate.value, whole.value)
        assert estimate.evaluations == 17


@pytest.mark.parametrize("name", CORE)
def test_f_is_handed_no_more_than_a_block(name):
    sizes = []

    def f(x):
        sizes.append(len(x))
        return x[:, 0, 0]

    run = estimator(name)
    run(objective(f, grad=lambda x: x), np.zeros((2, 3)), num_samples=8, rng=0, block_size=3)
    assert sizes == [3, 3, 2]


@pytest.mark.parametrize("name", CORE)
def test_the_key_decides(name):
    logits, f, run = RNG.normal(size=(5, 7, 3)), with_gradient(PROBLEMS["whole"]), estimator(name)
    first, again, other = (run(f, logits, num_samples=4, rng=r) for r in (fg.Key(1), 1, 2))
    np.testing.assert_array_equal(first.grad, again.grad)
    assert (first.grad != other.grad).any()
    generator = np.random.default_rng(0)
    a, b = (run(f, logits, num_samples=4, rng=generator) for _ in range(2))
    assert (a.grad != b.grad).any()


@pytest.mark.parametrize("name", CORE)
def test_strides_and_read_only_logits_are_welcome(name):
    logits, f, run = RNG.normal(size=(5, 7, 6)), with_gradient(PROBLEMS["whole"]), estimator(name)
    view = logits[::2, ::-1, ::3]
    view.flags.writeable = False
    a = run(f, view, num_samples=4, rng=0)
    b = run(f, view.copy(), num_samples=4, rng=0)
    np.testing.assert_array_equal(a.grad, b.grad)
    c = run(f, Categorical(view), num_samples=4, rng=0)
    np.testing.assert_array_equal(a.grad, c.grad)


@pytest.mark.parametrize("name", CORE)
def test_f_cannot_change_the_samples(name):
    def f(x):
        x *= 2
        return x[:, 0, 0]

    def index(z):
        z += 1
        return z[:, 0]

    part = {"f": f, "grad": f} if "f" in ESTIMATORS[name].needs else {"index": index}
    with pytest.raises(ValueError, match="read-only"):
        estimator(name)(objective(**part), np.zeros((2, 3)), num_samples=2, rng=0)


@pytest.mark.parametrize("name", CORE)
def test_a_buffer_that_f_returns_twice_is_not_kept(name):
    buffer = np.empty(2)

    def f(x):
        buffer[:] = x[:, 0, 0]
        return buffer

    def run(f, **options):
        f = objective(f, grad=lambda x: x)
        return estimator(name)(f, np.zeros((2, 3)), num_samples=6, rng=0, **options)

    a, b = run(f, block_size=2), run(lambda x: x[:, 0, 0])
    np.testing.assert_array_equal(a.grad, b.grad)
    assert a.value == b.value


@pytest.mark.parametrize("name", CORE)
def test_no_variables(name):
    f = objective(lambda x: x.sum(axis=(1, 2)) + 2, grad=lambda x: x)
    estimate = estimator(name)(f, np.zeros((0, 3)), num_samples=4, rng=0)
    assert estimate.grad.shape == (0, 3)
    assert estimate.value == 2


@pytest.mark.parametrize(
    ("name", "dtype", "size"),
    [
        ("rebar", np.float32, 1e20),
        ("double_cv", np.float64, 1e160),
        ("rodeo", np.float64, 1e160),
        ("pooled", np.float64, 1e160),
    ],
)
def test_squares_that_overflow_teach_nothing(name, dtype, size):
    """The values are finite, their squares are not: later calls must not suffer."""
    target = np.array([0.2, 0.5, 0.3], dtype)

    def run(factor, state, seed):
        f = objective(
            lambda x: factor * ((x - target) ** 2).sum(axis=(1, 2)),
            grad=lambda x: 2 * factor * (x - target),
        )
        logits = np.zeros((2, 3), dtype)
        return estimator(name)(f, logits, num_samples=4, rng=seed, state=state)

    known = run(dtype(1), run(dtype(1), None, 0).state, 1)
    huge = run(dtype(size), known.state, 2)
    after = run(dtype(1), huge.state, 3)
    for found in (huge, after):
        assert np.isfinite(found.grad).all()
        assert all(np.isfinite(x).all() for x in found.state.values())


def test_a_bit_without_a_batch():
    f = objective(lambda x: (x - 0.45) ** 2, grad=lambda x: 2 * (x - 0.45))
    for name in list_estimators(distribution=fg.Bernoulli(0.3)):
        run = estimator(name)
        samples = run.min_samples
        if name not in ("unordered_set", "sum_and_sample", "importance_weighted"):
            samples = max(4, samples)  # these are without replacement
        alone = run(f, fg.Bernoulli(0.3), num_samples=samples, rng=0)
        row = run(f, fg.Bernoulli([0.3]), num_samples=samples, rng=0)
        np.testing.assert_array_equal(alone.grad, row.grad[0])


# -- gumbel_softmax -----------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.3, 0.5, 1.0, 2.0])
@pytest.mark.parametrize("phi", [0.0, 1.3])
def test_gumbel_softmax_has_the_mean_of_its_integral(phi, temperature):
    """Two categories: x = sigmoid((phi + logistic noise) / temperature), f = (x - 0.45)**2."""
    t, w = np.polynomial.legendre.leggauss(400)
    noise, h = 40 * t, 1e-5
    weight = 40 * w / (4 * np.cosh(noise / 2) ** 2)  # times the logistic density

    def relaxed(phi):
        return 1 / (1 + np.exp(-(phi + noise) / temperature))

    def integral(phi):
        return weight @ (relaxed(phi) - 0.45) ** 2

    slope = (integral(phi + h) - integral(phi - h)) / (2 * h)
    run = estimator("gumbel_softmax", temperature=temperature)
    x = np.stack([relaxed(phi), 1 - relaxed(phi)], axis=-1)
    d = Categorical(np.tile([phi, 0.0], (len(t), 1)))
    f = separable([0.45, 0.0], weights=[1.0, 0.0])
    nodes = run.combine(d, [(x[None], ((x[None, :, 0] - 0.45) ** 2, f.grad(x)[None]))])
    np.testing.assert_allclose(weight @ nodes.grad, [slope, -slope], rtol=0, atol=1e-9)
    assert weight @ nodes.value == pytest.approx(integral(phi), rel=1e-12)

    examples = 40_000
    f = objective(lambda x: (x[..., 0] - 0.45) ** 2, grad=f.grad)
    drawn = run(f, np.tile([phi, 0.0], (examples, 1)), num_samples=2, rng=5)
    for sample, mean in ((drawn.grad[:, 0], slope), (drawn.value, integral(phi))):
        assert abs(sample.mean() - mean) < SIGMAS * sample.std() / math.sqrt(examples)


@pytest.mark.parametrize("temperature", [0.1, 1.0, 10.0])
def test_gumbel_softmax_is_the_slope_of_its_value_for_a_fixed_key(temperature):
    weights = RNG.normal(size=(3, 4))
    f = objective(lambda x: (weights * x**3).sum(axis=(1, 2)), grad=lambda x: 3 * weights * x**2)
    logits = RNG.normal(size=(3, 4))
    logits[1, 2] = -np.inf
    run = estimator("gumbel_softmax", temperature=temperature)
    grad = run(f, logits, num_samples=5, rng=8).grad
    h = 1e-6
    for where in np.ndindex(3, 4):
        step = np.zeros((3, 4))
        step[where] = h
        up, down = (run(f, logits + s, num_samples=5, rng=8).value for s in (step, -step))
        assert grad[where] == pytest.approx((up - down) / (2 * h), abs=1e-7 / temperature)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("batch", "k"), [((), 3), ((70,), 2), ((3, 40), 16), ((2,), 700)])
def test_gumbel_softmax_is_the_product_that_redraws_the_noise(batch, k, dtype):
    logits = RNG.normal(size=(*batch, k)).astype(dtype)
    cotangent = RNG.normal(size=(6, *batch, k)).astype(dtype)
    f = objective(lambda x: np.zeros(6), grad=lambda x: cotangent)
    grad = estimator("gumbel_softmax", temperature=0.7)(f, logits, num_samples=6, rng=9).grad
    expected = fg.gumbel_softmax_vjp(logits, cotangent, temperature=0.7, rng=9) / 6
    assert grad.dtype == dtype
    np.testing.assert_allclose(grad, expected, rtol=0, atol=20 * np.finfo(dtype).eps)


# -- Bernoulli variables ------------------------------------------------------------------------


def two_categories(logits):
    """Categoricals of which the second category is a Bernoulli variable's 1."""
    return Categorical(np.stack([np.zeros_like(logits), logits], axis=-1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("batch", [(), (3,), (4, 700)])
def test_a_bernoulli_variable_is_the_second_of_two_categories(batch, dtype):
    logits = RNG.normal(size=batch).astype(dtype)
    binary, pair = Bernoulli(logits), two_categories(logits)
    z = RNG.integers(0, 2, (6, *batch)).astype(np.int32)
    value = RNG.normal(size=6)
    for answer in (Values(value, None), Values(value, RNG.normal(size=z.shape))):
        a, b = (estimator("rloo").combine(d, [(z, answer)]) for d in (binary, pair))
        assert a.grad.shape == batch
        np.testing.assert_array_equal(a.grad, b.grad[..., 1])
    x, gradient = RNG.uniform(size=(2, 6, *batch)).astype(dtype)
    x_pair, gradient_pair = np.stack([1 - x, x], -1), np.stack([0 * x, gradient], -1)
    run = estimator("gumbel_softmax", temperature=0.7)
    a = run.combine(binary, [(x, (value, gradient))]).grad
    b = run.combine(pair, [(x_pair, (value, gradient_pair))]).grad
    assert a.shape == batch
    np.testing.assert_allclose(a, b[..., 1], rtol=0, atol=20 * np.finfo(dtype).eps)


def test_bernoulli_draws_have_the_exact_mean():
    logits, target = np.tile([0.3, -1.0, 2.0], (20_000, 1)), np.array([0.1, 0.45, 0.8])
    f = objective(lambda x: ((x - target) ** 2).sum(axis=-1) * (1 + x[..., 0]))
    grad = estimator("rloo")(f, Bernoulli(logits), num_samples=3, rng=11).grad
    error = grad.mean(axis=0) - exact.grad(
        objective(lambda x: f.f(x[:, None])[:, 0]), Bernoulli(logits[0])
    )
    assert (np.abs(error) < SIGMAS * grad.std(axis=0) / math.sqrt(len(grad))).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CORE)
def test_neither_blocks_nor_threads_change_a_bit_of_bernoulli_variables(name, dtype):
    d = Bernoulli(RNG.normal(size=(5, 701)).astype(dtype))
    weights = RNG.normal(size=(5, 701)).astype(dtype)
    f = objective(lambda x: (x * weights).sum(axis=2), grad=lambda x: np.cos(x) * weights)
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    whole = estimator(name)(f, d, num_samples=17, rng=4)
    assert whole.grad.dtype == dtype
    numba.set_num_threads(1)
    for block_size in (1, 3, 17):
        estimate = estimator(name)(f, d, num_samples=17, rng=4, block_size=block_size)
        np.testing.assert_array_equal(estimate.grad, whole.grad)
        np.testing.assert_array_equal(estimate.value, whole.value)


def test_gumbel_softmax_of_bernoulli_variables_is_the_slope_of_its_value():
    weights, logits, h = RNG.normal(size=(2, 3)), RNG.normal(size=(2, 3)), 1e-6
    f = objective(lambda x: (weights * x**3).sum(axis=(1, 2)), grad=lambda x: 3 * weights * x**2)
    run = estimator("gumbel_softmax", temperature=0.6)
    grad = run(f, Bernoulli(logits), num_samples=5, rng=8).grad
    for where in np.ndindex(2, 3):
        step = np.zeros((2, 3))
        step[where] = h
        up, down = (
            run(f, Bernoulli(logits + s), num_samples=5, rng=8).value for s in (step, -step)
        )
        assert grad[where] == pytest.approx((up - down) / (2 * h), abs=1e-7)


@pytest.mark.parametrize("name", CORE)
def test_certain_bernoulli_variables_get_exactly_zero(name):
    logits = np.array([np.inf, -np.inf, 0.3])
    f = objective(lambda x: (x * [1, 2, 3]).sum(axis=1), grad=lambda x: np.ones_like(x))
    grad = estimator(name)(f, Bernoulli(logits), num_samples=16, rng=0).grad
    assert not grad[:2].any()
    assert grad[2] > 0


# -- the registry, and errors -------------------------------------------------------------------


WEIGHTS = np.random.default_rng(8).normal(size=(3, 3, 2))


class Asked:
    """An objective of three variables with two categories, which counts where it is asked."""

    def __init__(self, weights=WEIGHTS):
        self.weights, self.points = weights, 0
        self.objective = objective(self.f, grad=self.grad)

    def f(self, x):
        self.points += len(x)
        each = (x * self.weights).sum(axis=-1)
        return each.sum(axis=-1) + each.prod(axis=-1) ** 2

    def grad(self, x):
        each = (x * self.weights).sum(axis=-1, keepdims=True)
        return self.weights * (1 + 2 * each.prod(axis=-2, keepdims=True) ** 2 / each)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_every_estimator_keeps_the_contract(name):
    """Shapes, types, counts, the key, blocks, masks and examples, on one problem for all."""
    logits = np.random.default_rng(9).normal(size=(3, 3, 2))
    logits[2, 0] = [0.0, -np.inf]
    run, asked = estimator(name), Asked()
    options = {"num_samples": 4, "rng": fg.Key(6)}
    first = run(asked.objective, logits, **options)
    assert first.grad.shape == logits.shape
    assert first.value.shape == (3,)
    assert first.grad.dtype == first.value.dtype == np.float64
    assert np.isfinite(first.grad).all()
    assert np.isfinite(first.value).all()
    np.testing.assert_allclose(first.grad.sum(axis=-1), 0, atol=1e-9)
    assert not first.grad[2, 0].any()
    assert first.grad[:2].any()
    assert first.evaluations == asked.points
    again = run(Asked().objective, logits, block_size=2, **options)
    np.testing.assert_array_equal(again.grad, first.grad)
    np.testing.assert_array_equal(again.value, first.value)

    weights = WEIGHTS * np.array([1, 3, 1])[:, None, None]
    moved = run(Asked(weights).objective, logits, **options)
    np.testing.assert_array_equal(moved.grad[[0, 2]], first.grad[[0, 2]])
    np.testing.assert_array_equal(moved.value[[0, 2]], first.value[[0, 2]])
    assert (moved.grad[1] != first.grad[1]).any()

    if first.state is not None:
        assert all(isinstance(x, np.ndarray) for x in first.state.values())
        after = run(Asked().objective, logits, state=first.state, **options)
        assert after.state.keys() == first.state.keys()


@pytest.mark.parametrize("name", [*ESTIMATORS, *CONTINUOUS])
def test_samples_are_where_f_is_evaluated(name):
    """What `samples` finds among the draws is handed to f: first, but by MuProp after the mean."""
    d, asked, run = Categorical(WEIGHTS[0]), [], estimator(name)
    if name in CONTINUOUS:
        d = fg.continuous.Normal(WEIGHTS[0, :, 0], WEIGHTS[0, :, 1])

    def f(x):
        asked.append(x)
        return x.reshape(len(x), -1).sum(axis=1)

    draws = run.draw(d, 4, fg.Key(2))
    if name == "enumerate":
        with pytest.raises(TypeError, match="enumerate draws no samples"):
            run.samples(d, draws)
        return
    run.ask(objective(f, grad=np.ones_like), d, draws)
    np.testing.assert_array_equal(run.samples(d, draws), asked[name == "muprop"])


def test_estimators_are_values_that_describe_themselves():
    assert list_estimators() == list(ESTIMATORS)
    assert {"rloo", "reinmax", "rebar", "relax", "unordered_set", "carms"} < set(ESTIMATORS)
    for name, cls in ESTIMATORS.items():
        run = estimator(name)
        assert isinstance(run, cls)
        assert run.name == name
        assert isinstance(run.unbiased, bool)
        assert isinstance(run.needs, tuple)
        assert run.paper
        assert "S" in run.evaluations or name == "enumerate"
        assert run == estimator(name)
        assert hash(run) == hash(estimator(name))
        with pytest.raises(dataclasses.FrozenInstanceError):
            run.temperature = 2.0
    assert estimator("gumbel_softmax", temperature=0.5).temperature == 0.5
    assert Estimate._fields[:4] == ("value", "grad", "state", "evaluations")
    assert Estimate._fields[4:] == ("samples", "weights")


@pytest.mark.parametrize("name", CORE)
def test_state_passes_through_what_has_none(name):
    f = objective(lambda x: x[:, 0], grad=lambda x: x)
    assert estimator(name)(f, np.zeros(3), num_samples=2, rng=0).state is None


@pytest.mark.parametrize(
    "name", ["reinforce", "rloo", "double_cv", "rodeo", "rebar", "relax", "pooled", "auto"]
)
@pytest.mark.parametrize("bad", [5, "a", [1], np.zeros(3)])
def test_a_state_that_is_no_dict_is_refused(name, bad):
    options = {"baseline": "moving_average"} if name == "reinforce" else {}
    f = objective(lambda x: x[:, 0], grad=lambda x: np.eye(3)[0] + 0 * x)
    with pytest.raises(TypeError, match="state must be the dict of the last estimate, got"):
        fg.estimator(name, **options)(f, np.zeros(3), num_samples=4, rng=0, state=bad)
    with pytest.raises(TypeError, match="state must be the dict of the last estimate, got"):
        fg.expectation_grad(f, {"z": np.zeros(3)}, num_samples=4, rng=0, state=bad)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("reinforce", {"baseline": "moving_average"}),
        ("reinforce", {"baseline": fg.baselines.LeastSquares(features=np.ones(2))}),
        ("rebar", {"adapt_temperature": True}),
        *((name, {}) for name in ("double_cv", "rodeo", "relax", "pooled")),
    ],
)
def test_each_array_of_a_state_must_hold_numbers_that_are_finite(name, options):
    run = fg.estimator(name, **options)
    f = objective(lambda x: x[:, 0, 0], grad=lambda x: np.eye(6)[0].reshape(2, 3) + 0 * x)
    state = run(f, np.zeros((2, 3)), num_samples=4, rng=0).state
    for part, x in state.items():
        wrong = np.array(x, np.float64)
        for bad in (np.nan, np.inf):
            wrong.flat[-1] = bad
            with pytest.raises(ValueError, match=rf"state\['{part}'\] must be finite, got {bad}"):
                run(f, np.zeros((2, 3)), num_samples=4, rng=1, state=state | {part: wrong})
        for none in (None, "a"):
            with pytest.raises(TypeError, match=rf"state\['{part}'\] must hold numbers, got"):
                run(f, np.zeros((2, 3)), num_samples=4, rng=1, state=state | {part: none})


@pytest.mark.parametrize("name", CORE)
@pytest.mark.parametrize("huge", [1e300, -1e39])
def test_values_that_the_type_of_the_logits_cannot_hold_are_refused(name, huge):
    f = objective(lambda x: np.full(len(x), huge), grad=lambda x: 0 * x)
    with pytest.raises(ValueError, match=r"in float32.*, got -?(1e\+3|inf)"):
        estimator(name)(f, np.zeros(3, np.float32), num_samples=2, rng=0)
    assert np.isfinite(estimator(name)(f, np.zeros(3), num_samples=2, rng=0).value)


def test_a_state_may_come_from_a_file(tmp_path):
    rebar, f = fg.estimator("rebar"), fg.objectives.separable(np.full((2, 3), 0.45))
    state = rebar(f, np.zeros((2, 3)), num_samples=4, rng=0).state
    np.savez(tmp_path / "state.npz", **state)
    with np.load(tmp_path / "state.npz") as kept:
        found = rebar(f, np.zeros((2, 3)), num_samples=4, rng=1, state=kept)
    again = rebar(f, np.zeros((2, 3)), num_samples=4, rng=1, state=state)
    np.testing.assert_array_equal(found.grad, again.grad)


def f_of_first(x):
    return x[:, 0, 0]


@pytest.mark.parametrize("name", ESTIMATORS)
def test_a_variable_needs_no_axis_of_its_own(name):
    logits, weights = np.array([0.3, -0.5]), np.array([1.0, 3.0])
    f = objective(
        lambda x: (x * weights).reshape(len(x), -1).sum(axis=1) ** 2,
        grad=lambda x: 2 * (x * weights).sum(axis=-1, keepdims=True) * weights,
    )
    run = estimator(name)
    alone, one = (run(f, x, num_samples=2, rng=3) for x in (logits, logits[None]))
    assert alone.grad.shape == (2,)
    np.testing.assert_array_equal(alone.grad, one.grad[0])
    np.testing.assert_array_equal(alone.value, one.value)


ERRORS = {
    "one sample": (
        ("rloo", f_of_first, {"num_samples": 1}),
        ValueError,
        "rloo needs at least 2 samples, got num_samples=1",
    ),
    "no samples": (
        ("rloo", f_of_first, {"num_samples": 0}),
        ValueError,
        "num_samples must be from 1 to 16777216, got 0",
    ),
    "samples are not a number": (
        ("rloo", f_of_first, {"num_samples": 2.5}),
        TypeError,
        "num_samples must be an integer, got 2.5",
    ),
    "empty blocks": (
        ("rloo", f_of_first, {"block_size": 0}),
        ValueError,
        "block_size must be at least 1, got 0",
    ),
    "no key": (
        ("rloo", f_of_first, {"rng": None}),
        TypeError,
        "rng must be an int, SeedSequence, Generator or fastgrad.Key, got None",
    ),
    "not a function": (
        ("rloo", 3, {}),
        TypeError,
        "f must be a function or an Objective, got 3",
    ),
    "no gradient": (
        ("gumbel_softmax", f_of_first, {}),
        TypeError,
        "gumbel_softmax needs the gradient of f at relaxed points: fg.objective(f, grad=...)",
    ),
    "no f of relaxed points": (
        ("gumbel_softmax", objective(index=f_of_first, grad=f_of_first), {}),
        TypeError,
        "gumbel_softmax needs the function itself: fg.objective(f, ...)",
    ),
    "wrong values": (
        ("rloo", lambda x: x, {}),
        ValueError,
        "f must return values whose shape is a leading part of (S, *batch) = (4, 2), got (4, 2, 3)",
    ),
    "wrong gradient": (
        ("gumbel_softmax", objective(f_of_first, grad=f_of_first), {}),
        ValueError,
        "the gradient of f must have shape (4, 2, 3), got (4,)",
    ),
    "NaN": (
        ("rloo", lambda x: np.full(len(x), np.nan), {}),
        ValueError,
        "f must be finite, got nan for sample 0",
    ),
    "NaN gradient": (
        ("gumbel_softmax", objective(f_of_first, grad=lambda x: x * np.nan), {}),
        ValueError,
        "the gradient of f must be finite, got nan for sample 0 at (0, 0)",
    ),
    "NaN logits": (
        ("rloo", f_of_first, {"distribution": np.full((2, 3), np.nan)}),
        ValueError,
        "logits must be below infinity, got nan at index (0, 0)",
    ),
}


@pytest.mark.parametrize("case", ERRORS)
def test_bad_input_is_named_in_one_sentence(case):
    (name, f, options), kind, message = ERRORS[case]
    options = {"distribution": np.zeros((2, 3)), "num_samples": 4, "rng": 0} | options
    with pytest.raises(kind) as caught:
        estimator(name)(f, **options)
    assert str(caught.value) == message


def test_nan_in_a_later_block_names_the_sample():
    calls = itertools.count()

    def f(x):
        return np.where(next(calls) == 2, [1.0, np.nan, 1.0], 1.0)

    with pytest.raises(ValueError, match=r"got nan for sample 7$"):
        estimator("rloo")(f, np.zeros((2, 3)), num_samples=9, rng=0, block_size=3)


def test_names_and_options_that_do_not_exist():
    with pytest.raises(ValueError, match=r"name must be one of 'rloo', .*, got 'reinforce_'"):
        estimator("reinforce_")
    with pytest.raises(TypeError, match="rloo has no option 'temperature': it has none"):
        estimator("rloo", temperature=1.0)
    message = "gumbel_softmax has no option 'tau': its options are temperature"
    with pytest.raises(TypeError, match=message):
        estimator("gumbel_softmax", tau=1.0)
    with pytest.raises(ValueError, match="temperature must be a finite number above 0, got 0"):
        estimator("gumbel_softmax", temperature=0)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("name", [n for n in ESTIMATORS if "grad" in ESTIMATORS[n].needs])
@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
def test_a_gradient_that_is_not_finite_is_seen_wherever_it_stands(kind, name, bad):
    """Also where the variable is certain, so that nothing it says counts, and in later blocks."""
    rng = np.random.default_rng(4)
    logits = rng.normal(size=(5, 3))
    logits[2, 1], logits[3] = -np.inf, [0, -np.inf, -np.inf]
    if kind is Bernoulli:
        logits = np.array([0.1, np.inf, -np.inf, 800.0, -2.0])
    run = estimator(name)
    for place in itertools.product(*map(range, logits.shape)):
        sample = 0 if name == "muprop" else int(rng.integers(4))
        handed = itertools.count()

        def grad(x, place=place, sample=sample, handed=handed):
            numbers = [next(handed) % 4 for _ in x] if name != "muprop" else [0]
            if name == "pooled":  # the mean, and relaxations, are asked about besides
                numbers = range(4) if len(x) == 4 else [None]
            g = np.cos(x)
            g[([n == sample for n in numbers], *place)] = bad
            return g

        f = objective(lambda x: np.sin(x).reshape(len(x), -1).sum(axis=1), grad=grad)
        where = ", ".join(map(str, place)) + ("," if len(place) == 1 else "")
        message = rf"the gradient of f must be finite, got {bad} for sample {sample} at \({where}\)"
        with pytest.raises(ValueError, match=message):
            run(f, kind(logits), num_samples=4, rng=0, block_size=2)
