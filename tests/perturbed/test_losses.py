"""Losses of solvers: closed forms of the softmax, convexity, regret, finite differences."""

import numpy as np
import pytest
from strategies import DTYPES

import fastgrad as fg
from fastgrad.perturbed import fenchel_young, imle_vjp, solve, solve_vjp, spo_plus

RNG = np.random.default_rng(2)
INF = np.inf


def one_hot(theta):
    return np.eye(theta.shape[-1])[theta.argmax(axis=-1)]


def top_two(theta):
    return (np.argsort(np.argsort(-theta, axis=-1), axis=-1) < 2).astype(theta.dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_with_gumbel_noise_it_is_the_loss_of_a_softmax(dtype):
    """E[max(theta + G)] = log sum exp(theta) + Euler's constant.

    The maximum has variance pi^2 / 6: 6 standard errors of 200,000 samples, 1e-8 for all numbers.
    """
    theta = np.array([[0.3, -1.0, 0.5], [2.0, -np.inf, 1.0]], dtype)
    target = np.array([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]], dtype)
    count = 200_000
    loss, grad = fenchel_young(one_hot, theta, target, num_samples=count, rng=1)
    kept = np.where(theta == -INF, 0, theta)
    expected = np.logaddexp.reduce(theta.astype(float), axis=-1) + np.euler_gamma
    expected -= (kept * target).sum(axis=-1)
    np.testing.assert_allclose(loss, expected, rtol=0, atol=6 * np.pi / np.sqrt(6 * count))
    p = np.exp(fg.log_softmax(theta.astype(float)))
    np.testing.assert_allclose(grad, p - target, rtol=0, atol=6 * 0.5 / np.sqrt(count))
    assert loss.dtype == grad.dtype == dtype
    assert grad[1, 1] == 0


@pytest.mark.parametrize("noise", ["gumbel", "normal", "lognormal"])
@pytest.mark.parametrize("solver", [one_hot, top_two])
def test_the_gradient_is_that_of_the_loss_for_the_same_noise(solver, noise):
    """Solutions do not change within a small step, so differences are exact."""
    theta, target = np.exp(RNG.normal(size=(2, 4, 5)))
    options = {"num_samples": 50, "rng": 3, "noise": noise, "noise_scale": 0.7}
    _, grad = fenchel_young(solver, theta, target, **options)
    for at in [(0, 1), (3, 4), (2, 2)]:
        step = np.zeros_like(theta)
        step[at] = 1e-6
        up, down = (
            fenchel_young(solver, theta + sign * step, target, **options)[0] for sign in (1, -1)
        )
        assert (up - down).sum() / 2e-6 == pytest.approx(grad[at], abs=1e-7)


def test_factors_count_where_theta_is_zero_too():
    """There a solution depends on theta only by the next step: by the mean of factor times y."""
    theta, target = np.array([0.0, 1.0]), np.zeros(2)
    options = {"num_samples": 40, "rng": 3, "noise": "lognormal", "noise_scale": 0.7}
    _, grad = fenchel_young(lambda t: np.ones_like(t), theta, target, **options)
    up, down = (
        fenchel_young(lambda t: np.ones_like(t), [step, 1.0], target, **options)[0]
        for step in (1e-6, -1e-6)
    )
    assert abs(grad[0] - 1) > 0.01
    assert (up - down) / 2e-6 == pytest.approx(grad[0], abs=1e-7)


def test_the_loss_is_convex_and_least_at_the_target():
    theta = RNG.normal(size=(6,))
    options = {"num_samples": 500, "rng": 3}
    mean = solve(top_two, theta, **options).mean(axis=0)
    here, grad = fenchel_young(top_two, theta, mean, **options)
    np.testing.assert_allclose(grad, 0, atol=1e-15)
    for other in RNG.normal(size=(20, 6)):
        there, slope = fenchel_young(top_two, other, mean, **options)
        assert there >= here - 1e-12
        assert slope @ (theta - other) <= here - there + 1e-12  # a tangent lies below


def test_problems_of_two_axes():
    theta, target = RNG.normal(size=(2, 3, 4, 4))
    loss, grad = fenchel_young(
        lambda t: t * 0 + 1, theta, target, num_samples=3, rng=0, problem_ndim=2
    )
    assert loss.shape == (3,)
    np.testing.assert_allclose(grad, 1 - target, rtol=0, atol=1e-12)


