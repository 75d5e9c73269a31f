"""What users' solvers are given, and what is checked of what they return."""

import re

import numpy as np
import pytest
from scipy import stats
from strategies import DTYPES

import fastgrad as fg
from fastgrad import perturbed
from fastgrad.perturbed import solver

FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed


def never(theta):
    """Stand for a solver that must not be called."""
    raise AssertionError("the solver was called")


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("noise", "law"), [("gumbel", stats.gumbel_r), ("normal", stats.norm)])
def test_noise_has_its_law_and_scale(noise, law, dtype):
    theta = np.zeros(10, dtype)
    z = solver.draw_noise(theta, 5000, fg.Key(0), noise, 0.5, 0)
    assert z.dtype == dtype
    assert stats.kstest(z.astype(np.float64).ravel() / 0.5, law.cdf).pvalue > FALSE_ALARM
    assert not solver.draw_noise(theta, 3, fg.Key(0), noise, 0, 0).any()


def test_solutions_take_the_precision_of_the_parameters():
    theta = np.zeros((2, 3), np.float32)
    assert solver.call(lambda t: t.astype(int), theta).dtype == np.float32
    assert solver.call(lambda t: t == 0, theta).sum() == 6
    with pytest.raises(ValueError, match="solver must return real numbers, got dtype <U"):
        solver.call(lambda t: np.full(t.shape, "a"), theta)
    with pytest.raises(ValueError, match=r"solutions of shape \(2, 3\), got \(3,\)"):
        solver.call(lambda t: t[0], theta)


def test_problem_axes():
    theta = np.zeros((2, 3, 4))
    assert solver.problem_axes(theta, 0) == ()
    assert solver.problem_axes(theta, 2) == (-2, -1)
    with pytest.raises(ValueError, match="problem_ndim must be from 0 to 3"):
        solver.problem_axes(theta, 4)


@pytest.mark.parametrize("noise", ["gumbel", "normal", "lognormal"])
@pytest.mark.parametrize(
    ("scale", "dtype", "way"),
    [(1e39, np.float32, "smaller"), (1e308, np.float64, "smaller"), (1e-50, np.float32, "larger")],
)
def test_noise_that_the_type_does_not_hold_is_refused(noise, scale, dtype, way):
    theta, options = np.ones(3, dtype), {"rng": 0, "noise": noise, "noise_scale": scale}
    words = f"noise_scale must be {way} for {np.dtype(dtype)}, got {scale}"
    for run in (perturbed.solve, perturbed.solve_vjp, perturbed.fenchel_young):
        given = (theta,) if run is perturbed.solve else (theta, theta)
        with pytest.raises(ValueError, match=re.escape(words)):
            run(never, *given, num_samples=2, **options)
    if noise != "lognormal":
        with pytest.raises(ValueError, match=re.escape(words)):
            perturbed.imle_vjp(never, theta, theta, step=1, **options)


def test_large_lognormal_noise_is_zero_nearly_always():
    options = {"num_samples": 4, "rng": 0, "noise": "lognormal", "noise_scale": 1e200}
    assert not perturbed.solve(lambda t: t, np.ones(3), **options).any()


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_no_solver_is_given_what_a_cotangent_spoils(bad):
    theta, r = np.zeros((2, 3)), np.array([[0, 0, 0], [0, bad, 0]])
    with pytest.raises(ValueError, match=r"cotangent must be finite, got .* at index \(0, 1, 1\)"):
        perturbed.imle_vjp(never, theta, r, step=1, rng=0)
    with pytest.raises(ValueError, match="cotangent must be finite"):
        perturbed.aimle_vjp(never, theta, r, rng=0)


def test_no_solver_is_given_what_leaves_the_type():
    large = np.full(3, 3e38, np.float32)
    words = "theta as the solver is given it must be below infinity, got inf"
    with pytest.raises(ValueError, match=words), np.errstate(over="ignore"):
        perturbed.imle_vjp(never, large, -large, step=1, rng=0)
    with pytest.raises(ValueError, match=words), np.errstate(over="ignore"):
        perturbed.spo_plus(never, large, -large)
    for step in (1e39, 1e-50):
        words = f"step must be finite and above 0 in float32, got {step}"
        with pytest.raises(ValueError, match=re.escape(words)):
            perturbed.imle_vjp(never, large / 2, large, step=step, rng=0)


def test_a_cotangent_too_small_for_a_step_has_that_of_one():
    theta, r = np.ones(3, np.float32), np.array([1e-42, 0, 0], np.float32)
    grad, _ = perturbed.aimle_vjp(lambda t: t, theta, r, rng=0)
    assert np.isfinite(grad).all()
