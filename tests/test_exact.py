"""Enumeration against plain loops."""

import itertools

import numpy as np
import pytest

from fastgrad import exact
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.objectives import linear, objective

RNG = np.random.default_rng(6)


def softmax(x):
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def loop(table, logits):
    """E[table[z]] and its gradient for one example with variables logits (n, K), term by term."""
    p = softmax(logits)
    n, k = p.shape
    value, grad = 0.0, np.zeros((n, k))
    for z in itertools.product(range(k), repeat=n):
        weight = np.prod([p[i, z[i]] for i in range(n)])
        value += weight * table[z]
        for i in range(n):
            grad[i] += weight * table[z] * (np.eye(k)[z[i]] - p[i])
    return value, grad


def of_table(table):
    """The objective z -> table[z_1, ..., z_n]."""
    return objective(index=lambda z: table[tuple(np.moveaxis(z, -1, 0))])


@pytest.mark.parametrize(("n", "k"), [(1, 1), (1, 5), (2, 3), (3, 4), (4, 2)])
def test_equals_a_plain_loop(n, k):
    table, logits = RNG.normal(size=(k,) * n), RNG.normal(size=(n, k))
    expected = loop(table, logits)
    value, grad = exact.value_and_grad(of_table(table), logits)
    assert value.dtype == grad.dtype == np.float64
    np.testing.assert_allclose(value, expected[0], rtol=1e-12, atol=1e-15)
    np.testing.assert_allclose(grad, expected[1], rtol=1e-11, atol=1e-14)
    assert exact.value(of_table(table), logits) == value
    np.testing.assert_array_equal(exact.grad(of_table(table), logits), grad)


def test_masked_outcomes_are_left_out():
    logits = np.array([[0.5, -np.inf, 1.0], [-np.inf, 2.0, -np.inf]])
    table = RNG.normal(size=(3, 3))
    expected = loop(table, logits)
    poisoned = table.copy()
    poisoned[1], poisoned[:, [0, 2]] = np.nan, np.nan
    value, grad = exact.value_and_grad(of_table(poisoned), logits, budget=2)
    np.testing.assert_allclose(value, expected[0], rtol=1e-13)
    np.testing.assert_allclose(grad, expected[1], rtol=1e-12, atol=1e-15)
    assert (grad[np.isinf(logits)] == 0).all()


def test_examples_are_enumerated_side_by_side():
    """With one value for each of 5 examples, 9 outcomes, or fewer, are enough, not 9**5."""
    logits = RNG.normal(size=(5, 2, 3))
    logits[1, 0, 2] = logits[3, :, 0] = -np.inf
    tables = RNG.normal(size=(5, 3, 3))
    f = objective(index=lambda z: tables[np.arange(5), z[..., 0], z[..., 1]])
    value, grad = exact.value_and_grad(f, logits, budget=9)
    assert value.shape == (5,)
    for b in range(5):
        expected = loop(tables[b], logits[b])
        np.testing.assert_allclose(value[b], expected[0], rtol=1e-12)
        np.testing.assert_allclose(grad[b], expected[1], rtol=1e-11, atol=1e-14)


def test_two_axes_of_examples():
    logits = RNG.normal(size=(2, 3, 4))
    weights = RNG.normal(size=(2, 3, 4))
    value, grad = exact.value_and_grad(lambda x: (x * weights).sum(axis=-1), logits, budget=4)
    p = softmax(logits)
    np.testing.assert_allclose(value, (p * weights).sum(axis=-1), rtol=1e-12)
    mean = (p * weights).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(grad, p * (weights - mean), rtol=1e-10, atol=1e-14)


def test_blocks_do_not_matter(monkeypatch):
    table, logits = RNG.normal(size=(3, 3, 3)), RNG.normal(size=(3, 3))
    whole = exact.value_and_grad(of_table(table), logits)
    monkeypatch.setattr(exact, "BLOCK", 7 * logits.size)
    sizes = []

    def f(z):
        sizes.append(len(z))
        return table[tuple(np.moveaxis(z, -1, 0))]

    value, grad = exact.value_and_grad(objective(index=f), logits)
    assert sizes == [1, 7, 7, 7, 6]
    np.testing.assert_allclose(value, whole[0], rtol=1e-14)
    np.testing.assert_allclose(grad, whole[1], rtol=1e-13, atol=1e-16)


