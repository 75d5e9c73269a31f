"""What users' solvers are given, and what is checked of what they return."""

import numpy as np
import pytest
from scipy import stats
from strategies import DTYPES

import fastgrad as fg
from fastgrad.perturbed import solver

FALSE_ALARM = 1e-6  # of each statistical test, had its seed not been fixed


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
