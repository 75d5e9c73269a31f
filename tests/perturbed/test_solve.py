"""Perturbed solvers where the answer is known: identities, linear maps, the Gumbel argmax."""

import numpy as np
import pytest
from strategies import DTYPES

import fastgrad as fg
from fastgrad.perturbed.solve import solve, solve_vjp

by_dtype = pytest.mark.parametrize("dtype", DTYPES)
by_noise = pytest.mark.parametrize("noise", ["gumbel", "normal"])
by_control = pytest.mark.parametrize("control", ["leave-one-out", "unperturbed", "none"])
INF = np.inf


def identity(theta):
    return theta


def one_hot(theta):
    return np.eye(theta.shape[-1])[theta.argmax(axis=-1)]


def in_runs(call, runs=40):
    """The mean of independent runs, and its standard error."""
    each = np.stack([call(run) for run in range(runs)])
    return each.mean(axis=0), each.std(axis=0, ddof=1) / np.sqrt(runs)


def check(call, expected):
    """Within 7.5 standard errors of 40 runs (t of 39 degrees: 4e-9 for each component)."""
    mean, error = in_runs(call)
    assert (abs(mean - expected) <= 7.5 * error + 1e-12).all()
    assert (error < 0.2).all()


# -- known answers -----------------------------------------------------------------------------


@by_dtype
@by_noise
@by_control
@pytest.mark.parametrize("scale", [0.25, 2.0])
def test_identity_gives_the_cotangent(noise, control, scale, dtype):
    """Factors of the scale would show here (optax issue 1308)."""
    theta = np.array([[0.3, -1.0, 0.5], [2.0, 0.0, 1.0]], dtype)
    r = np.array([[1.0, -2.0, 0.5], [0.0, 1.0, 1.0]], dtype)
    options = {"num_samples": 4000, "noise": noise, "noise_scale": scale, "control": control}
    check(lambda run: solve_vjp(identity, theta, r, rng=run, **options), r)


@by_noise
@by_control
def test_linear_maps_give_their_transpose(noise, control):
    a = np.random.default_rng(0).normal(size=(3, 3))
    theta, r = np.array([0.1, 0.2, -0.3]), np.array([1.0, 0.5, -1.0])
    options = {"num_samples": 4000, "noise": noise, "control": control}
    check(lambda run: solve_vjp(lambda t: t @ a.T, theta, r, rng=run, **options), a.T @ r)


@by_dtype
@by_control
def test_argmax_under_gumbel_noise_is_a_softmax(control, dtype):
    theta, scale = np.array([0.5, -0.2, 0.0, -INF], dtype), 0.7
    p = np.exp(fg.log_softmax(theta.astype(np.float64) / scale))
    r = np.array([1.0, -1.0, 2.0, 5.0])
    exact = p * (r - p @ r) / scale
    options = {"num_samples": 4000, "noise_scale": scale}
    check(lambda run: solve(one_hot, theta, rng=run, **options).mean(axis=0), p)
    check(lambda run: solve_vjp(one_hot, theta, r, rng=run, control=control, **options), exact)
    assert solve_vjp(one_hot, theta, r, rng=0, control=control, **options)[3] == 0


def test_controls_lower_the_variance():
    """A constant in the solutions is noise to `none` and nothing to the others."""
    theta, r = np.zeros(3), np.array([1.0, -2.0, 0.5])

    def spread(control):
        def call(run):
            solver = lambda t: one_hot(t) + 100.0  # noqa: E731
            return solve_vjp(solver, theta, r, num_samples=16, rng=run, control=control)

        return np.stack([call(run) for run in range(300)]).var(axis=0).sum()

    none = spread("none")
    assert spread("leave-one-out") < 0.05 * none
    assert spread("unperturbed") < 0.05 * none


# -- contract ----------------------------------------------------------------------------------


@by_noise
@by_control
def test_solutions_given_are_not_solved_for_again(noise, control):
    theta, r = np.random.default_rng(1).normal(size=(2, 4, 3))
    options = {"num_samples": 6, "rng": 2, "noise": noise, "noise_scale": 0.5}
    calls = []

    def counted(t):
        calls.append(t.shape)
        return one_hot(t)

    y = solve(counted, theta, **options)
    again = solve_vjp(counted, theta, r, control=control, solutions=y, **options)
    assert calls == [(6, 4, 3), *([(1, 4, 3)] if control == "unperturbed" else [])]
    assert np.array_equal(again, solve_vjp(one_hot, theta, r, control=control, **options))


@by_dtype
def test_examples_do_not_mix(dtype):
    theta, r = np.random.default_rng(3).normal(size=(2, 4, 3)).astype(dtype)
    options = {"num_samples": 5, "rng": 4}
    before = solve_vjp(one_hot, theta, r, **options)
    theta[0], r[0] = 7, -7
    after = solve_vjp(one_hot, theta, r, **options)
    assert before.dtype == dtype
    assert np.array_equal(before[1:], after[1:])


def test_a_problem_may_have_several_axes():
    """A matching of three rows: the whole matrix is one problem, its cotangent one number."""
    theta = np.random.default_rng(5).normal(size=(2, 3, 3))

    def solver(t):
        return np.eye(3)[fg.permutation.matching(t)]

    y = solve(solver, theta, num_samples=50, rng=6)
    assert (y.sum(axis=-1) == 1).all()
    r = np.ones((2, 3, 3))  # <y, r> is 3 for every matching
    g = solve_vjp(solver, theta, r, num_samples=50, rng=6, problem_ndim=2)
    np.testing.assert_allclose(g, 0, atol=1e-12)


def test_chunks_join():
    theta = np.zeros((3, 4), np.float32)
    whole = solve(identity, theta, num_samples=6, rng=7)
    part = solve(identity, theta, num_samples=2, rng=7, sample_offset=4)
    assert np.array_equal(part, whole[4:])


def test_errors():
    theta = np.zeros(3)
    with pytest.raises(ValueError, match=r"solver must return solutions of shape \(2, 3\)"):
        solve(lambda t: t[:, :2], theta, num_samples=2, rng=0)
    with pytest.raises(ValueError, match="the solver's result must be finite, got nan"):
        solve(lambda t: t * np.nan, theta, num_samples=2, rng=0)
    with pytest.raises(ValueError, match="noise must be one of"):
        solve(identity, theta, num_samples=2, rng=0, noise="cauchy")
    with pytest.raises(ValueError, match="theta must be below infinity"):
        solve(identity, np.array([np.nan]), num_samples=2, rng=0)
    with pytest.raises(ValueError, match="num_samples must be at least 2"):
        solve_vjp(identity, theta, theta, num_samples=1, rng=0)
    with pytest.raises(ValueError, match="control must be one of"):
        solve_vjp(identity, theta, theta, num_samples=2, rng=0, control="both")
    with pytest.raises(ValueError, match="noise_scale must be"):
        solve_vjp(identity, theta, theta, num_samples=2, rng=0, noise_scale=0)
    with pytest.raises(ValueError, match="cotangent must have shape"):
        solve_vjp(identity, theta, np.zeros(2), num_samples=2, rng=0)
    with pytest.raises(ValueError, match="solutions must have shape"):
        solve_vjp(identity, theta, theta, num_samples=2, rng=0, solutions=theta)
    with pytest.raises(ValueError, match="problem_ndim must be from 0 to 1"):
        solve_vjp(identity, theta, theta, num_samples=2, rng=0, problem_ndim=2)
    with pytest.raises(TypeError, match="not a Generator"):
        solve_vjp(identity, theta, theta, num_samples=2, rng=np.random.default_rng(0))
