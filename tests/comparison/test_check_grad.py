"""Objectives that are right agree with themselves; each part that is wrong is found and named."""

import dataclasses

import numpy as np
import pytest
from structures import STRUCTURES, objective_of

import fastgrad as fg

RNG = np.random.default_rng(4)
W = RNG.normal(size=(3, 4))
LOGITS = RNG.normal(size=(5, 3, 4))


def value(x):
    """One value for each example, of three variables that interact."""
    return np.sin((x * W).sum((-2, -1))) + (x[..., 0] ** 2).sum(-1)


def grad(x):
    g = np.cos((x * W).sum((-2, -1)))[..., None, None] * W
    g[..., 0] += 2 * x[..., 0]
    return g


def index(z):
    return value(np.eye(4)[z])


def local(z):
    out = np.empty((*z.shape, 4))
    for v in range(3):
        for k in range(4):
            changed = z.copy()
            changed[..., v] = k
            out[..., v, k] = index(changed)
    return out


def expectation(d):
    return fg.exact.value_and_grad(value, d)


RIGHT = fg.objective(
    value,
    grad=grad,
    index=index,
    local=local,
    expectation=expectation,
    value_and_grad=lambda x: (value(x), grad(x)),
)
PARTS = {"samples", "examples", "index", "local", "grad", "value_and_grad", "expectation"}


def test_an_objective_that_is_right_agrees():
    found = fg.check_grad(RIGHT, LOGITS)
    assert found.agrees, str(found)
    assert set(found.errors) == PARTS
    assert found.tolerance == 1e-6


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"grad": lambda x: 1.001 * grad(x)}, "grad"),
        ({"grad": lambda x: grad(x) + 0.01 * np.eye(4)[1]}, "grad"),
        ({"index": lambda z: index((z + 1) % 4)}, "index"),
        ({"local": lambda z: np.roll(local(z), 1, axis=-1)}, "local"),
        ({"expectation": lambda d: (expectation(d)[0], 2 * expectation(d)[1])}, "expectation"),
        ({"value_and_grad": lambda x: (value(x) + 1, grad(x))}, "value_and_grad"),
    ],
)
def test_a_part_that_is_wrong_is_named(change, part):
    plain = dataclasses.replace(RIGHT, value_and_grad=None) if part == "grad" else RIGHT
    found = fg.check_grad(dataclasses.replace(plain, **change), LOGITS)
    assert not found.agrees
    assert found.errors[part] > found.tolerance
    assert f"{part}" in str(found)
    assert "DIFFERS" in str(found)


def test_the_place_of_an_error_is_told():
    def wrong(x):
        g = grad(x)
        g[:, 3, 1] *= -1
        return g

    found = fg.check_grad(dataclasses.replace(RIGHT, grad=wrong, value_and_grad=None), LOGITS)
    lines = str(found).splitlines()
    (line,) = (line for line in lines if line.startswith("grad"))
    assert "variable 10," in line or "all variables" in line
    assert [name for name, error in found.errors.items() if error > 1e-6] == ["grad"]


def test_what_is_orthogonal_to_probabilities_does_not_count():
    """A constant added to the gradient of a variable changes no estimate."""
    shifted = dataclasses.replace(RIGHT, grad=lambda x: grad(x) + 7.0, value_and_grad=None)
    assert fg.check_grad(shifted, LOGITS).agrees


def test_samples_that_depend_on_each_other_are_found():
    found = fg.check_grad(lambda x: (x * W).sum((1, 2)) - (x * W).sum((1, 2)).mean(), LOGITS[0])
    assert found.errors["samples"] > 1e-3


def test_examples_that_depend_on_each_other_are_found():
    found = fg.check_grad(lambda x: value(x) - value(x).mean(axis=1, keepdims=True), LOGITS)
    assert found.errors["examples"] > 1e-3


def test_credit():
    def f(z, factor=1.0):
        terms = W[np.arange(3), z]
        pairs = z[..., 0] * z[..., 1] * 0.3
        both = np.stack([pairs, pairs, 0 * pairs], axis=-1)
        return terms.sum(-1) + pairs, terms + factor * both

    assert fg.check_grad(fg.objective(index=f), LOGITS).agrees
    found = fg.check_grad(fg.objective(index=lambda z: f(z, 0.9)), LOGITS)
    assert found.errors["credit"] > found.tolerance
    assert "variable" in found.where["credit"]


def test_bernoulli_and_masked_categories():
    b = fg.Bernoulli(RNG.normal(size=6))
    w = RNG.normal(size=6)
    f = fg.objective(
        lambda x: np.tanh(x @ w), grad=lambda x: (1 - np.tanh(x @ w)[:, None] ** 2) * w
    )
    assert fg.check_grad(f, b).agrees
    half = dataclasses.replace(f, grad=lambda x: f.grad(x) / 2)
    assert fg.check_grad(half, b).errors["grad"] == pytest.approx(0.5, rel=1e-3)
    logits = LOGITS.copy()
    logits[1, 2, 3] = logits[4, 0, :3] = -np.inf
    assert fg.check_grad(RIGHT, logits).agrees


def test_f_in_single_precision_has_a_tolerance_of_its_own():
    single = fg.objective(
        lambda x: value(x).astype(np.float32), grad=lambda x: grad(x).astype(np.float32)
    )
    found = fg.check_grad(single, LOGITS)
    assert found.tolerance == 1e-3
    assert found.agrees, str(found)


def test_a_large_offset_is_no_error():
    f = fg.objective(lambda x: value(x) + 1e6, grad=grad)
    assert fg.check_grad(f, LOGITS).agrees


def test_too_many_outcomes_are_not_summed():
    assert "expectation" not in fg.check_grad(RIGHT, LOGITS, budget=10).errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_points": 1}, "num_points must be"),
        ({"tolerance": -1.0}, "tolerance must be"),
        ({"budget": 0}, "budget must be"),
    ],
)
def test_bad_arguments_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        fg.check_grad(RIGHT, LOGITS, **options)


def test_nothing_to_check():
    found = fg.check_grad(lambda x: x.sum((1, 2)), np.zeros((0, 3)))
    assert found.agrees


@pytest.mark.parametrize("name", STRUCTURES)
def test_gradients_of_structures_are_compared(name):
    """At features of their shape, which need not be that of the logits."""
    d = STRUCTURES[name]
    f = objective_of(d)
    check = fg.check_grad(f, d)
    assert check.agrees
    assert "grad" in check.errors
    wrong = dataclasses.replace(f, grad=lambda x: 2 * f.grad(x))
    assert not fg.check_grad(wrong, d).agrees
