"""Enumeration, of everything and of one variable given the others."""

import itertools

import numpy as np
import pytest
from exact_moments import moments, of_table

import fastgrad as fg
from fastgrad import exact
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators import estimator
from fastgrad.objectives import bernoulli3, linear, objective, separable

RNG = np.random.default_rng(21)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


LOGITS = {
    "two": RNG.normal(size=(3, 2)),
    "three": RNG.normal(size=(2, 3)),
    "five": RNG.normal(size=(2, 5)),
    "four variables": RNG.normal(size=(4, 2)),
    "masked": np.array([[0.3, -np.inf, 0.8], [-np.inf, 0.5, -np.inf]]),
    "near-deterministic": np.array([[30.0, 0.0, -2.0], [0.0, -700.0, 2.0]]),
}


def table_of(logits):
    """A random f, NaN where it must not be asked."""
    table = RNG.normal(size=(logits.shape[1],) * len(logits))
    for i, k in np.argwhere(np.isneginf(logits)):
        np.moveaxis(table, i, 0)[k] = np.nan
    return table


# -- enumerate ----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("case", LOGITS)
def test_enumerate_is_the_exact_gradient(case, dtype):
    logits = LOGITS[case].astype(dtype)
    f = of_table(table_of(logits))
    estimate = estimator("enumerate")(f, logits, num_samples=3, rng=0)
    value, grad = exact.value_and_grad(f, logits)
    assert estimate.grad.dtype == estimate.value.dtype == dtype
    np.testing.assert_array_equal(estimate.grad, grad.astype(dtype))
    np.testing.assert_array_equal(estimate.value, value.astype(dtype))
    outcomes = (logits > -np.inf).sum(axis=1).prod()
    assert estimate.evaluations == 1 + outcomes


def test_enumerate_counts_the_outcomes_of_one_example():
    weights = RNG.normal(size=(5, 2, 3))
    f = objective(lambda x: (x * weights).sum(axis=(2, 3)))
    estimate = estimator("enumerate", budget=9)(f, np.zeros((5, 2, 3)), num_samples=1, rng=0)
    assert estimate.evaluations == 10
    np.testing.assert_allclose(estimate.value, weights.mean(axis=2).sum(axis=1))


def test_enumerate_asks_for_a_known_expectation():
    f = linear(RNG.normal(size=(400, 16)))
    estimate = estimator("enumerate")(f, np.zeros((400, 16)), num_samples=1, rng=0)
    assert estimate.evaluations == 0
    np.testing.assert_allclose(estimate.grad, exact.grad(f, np.zeros((400, 16))))


def test_enumerate_has_no_variance():
    logits = LOGITS["three"]
    f = of_table(table_of(logits))
    mean, covariance = moments(estimator("enumerate"), f, Categorical(logits), 2)
    np.testing.assert_array_equal(mean, exact.grad(f, logits))
    assert not covariance.any()


def test_enumerate_refuses_past_its_budget():
    f = of_table(RNG.normal(size=(3, 3)))
    with pytest.raises(ValueError, match=r"^9 joint outcomes are more than budget=8$"):
        estimator("enumerate", budget=8)(f, np.zeros((2, 3)), num_samples=1, rng=0)
    with pytest.raises(ValueError, match=r"about 10\*\*482 joint outcomes are more than budget="):
        estimator("enumerate")(lambda x: x[:, 0, 0], np.zeros((400, 16)), num_samples=1, rng=0)
    with pytest.raises(ValueError, match="budget must be at least 1, got 0"):
        estimator("enumerate", budget=0)


def test_enumerate_hands_out_read_only_samples():
    def f(x):
        x *= 2
        return x[:, 0]

    with pytest.raises(ValueError, match="read-only"):
        estimator("enumerate")(f, np.zeros(3), num_samples=1, rng=0)


# -- local_expectation --------------------------------------------------------------------------


def neighbours(table, n):
    """The local part of z -> table[z_1, ..., z_n], by its definition."""
    k = table.shape[0]

    def local(z):
        out = np.empty((*z.shape, k))
        for i, c in itertools.product(range(n), range(k)):
            changed = z.copy()
            changed[..., i] = c
            out[..., i, c] = table[tuple(np.moveaxis(changed, -1, 0))]
        return out

    return local


