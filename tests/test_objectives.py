"""What an f may be, what it is shown, and the stock objectives' closed forms."""

import numpy as np
import pytest

from fastgrad import exact
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical
from fastgrad.objectives import Objective, as_objective, bernoulli3, linear, objective, separable

RNG = np.random.default_rng(5)
LOGITS = RNG.normal(size=(2, 3, 4))
Z = RNG.integers(0, 4, (5, 2, 3)).astype(np.int32)


def enumerated(f):
    """The same function, ignorant of its own expectation."""
    return objective(f.f)


def test_a_plain_function_sees_one_hot_samples():
    seen = []

    def f(x):
        seen.append(x)
        return x[..., 0].sum(axis=(1, 2))

    values = as_objective(f).outcomes(Categorical(LOGITS.astype(np.float32)), Z)
    np.testing.assert_array_equal(values.value, (Z == 0).sum(axis=(1, 2)))
    assert values.credit is None
    (x,) = seen
    assert x.dtype == np.float32
    np.testing.assert_array_equal(x, np.eye(4, dtype=np.float32)[Z])


@pytest.mark.parametrize("k", [1, 2, 700])
def test_one_hot_of_any_width(k):
    z = RNG.integers(0, k, (3, 50)).astype(np.int32)
    f = as_objective(lambda x: (x.argmax(axis=-1) == z).all(axis=1) & (x.sum(axis=(1, 2)) == 50))
    assert f.outcomes(Categorical(np.zeros((50, k))), z).value.all()


def test_with_index_no_one_hot_array_is_made():
    def f(x):
        raise AssertionError("called")

    values = objective(f, index=lambda z: z.sum(axis=(1, 2))).outcomes(Categorical(LOGITS), Z)
    np.testing.assert_array_equal(values.value, Z.sum(axis=(1, 2)))


@pytest.mark.parametrize("shape", [(5,), (5, 2), (5, 2, 3)])
def test_values_are_a_leading_part_of_the_samples(shape):
    values = as_objective(lambda x: np.ones(shape)).outcomes(Categorical(LOGITS), Z)
    assert values.value.shape == shape


@pytest.mark.parametrize("shape", [(), (1,), (5, 3), (2,), (5, 2, 3, 4), (4,)])
def test_values_of_another_shape_are_refused(shape):
    f = as_objective(lambda x: np.ones(shape))
    with pytest.raises(ValueError, match=r"f must return values .* = \(5, 2, 3\), got \("):
        f.outcomes(Categorical(LOGITS), Z)


def test_values_of_another_kind_are_refused():
    with pytest.raises(TypeError, match="value of f must be float32 or float64, got dtype complex"):
        as_objective(lambda x: np.ones(5, complex)).outcomes(Categorical(LOGITS), Z)


def test_credit_has_the_shape_of_the_samples():
    credit = RNG.normal(size=Z.shape)
    values = as_objective(lambda x: (np.ones(5), credit)).outcomes(Categorical(LOGITS), Z)
    np.testing.assert_array_equal(values.credit, credit)
    with pytest.raises(ValueError, match=r"credit must have shape \(5, 2, 3\), got \(5, 2\)"):
        as_objective(lambda x: (np.ones(5), credit[..., 0])).outcomes(Categorical(LOGITS), Z)


def test_only_a_pair_of_value_and_credit_is_understood():
    with pytest.raises(ValueError, match=r"f must return values or \(values, credit\), got 3"):
        as_objective(lambda x: (1, 2, 3)).outcomes(Categorical(LOGITS), Z)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_traced_to_its_sample(bad):
    value, credit = np.ones((5, 2)), np.ones(Z.shape)
    value[3, 1] = credit[2, 0, 1] = bad
    f = as_objective(lambda x: value)
    with pytest.raises(ValueError, match=rf"f must be finite, got {bad} for sample 3 at \(1,\)"):
        f.outcomes(Categorical(LOGITS), Z)
    with pytest.raises(ValueError, match="for sample 13 at"):
        f.outcomes(Categorical(LOGITS), Z, offset=10)
    f = as_objective(lambda x: (value[:, 0], credit))
    with pytest.raises(ValueError, match=rf"credit must be finite, got {bad} for sample 2 at"):
        f.outcomes(Categorical(LOGITS), Z)


def test_a_large_value_is_no_error():
    f = as_objective(lambda x: np.full(5, 3e38, np.float32))
    assert f.outcomes(Categorical(LOGITS), Z).value[0] > 1e38


def test_the_gradient_is_checked():
    x = np.ones((5, 2, 3, 4), np.float32)
    f = objective(lambda x: x, grad=lambda x: 2.0 * x)
    assert f.gradient(x).dtype == np.float32
    with pytest.raises(ValueError, match="the gradient of f must have shape"):
        objective(lambda x: x, grad=lambda x: x[0]).gradient(x)
    with pytest.raises(ValueError, match="the gradient of f must be finite, got nan for sample 7"):
        objective(lambda x: x, grad=lambda x: x * np.nan).gradient(x, offset=7)


def test_neighbours_are_checked():
    f = objective(lambda x: x, local=lambda z: np.ones((*z.shape, 4)))
    assert f.neighbours(Categorical(LOGITS), Z).shape == (5, 2, 3, 4)
    with pytest.raises(ValueError, match=r"local must have shape \(5, 2, 3, 4\), got \(5, 2, 3\)"):
        objective(lambda x: x, local=lambda z: z * 1.0).neighbours(Categorical(LOGITS), Z)


def test_parts_must_be_functions():
    with pytest.raises(TypeError, match=r"grad must be callable, got array"):
        objective(lambda x: x, grad=np.ones(2))
    with pytest.raises(TypeError, match="must have f or index, got neither"):
        objective(grad=lambda x: x)
    with pytest.raises(TypeError, match="f must be a function or an Objective, got 3"):
        as_objective(3)


def test_what_is_missing_is_named():
    with pytest.raises(TypeError, match=r"rebar needs the gradient of f .* fg.objective\(f, grad="):
        objective(lambda x: x).require("rebar", ("f", "grad"))


def test_an_objective_stays_itself():
    f = Objective(lambda x: x)
    assert as_objective(f) is f


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
