"""The closed forms of stock objectives."""

import numpy as np
import pytest

from fastgrad import exact
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.objectives import bernoulli3, linear, objective, separable

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(2, 3, 4))


def enumerated(f):
    """The same function, ignorant of its own expectation."""
    return objective(f.f)


# -- stock objectives --------------------------------------------------------------------------

STOCK = {
    "linear": linear(RNG.normal(size=(2, 3))),
    "separable": separable(RNG.uniform(size=(2, 3))),
    "weighted": separable(RNG.uniform(size=(2, 3)), weights=RNG.normal(size=(2, 3)), power=1.5),
}
LOGITS_2_3 = np.array([[0.3, -1.0, 2.0], [0.0, -np.inf, 30.0]])


@pytest.mark.parametrize("name", STOCK)
@pytest.mark.parametrize("kind", [Categorical, Bernoulli])
def test_closed_form_is_the_enumeration(name, kind):
    value, grad = exact.value_and_grad(STOCK[name], kind(LOGITS_2_3))
    slow_value, slow_grad = exact.value_and_grad(enumerated(STOCK[name]), kind(LOGITS_2_3))
    np.testing.assert_allclose(value, slow_value, rtol=1e-13)
    np.testing.assert_allclose(grad, slow_grad, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", STOCK)
def test_gradient_at_relaxed_points(name):
    f = STOCK[name]
    x = RNG.dirichlet(np.ones(3), (4, 2))
    h = 1e-6
    for where in np.ndindex(2, 3):
        step = np.zeros((2, 3))
        step[where] = h
        slope = (f.f(x + step) - f.f(x - step)) / (2 * h)
        np.testing.assert_allclose(f.grad(x)[(slice(None), *where)], slope, rtol=1e-6, atol=1e-9)


def test_bernoulli3_has_the_numbers_of_the_literature():
    f = bernoulli3()
    table = f.f(np.eye(8))
    np.testing.assert_allclose(table[[0, 7]], [0.8505, 0.6705], rtol=1e-12)
    np.testing.assert_allclose(table[4], 0.4**2 + 0.51**2 + 0.48**2)
    bits = np.array([bin(k).count("1") for k in range(8)])
    assert exact.grad(f, np.zeros(8)) @ bits == pytest.approx(-0.045, rel=1e-12)


def test_separable_has_the_numbers_of_the_literature():
    assert exact.grad(separable([0.45]), Bernoulli([0.0])) == pytest.approx(0.025, rel=1e-12)
    grad = exact.grad(separable(np.full(200, 0.499)), Bernoulli(np.zeros(200)))
    np.testing.assert_allclose(grad, 2.5e-6, rtol=1e-9)
    second = np.tile([0.0, 1 / 200], (200, 1))
    grad = exact.grad(separable(np.full((200, 2), 0.499), weights=second), np.zeros((200, 2)))
    np.testing.assert_allclose(grad[:, 1], 2.5e-6, rtol=1e-9)
    first = separable([0.45, 0.45], weights=[1.0, 0.0])
    assert exact.grad(first, np.array([1.0, 0.0]))[0] == pytest.approx(0.019661, abs=5e-7)
    first = separable([0.45, 0.45], weights=[1.0, 0.0], power=1.5)
    assert exact.grad(first, np.array([1.0, 0.0]))[0] == pytest.approx(0.020845, abs=5e-7)


def test_stock_objectives_refuse_what_does_not_fit():
    f = linear(np.ones(3))
    message = r"logits must have the objective's shape \(3,\), got \(2,\)"
    with pytest.raises(ValueError, match=message):
        exact.value(f, np.zeros(2))
    with pytest.raises(ValueError, match=message):
        f.f(np.ones((5, 2)))
    with pytest.raises(ValueError, match=r"weights must have shape \(3,\), got \(2,\)"):
        separable(np.ones(3), weights=np.ones(2))
    with pytest.raises(ValueError, match=r"power must be at least 1, got 0\.5"):
        separable(np.ones(3), power=0.5)
    with pytest.raises(ValueError, match=r"target must have shape \(3,\), got \(2,\)"):
        bernoulli3((0.5, 0.5))