@pytest.mark.parametrize("num_samples", [1, 2])
@pytest.mark.parametrize("case", LOGITS)
def test_local_expectation_is_unbiased(case, num_samples):
    logits = LOGITS[case]
    f = of_table(table_of(logits))
    mean, _ = moments(estimator("local_expectation"), f, Categorical(logits), num_samples)
    np.testing.assert_allclose(mean, exact.grad(f, logits), rtol=1e-12, atol=1e-14)


def test_local_expectation_keeps_the_gradient_of_what_is_nearly_certain():
    """To its own relative accuracy, not that of the likely outcomes."""
    logits = np.array([[40.0, 0.0, -300.0], [0.0, -60.0, 2.0]])
    table = RNG.normal(size=(3, 3))
    mean, _ = moments(estimator("local_expectation"), of_table(table), Categorical(logits), 1)
    p = softmax(logits)
    given = np.stack([table @ p[1], p[0] @ table])
    for i, k in ((0, 1), (0, 2), (1, 1)):
        expected = p[i, k] * (p[i] * (given[i, k] - given[i])).sum()
        assert mean[i, k] == pytest.approx(expected, rel=1e-10)


def test_local_expectation_is_its_formula():
    logits, table = RNG.normal(size=(3, 4)), RNG.normal(size=(4, 4, 4))
    d = Categorical(logits)
    z = d.sample(num_samples=5, rng=1)
    f = neighbours(table, 3)(z).mean(axis=0)
    p = softmax(logits)
    expected = p * (f - (p * f).sum(axis=1, keepdims=True))
    run = estimator("local_expectation")
    estimate = run(of_table(table), logits, num_samples=5, rng=1)
    np.testing.assert_allclose(estimate.grad, expected, rtol=1e-12, atol=1e-14)
    assert estimate.value == pytest.approx(table[tuple(z.T)].mean())
    assert estimate.evaluations == 5 * (1 + 3 * 3)
    local = objective(index=of_table(table).index, local=neighbours(table, 3))
    given = run(local, logits, num_samples=5, rng=1)
    np.testing.assert_allclose(given.grad, expected, rtol=1e-12, atol=1e-14)
    assert given.evaluations == 5


def test_local_expectation_has_the_variance_of_what_is_left_to_chance():
    """Two bits: the covariance of J(p_i) f(z_other, .), from its definition."""
    logits, table = RNG.normal(size=(2, 2)), RNG.normal(size=(2, 2))
    p = softmax(logits)
    slopes = p[:, 0] * p[:, 1]
    first, second = slopes[0] * (table[1] - table[0]), slopes[1] * (table[:, 1] - table[:, 0])
    _, covariance = moments(estimator("local_expectation"), of_table(table), Categorical(logits), 1)
    variance = np.diag(covariance)[1::2]
    for v, g, weight in zip(variance, (first, second), p[::-1], strict=True):
        assert v == pytest.approx(weight @ g**2 - (weight @ g) ** 2, rel=1e-9)
    assert covariance[1, 3] == pytest.approx(0, abs=1e-15)


def test_separable_functions_have_no_variance():
    """f - which is the same with all else changed - up to what f itself adds: a constant."""
    f, logits = separable(RNG.uniform(size=(3, 4))), RNG.normal(size=(3, 4))
    estimate = estimator("local_expectation")(f, logits, num_samples=1, rng=3)
    np.testing.assert_allclose(estimate.grad, exact.grad(f, logits), rtol=1e-10)


def test_one_variable_is_exact():
    estimate = estimator("local_expectation")(bernoulli3(), np.zeros(8), num_samples=2, rng=0)
    np.testing.assert_allclose(estimate.grad, exact.grad(bernoulli3(), np.zeros(8)), atol=1e-15)


@pytest.mark.parametrize("points", [1, 2, 5, 1000])
def test_points_bound_what_f_is_handed(points):
    logits, weights, sizes = RNG.normal(size=(4, 3, 5)), RNG.normal(size=(4, 3, 5)), []
    logits[0, 1, 2] = logits[2, :, :4] = -np.inf

    def f(x):
        sizes.append(len(x))
        return np.sin((x * weights).sum(axis=(2, 3)))

    run = estimator("local_expectation")
    whole = run(f, logits, num_samples=6, rng=4)
    assert sizes == [6, 6 * 3 * 4]
    sizes.clear()
    bounded = estimator("local_expectation", points=points)
    estimate = bounded(f, logits, num_samples=6, rng=4)
    assert max(sizes[1:]) == min(points, 72)
    assert sum(sizes) == estimate.evaluations == 6 + 72
    np.testing.assert_array_equal(estimate.grad, whole.grad)
    blocks = bounded(f, logits, num_samples=6, rng=4, block_size=4)
    np.testing.assert_array_equal(blocks.grad, whole.grad)
    np.testing.assert_array_equal(blocks.value, whole.value)
    assert not whole.grad[2].any()


