"""I-MLE where the answer is known, and what adapts its step."""

import numpy as np
import pytest
from strategies import DTYPES

import fastgrad as fg
from fastgrad.perturbed.imle import Adaptation, aimle_vjp, imle_vjp
from fastgrad.perturbed.losses import fenchel_young
from fastgrad.perturbed.solve import solve

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_symmetric = pytest.mark.parametrize("symmetric", [False, True])
INF = np.inf


def identity(theta):
    return theta


def one_hot(theta):
    return np.eye(theta.shape[-1])[theta.argmax(axis=-1)]


@by_dtype
@by_symmetric
@pytest.mark.parametrize("step", [0.5, 4.0])
def test_identity_gives_the_cotangent(step, symmetric, dtype):
    theta = np.array([[0.3, -1.0, 0.5], [2.0, 0.0, 1.0]], dtype)
    r = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(dtype)
    got = imle_vjp(identity, theta, r, step=step, rng=1, symmetric=symmetric)
    assert got.dtype == dtype
    np.testing.assert_allclose(got, r.sum(axis=0), rtol=0, atol=100 * np.finfo(dtype).eps)
    adapted, _ = aimle_vjp(identity, theta, r, rng=1, symmetric=symmetric)
    np.testing.assert_allclose(adapted, r.sum(axis=0), rtol=0, atol=100 * np.finfo(dtype).eps)


@by_symmetric
def test_symmetric_linear_maps_are_exact(symmetric):
    a = np.random.default_rng(2).normal(size=(4, 4))
    a = a + a.T
    theta, r = np.random.default_rng(3).normal(size=(2, 4))
    options = {"rng": 4, "symmetric": symmetric, "noise": "normal"}
    got = imle_vjp(lambda t: t @ a, theta, r, step=0.7, **options)
    np.testing.assert_allclose(got, a @ r, rtol=1e-10)
    got, _ = aimle_vjp(lambda t: t @ a, theta, r, **options)
    np.testing.assert_allclose(got, a @ r, rtol=1e-10)


def test_the_mean_is_the_difference_of_softmaxes():
    """Under Gumbel noise, argmax has a softmax as its mean: within 6 standard errors."""
    theta, r, step, n = np.array([0.5, -0.2, 0.0]), np.array([1.0, -1.0, 0.3]), 0.8, 40_000

    def p(t):
        return np.exp(fg.log_softmax(t))

    every = np.broadcast_to(r, (n, 3))
    for symmetric, expected in (
        (False, (p(theta) - p(theta - step * r)) / step),
        (True, (p(theta + step * r) - p(theta - step * r)) / (2 * step)),
    ):
        got = imle_vjp(one_hot, theta, every, step=step, rng=5, symmetric=symmetric) / n
        assert (abs(got - expected) < 6 / step / np.sqrt(n)).all()


def test_small_steps_approach_the_exact_gradient():
    theta, r, n = np.array([0.5, -0.2, 0.0]), np.array([1.0, -1.0, 0.3]), 200_000
    p = np.exp(fg.log_softmax(theta))
    exact = p * (r - p @ r)
    got = imle_vjp(one_hot, theta, np.broadcast_to(r, (n, 3)), step=0.2, rng=6, symmetric=True) / n
    assert (abs(got - exact) < 0.03).all()


def test_solutions_given_are_not_solved_for_again():
    theta = np.random.default_rng(7).normal(size=(4, 3))
    options = {"rng": 8, "noise_scale": 0.5}
    y = solve(one_hot, theta, num_samples=6, **options)
    r = np.random.default_rng(9).normal(size=y.shape)
    calls = []

    def counted(t):
        calls.append(t.shape)
        return one_hot(t)

    again = imle_vjp(counted, theta, r, step=1.0, solutions=y, **options)
    assert calls == [(6, 4, 3)]
    assert np.array_equal(again, imle_vjp(one_hot, theta, r, step=1.0, **options))


def test_one_step_for_each_problem():
    theta, r = np.zeros((2, 3)), np.ones((2, 3))
    step = np.array([[0.5], [2.0]])
    asked = []

    def solver(t):
        asked.append(t)
        return t

    imle_vjp(solver, theta, r, step=step, rng=0, noise_scale=0)
    np.testing.assert_allclose(asked[0][0], -step * r)


@by_dtype
def test_masks_stay_masked(dtype):
    theta = np.array([0.0, -INF, 1.0], dtype)
    r = np.array([1.0, 5.0, -1.0], dtype)
    for got in (
        imle_vjp(one_hot, theta, r, step=3.0, rng=0),
        aimle_vjp(one_hot, theta, r, rng=0)[0],
    ):
        assert got[1] == 0
        assert np.isfinite(got).all()