def test_chunks_of_samples_are_those_of_one_call():
    theta, target = RNG.normal(size=(2, 5))
    whole = fenchel_young(one_hot, theta, target, num_samples=6, rng=4)[1]
    parts = [
        fenchel_young(one_hot, theta, target, num_samples=3, rng=4, sample_offset=at)[1]
        for at in (0, 3)
    ]
    np.testing.assert_allclose(np.mean(parts, axis=0), whole, rtol=0, atol=1e-15)


def test_lognormal_noise_keeps_signs_and_the_mean():
    theta = np.array([0.5, -2.0, 0.0, 3.0])
    seen = solve(lambda t: t, theta, num_samples=100_000, rng=0, noise="lognormal", noise_scale=0.5)
    assert (np.sign(seen) == np.sign(theta)).all()
    error = seen.std(axis=0) / np.sqrt(len(seen))
    assert (abs(seen.mean(axis=0) - theta) <= 6 * error).all()


def test_lognormal_noise_gives_the_cotangent_of_an_identity():
    """The mean is theta itself: 7 standard errors of 30 runs."""
    theta, r = np.array([0.5, -2.0, 3.0]), np.array([1.0, -0.5, 2.0])
    runs = [
        solve_vjp(
            lambda t: t, theta, r, num_samples=2000, rng=k, noise="lognormal", noise_scale=0.4
        )
        for k in range(30)
    ]
    mean, error = np.mean(runs, axis=0), np.std(runs, axis=0, ddof=1) / np.sqrt(30)
    assert (abs(mean - r) <= 7 * error).all()
    assert (error < 0.3).all()


@pytest.mark.parametrize("dtype", DTYPES)
def test_spo_plus(dtype):
    theta, true = RNG.normal(size=(2, 30, 5)).astype(dtype)
    loss, grad = spo_plus(top_two, theta, true)
    regret = ((top_two(true) - top_two(theta)) * true).sum(axis=-1)
    assert (loss >= regret - 1e-5).all()
    assert (regret > 0.1).any()
    right, none = spo_plus(top_two, true, true)
    np.testing.assert_array_equal(right, 0)
    np.testing.assert_array_equal(none, 0)
    assert loss.dtype == grad.dtype == dtype
    other = RNG.normal(size=theta.shape).astype(dtype)
    there = spo_plus(top_two, other, true)[0]
    assert (loss + (grad * (other - theta)).sum(axis=-1) <= there + 1e-4).all()  # a tangent


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: fenchel_young(one_hot, [0, 1.0], [1.0], num_samples=1, rng=0), "target must"),
        (
            lambda: fenchel_young(one_hot, [0, -INF], [0.5, 0.5], num_samples=1, rng=0),
            "target must be 0 where theta is -inf, got 0.5",
        ),
        (
            lambda: fenchel_young(
                one_hot, [0, -INF], [1.0, 0.0], num_samples=1, rng=0, noise="lognormal"
            ),
            "theta must be finite for lognormal noise, got -inf",
        ),
        (
            lambda: solve_vjp(
                one_hot, [0, 1.0], [1.0, 0.0], num_samples=2, rng=0, noise="lognormal"
            ),
            "theta must not be 0 for lognormal noise",
        ),
        (lambda: spo_plus(one_hot, [0, -INF], [1.0, 0.0]), "theta must be finite"),
        (lambda: spo_plus(one_hot, [0, 1.0], [np.nan, 0.0]), "true_theta must be finite"),
        (lambda: solve(one_hot, [0, 1.0], num_samples=1, rng=0, noise="cauchy"), "noise must be"),
        (lambda: solve(one_hot, [0, 1.0], num_samples=1, rng=0, noise=np.ones(2)), "noise must be"),
        (
            lambda: solve_vjp(
                one_hot, [0, 1.0], [1.0, 0], num_samples=2, rng=0, solutions=[[np.nan, 1], [0, 1]]
            ),
            r"solutions must be finite, got nan at index \(0, 0\)",
        ),
        (lambda: spo_plus(None, [0, 1.0], [1.0, 0.0]), "solver must be a function of arrays"),
        (
            lambda: imle_vjp(one_hot, [0, 1.0], [1.0, 0.0], step=1, rng=0, noise="lognormal"),
            "noise must be one of 'gumbel', 'normal', got 'lognormal'",
        ),
    ],
)
def test_bad_arguments_are_refused(call, message):
    with pytest.raises((TypeError, ValueError), match=message):
        call()