def test_examples_are_changed_side_by_side_and_do_not_mix():
    logits, scale = RNG.normal(size=(4, 3, 5)), np.ones(4)
    logits[0, 1, 2] = -np.inf
    weights = RNG.normal(size=(4, 3, 5))

    def f(x):
        return np.sin((x * weights).sum(axis=(2, 3)) * scale)

    run = estimator("local_expectation")
    before = run(f, logits, num_samples=2, rng=4)
    alone = run(
        lambda x: f(np.broadcast_to(x[:, None], (len(x), 4, 3, 5)))[:, 0],
        logits[0],
        num_samples=2,
        rng=4,
    )
    assert before.evaluations == 2 * (1 + 3 * 4)
    assert alone.evaluations == 2 * (1 + 3 * 4 - 1)  # one category is masked
    scale[1], logits[1, 0] = 3.0, [0, 0, 9, 0, -np.inf]
    after = run(f, logits, num_samples=2, rng=4)
    np.testing.assert_array_equal(after.grad[[0, 2, 3]], before.grad[[0, 2, 3]])
    assert (after.grad[1] != before.grad[1]).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_bernoulli_variables(dtype):
    logits = np.array([0.3, -1.0, 2.0, np.inf, -np.inf], dtype)
    table = RNG.normal(size=(2,) * 5)
    table[..., 0, :], table[..., 1] = np.nan, np.nan
    f, d = of_table(table), Bernoulli(logits)
    tolerance = {"rtol": 0, "atol": 1e-6 if dtype == np.float32 else 1e-14}
    for name in ("enumerate", "local_expectation"):
        estimate = estimator(name)(f, d, num_samples=2, rng=0)
        assert estimate.grad.dtype == dtype
        assert not estimate.grad[3:].any()
        mean, _ = moments(estimator(name), f, d, 1)
        np.testing.assert_allclose(mean, exact.grad(f, d), **tolerance)


def test_local_expectation_draws_have_the_exact_mean():
    """A false alarm in 4e-8 for each of six numbers."""
    logits, table = np.tile(LOGITS["three"], (20_000, 1, 1)), RNG.normal(size=(3, 3))
    grad = estimator("local_expectation")(of_table(table), logits, num_samples=2, rng=11).grad
    error = grad.mean(axis=0) - exact.grad(of_table(table), logits[0])
    assert (np.abs(error) < 5.5 * grad.std(axis=0) / np.sqrt(len(grad))).all()


def test_no_variables():
    for name in ("enumerate", "local_expectation"):
        estimate = estimator(name)(
            lambda x: x.sum(axis=(1, 2)) + 2, np.zeros((0, 3)), num_samples=2, rng=0
        )
        assert estimate.grad.shape == (0, 3)
        assert estimate.value == 2


def test_errors():
    run = estimator("local_expectation")
    with pytest.raises(ValueError, match="points must be at least 1, got 0"):
        estimator("local_expectation", points=0)
    bad = objective(index=lambda z: z[:, 0] * 1.0, local=lambda z: np.zeros((2, 2)))
    with pytest.raises(ValueError, match=r"local must have shape \(4, 2, 3\), got \(2, 2\)"):
        run(bad, np.zeros((2, 3)), num_samples=4, rng=0)
    nan = objective(index=lambda z: z[:, 0] * 1.0, local=lambda z: np.full((*z.shape, 3), np.nan))
    with pytest.raises(ValueError, match=r"local must be finite, got nan for sample 0 at \(0, 0\)"):
        run(nan, np.zeros((2, 3)), num_samples=4, rng=0)
    with pytest.raises(ValueError, match="f must return values whose shape is a leading part"):
        run(lambda x: x, fg.Categorical(np.zeros((2, 3))), num_samples=4, rng=0)