def test_gradient_is_the_slope_of_the_value():
    table, logits = RNG.normal(size=(4, 4)), RNG.normal(size=(2, 4))
    grad, h = exact.grad(of_table(table), logits), 1e-5
    for where in np.ndindex(2, 4):
        step = np.zeros((2, 4))
        step[where] = h
        up, down = (exact.value(of_table(table), logits + s) for s in (step, -step))
        assert grad[where] == pytest.approx((up - down) / (2 * h), abs=1e-9)


def test_float32_logits_are_taken_as_they_are():
    logits = RNG.normal(size=(2, 3)).astype(np.float32)
    table = RNG.normal(size=(3, 3))
    value, grad = exact.value_and_grad(of_table(table), logits)
    assert grad.dtype == np.float64
    np.testing.assert_allclose(value, loop(table, logits.astype(float))[0], rtol=1e-12)


def test_a_large_constant_costs_no_accuracy():
    table, logits = RNG.normal(size=(3, 3)), RNG.normal(size=(2, 3))
    grad = exact.grad(of_table(np.round(table * 64) / 64 + 2.0**30), logits)
    expected = exact.grad(of_table(np.round(table * 64) / 64), logits)
    np.testing.assert_allclose(grad, expected, rtol=1e-11, atol=1e-14)


def test_the_closed_form_is_used_and_in_float64():
    value, grad = exact.value_and_grad(linear(np.ones((300, 3))), np.zeros((300, 3), np.float32))
    assert grad.dtype == np.float64
    assert value == pytest.approx(300)


@pytest.mark.parametrize("logits", [[0.3, -1.0, 2.0], [np.inf, -1.0, -np.inf]])
def test_bernoulli_variables(logits):
    """The same as two categories with logits 0 and phi, of which the second is the 1."""
    logits = np.array(logits)
    table = RNG.normal(size=(2, 2, 2))
    pairs = np.stack([np.zeros(3), logits], axis=-1)
    pairs[np.isposinf(logits)] = [-np.inf, 0]
    expected = exact.value_and_grad(of_table(table), pairs)
    allowed = 2 ** np.isfinite(logits).sum()
    value, grad = exact.value_and_grad(of_table(table), Bernoulli(logits), budget=int(allowed))
    np.testing.assert_allclose(value, expected[0], rtol=1e-12)
    np.testing.assert_allclose(grad, expected[1][:, 1], rtol=1e-11, atol=1e-15)
    assert grad.shape == (3,)


def test_no_variables():
    value, grad = exact.value_and_grad(lambda x: x.sum(axis=(1, 2)) + 3, np.zeros((0, 4)))
    assert value == 3
    assert grad.shape == (0, 4)


def test_the_budget_names_the_number_of_outcomes():
    with pytest.raises(ValueError, match=r"^81 joint outcomes are more than budget=80$"):
        exact.value(lambda x: x[:, 0, 0], np.zeros((4, 3)), budget=80)
    with pytest.raises(ValueError, match=r"about 10\*\*4932 joint outcomes are more than budget="):
        exact.value(lambda x: x[:, 0, 0], np.zeros((4096, 16)))


def test_errors():
    with pytest.raises(TypeError, match="budget must be an integer"):
        exact.value(lambda x: x, np.zeros(2), budget=1e6)
    with pytest.raises(ValueError, match="f must return values"):
        exact.value(lambda x: x, np.zeros(2))
    with pytest.raises(ValueError, match="f must be finite, got nan for sample"):
        exact.value(objective(index=lambda z: np.where(z == 1, np.nan, 1.0)), np.zeros(2))
    with pytest.raises(ValueError, match="logits must be below infinity"):
        exact.value(lambda x: x[:, 0], np.array([np.nan, 0.0]))
