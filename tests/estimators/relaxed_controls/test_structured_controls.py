"""REBAR and RELAX of orders: their sums by the formula, what they learn from, and that it pays."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control
from fastgrad.estimators.relaxed_controls.structured_controls import StructuredControls
from fastgrad.estimators.relaxed_controls.structured_pairs import draw_structured

D = fg.permutation.PlackettLuce(np.array([[0.3, -1.0, 0.8, 0.1], [0.0, 0.5, -0.5, 1.0]]), 3)
COST = np.random.default_rng(0).normal(size=(3, 4))
SCALE = 0.7


def smooth(x):
    return np.exp((x * COST).sum(axis=(-2, -1)) / 2)


OBJECTIVE = fg.objective(smooth, grad=lambda x: smooth(x)[..., None, None] * COST / 2)


def sample(coupled, seed=0, samples=1):
    """Draws, f, and a control variate that is not made of f."""
    z, (pair,) = draw_structured(D, (0.6,), samples, fg.Key(seed), coupled=coupled)
    rng = np.random.default_rng(seed)
    f, c = rng.normal(size=(2, samples, 2))
    r, q = rng.normal(size=(2, samples, 2, 3, 4))
    return z, pair, f, Control(c, r, r if coupled else q)


def total(z, pair, f, control):
    """The sum over samples of the estimate, (2, 4)."""
    sums = StructuredControls(D)
    sums.add(z, pair, SCALE, f, control)
    return sums.total


@pytest.mark.parametrize("coupled", [True, False])
def test_coupled_relaxations_are_one(coupled):
    z, pair, _, _ = sample(coupled, samples=5)
    assert pair.coupled == coupled
    np.testing.assert_array_equal(D.order(pair.given), z)
    np.testing.assert_array_equal(pair.relaxed.argmax(axis=-1), z)
    np.testing.assert_array_equal(pair.conditional.argmax(axis=-1), z)


@pytest.mark.parametrize("coupled", [True, False])
def test_sums_are_the_formula(coupled):
    z, pair, f, control = sample(coupled, samples=3)
    score = D.score(z)
    jr = D.soften_vjp(pair.perturbed, pair.relaxed, 0.6, control.relaxed_gradient)
    jq = D.soften_vjp(pair.given, pair.conditional, 0.6, control.conditional_gradient)
    h = control.signal[..., None] * score - (jr - D.conditional_vjp(z, pair.given, jq))
    g = f[..., None] * score - SCALE * h
    np.testing.assert_allclose(total(z, pair, f, control), g.sum(axis=0), rtol=1e-12)
    sums = StructuredControls(D, products=True)
    sums.add(z, pair, SCALE, f, control)
    expected = [(a * b).sum(axis=(0, 2)) for a, b in ((g, h), (h, h), (g, g))]
    np.testing.assert_allclose(sums.pooled((2,)), expected, rtol=1e-12)


@pytest.mark.parametrize("coupled", [True, False])
def test_directions_differentiate_the_square(coupled):
    """g . g is a quadratic function of the control variate: its central difference is exact."""
    z, pair, f, control = sample(coupled, seed=1)
    _, _, _, change = sample(coupled, seed=2)
    along = StructuredControls(D).add(z, pair, 1.0, f, control, directions=True)
    options = {"directions": True, "difference": True}
    at_once = StructuredControls(D).add(z, pair, 1.0, f, control, **options)
    np.testing.assert_array_equal(at_once.relaxed, along.relaxed - along.conditional)
    dc, dr, dq = change
    found = -(dc * along.score).sum()
    found += (dr * along.relaxed).sum() - (dq * along.conditional).sum()

    def square(step):
        sums = StructuredControls(D)
        moved = Control(*(a + step * b for a, b in zip(control, change)))
        sums.add(z, pair, 1.0, f, moved)
        return (sums.total**2).sum()

    np.testing.assert_allclose(2 * found, (square(0.5) - square(-0.5)), rtol=1e-9)


def test_rebar_varies_less_than_the_score_with_a_baseline():
    """By two fifths and more, at equal samples and without having learned anything."""
    one = D.with_logits(D.logits[0])
    score = fg.moments("rloo", OBJECTIVE, one, num_samples=2)
    rebar = fg.moments("rebar", OBJECTIVE, one, num_samples=2, rng=0, draws=2000)
    assert rebar.variance.sum() < 0.6 * score.variance.sum()
    error = 5.5 * rebar.standard_error
    assert (abs(rebar.mean - fg.exact.grad(OBJECTIVE, one)) < error).all()


def test_they_learn_from_call_to_call():
    for name, kept in (("rebar", "scale"), ("relax", "weights")):
        run, state = fg.estimator(name), None
        for step in range(3):
            found = run(OBJECTIVE, D, num_samples=4, rng=step, state=state)
            state = found.state
        assert state[kept].shape[0] == 2  # one for each example
        assert np.isfinite(found.grad).all()
    adaptive = fg.estimator("rebar", adapt_temperature=True)
    found = adaptive(OBJECTIVE, D, num_samples=4, rng=0)
    assert found.state["temperature"].shape == (2,)