# -- adaptation --------------------------------------------------------------------------------


def test_the_step_does_not_depend_on_units():
    theta, r = np.random.default_rng(10).normal(size=(2, 5, 4))
    first, _ = aimle_vjp(one_hot, theta, r, rng=11, noise_scale=0)
    units, _ = aimle_vjp(one_hot, theta, 1000 * r, rng=11, noise_scale=0)
    np.testing.assert_allclose(units, 1000 * first, rtol=1e-9)
    for factor in (2.0**-1000, 2.0**-600, 2.0**600, 2.0**1000):  # whose squares leave the type
        units, _ = aimle_vjp(one_hot, factor * theta.round(1), r, rng=11, noise_scale=0)
        found = factor * aimle_vjp(one_hot, theta.round(1), r, rng=11, noise_scale=0)[0]
        assert (units != 0).sum() == (found != 0).sum() > 0


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_solver_may_write_where_it_likes(symmetric):
    """To one array for all its results, or to its argument."""
    theta, r, kept = np.ones(3), np.array([0.0, 5.0, -5.0]), np.empty((1, 3))

    def thrifty(theta):
        kept[...] = one_hot(theta)
        theta[...] = 7
        return kept

    options = {"step": 3.0, "rng": 0, "symmetric": symmetric}
    np.testing.assert_array_equal(
        imle_vjp(thrifty, theta, r, **options), imle_vjp(one_hot, theta, r, **options)
    )
    goal = np.array([1.0, 0, 0])
    for found, expected in zip(
        *(fenchel_young(s, theta, goal, num_samples=1, rng=0) for s in (thrifty, one_hot))
    ):
        np.testing.assert_array_equal(found, expected)


def test_the_strength_finds_the_target():
    """Where gradients are too sparse it grows, else it falls; in the end they are near the target.

    A problem's two solutions differ in two entries or in none.
    """
    rng = np.random.default_rng(12)
    theta, target = rng.normal(size=(200, 10)), 0.8
    for start in (1e-3, 30.0):
        state, seen = Adaptation(strength=start), []
        for run in range(600):
            r = rng.normal(size=theta.shape)
            before = state
            _, state = aimle_vjp(
                one_hot, theta, r, rng=run, state=state, target=target, rate=0.05, noise_scale=0.5
            )
            assert (state.strength > before.strength) == (state.density < target)
            seen.append(state.density)
        assert np.mean(seen[-200:]) == pytest.approx(target, rel=0.1)


def test_a_cotangent_of_zero():
    grad, state = aimle_vjp(one_hot, np.ones(3), np.zeros(3), rng=0)
    assert (grad == 0).all()
    assert state.density == 0


def test_errors():
    theta = np.zeros(3)
    for step in (0.0, -1.0, np.inf, np.nan, np.array([1.0, 0.0, 1.0])):
        with pytest.raises(ValueError, match="step must be finite and above 0"):
            imle_vjp(identity, theta, theta, step=step, rng=0)
    for step in (np.ones(2), np.ones((4, 5, 3)), np.ones(0)):
        with pytest.raises(ValueError, match=r"step must broadcast to the shape of theta, \(3,\)"):
            imle_vjp(identity, theta, theta, step=step, rng=0)
    with pytest.raises(ValueError, match="rate must be from 0 to 700"):
        aimle_vjp(identity, theta, theta, rng=0, rate=1e9)
    for state in (3, (1.0, 2.0, 3.0), {}):
        with pytest.raises(TypeError, match="state must be the Adaptation of the last call"):
            aimle_vjp(identity, theta, theta, rng=0, state=state)
    with pytest.raises(ValueError, match="strength must be"):
        aimle_vjp(identity, theta, theta, rng=0, state=Adaptation(np.nan))
    with pytest.raises(ValueError, match="cotangent must"):
        imle_vjp(identity, theta, np.zeros(2), step=1.0, rng=0)
    with pytest.raises(ValueError, match="decay must be from 0 to 1"):
        aimle_vjp(identity, theta, theta, rng=0, decay=2)
    with pytest.raises(ValueError, match="target must be"):
        aimle_vjp(identity, theta, theta, rng=0, target=0)
    with pytest.raises(TypeError, match="not a Generator"):
        imle_vjp(identity, theta, theta, step=1.0, rng=np.random.default_rng(0))
