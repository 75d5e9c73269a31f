"""What users may give as a baseline, and what is refused."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.estimators.score_functions.baselines import (
    Baseline,
    Constant,
    Function,
    LeastSquares,
    MovingAverage,
    Optimal,
    Regression,
    as_baseline,
)


def zero(d):
    return 0.0


def test_what_users_mean():
    assert as_baseline(None) == Constant(value=0.0)
    assert as_baseline(np.float32(2)) == as_baseline(2) == Constant(value=2.0)
    assert as_baseline("moving_average") == MovingAverage(decay=0.9)
    assert as_baseline("optimal") == Optimal()
    assert as_baseline("optimal_pooled") == Optimal(pooled=True)
    assert as_baseline(zero) == Function(function=zero)
    for baseline in (MovingAverage(decay=1.0), LeastSquares(features=np.ones((2, 2)))):
        assert as_baseline(baseline) is baseline
        assert isinstance(baseline, Baseline)
        hash(fg.estimator("reinforce", baseline=baseline))
    assert fg.estimator("reinforce", baseline="optimal") == fg.estimator(
        "reinforce", baseline=Optimal()
    )
    assert repr(fg.estimator("reinforce", baseline=1)) == "Reinforce(baseline=Constant(value=1.0))"


WRONG = {
    "name": (
        lambda: as_baseline("optimum"),
        ValueError,
        "baseline must be one of 'moving_",
    ),
    "kind": (lambda: as_baseline([1.0]), TypeError, "baseline must be None, a number, a name or a"),
    "bool": (lambda: as_baseline(True), TypeError, "baseline must be None, .*, got True"),
    "NaN": (lambda: as_baseline(np.nan), ValueError, "baseline must be finite, got nan"),
    "no number": (lambda: Constant(value="a"), ValueError, "baseline must be finite, got 'a'"),
    "decay": (lambda: MovingAverage(decay=0), ValueError, "decay must be a finite number above 0"),
    "decay above 1": (lambda: MovingAverage(decay=1.5), ValueError, "decay must be at most 1, got"),
    "ridge": (lambda: LeastSquares(features=0, ridge=0), ValueError, "ridge must be a finite num"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_baselines_are_refused(case):
    build, kind, message = WRONG[case]
    with pytest.raises(kind, match=message):
        build()


def run(baseline, state=None):
    estimator = fg.estimator("reinforce", baseline=baseline)
    f = fg.objective(lambda x: x[..., 0].sum(axis=-1))
    return estimator(f, np.zeros((2, 4, 3)), num_samples=3, rng=0, state=state)


AT_CALLS = {
    "shape": (lambda: run(lambda d: np.zeros(3)), r"the baseline must have shape \(2,\), got \(3,"),
    "deep": (lambda: run(lambda d: np.zeros((2, 1))), r"the baseline must have shape \(2,\)"),
    "NaN": (lambda: run(lambda d: [0, np.nan]), "the baseline must be finite, got nan"),
    "features": (
        lambda: run(LeastSquares(features=np.zeros((3, 2)))),
        r"features must have shape \(2, D\), got \(3, 2\)",
    ),
    "infinite features": (
        lambda: run(LeastSquares(features=np.full((2, 1), np.inf))),
        "features must be finite, got inf",
    ),
    "state": (
        lambda: run("moving_average", {"gram": np.zeros(2)}),
        "state must be that of the last estimate, with mean, weight, got gram",
    ),
    "state's shape": (
        lambda: run("moving_average", {"mean": np.zeros(3), "weight": 1.0}),
        r"state\['mean'\] must have shape \(2,\), got \(3,\)",
    ),
}


@pytest.mark.parametrize("case", AT_CALLS)
def test_wrong_inputs_are_named(case):
    call, message = AT_CALLS[case]
    with pytest.raises(ValueError, match=message):
        call()


def test_one_number_serves_all_examples():
    np.testing.assert_array_equal(run(lambda d: 0.5).grad, run(lambda d: np.full(2, 0.5)).grad)
    np.testing.assert_array_equal(run(0.5).grad, run(lambda d: [0.5]).grad)


def test_a_regression_is_least_squares():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 40)), rng.normal(size=40)
    fit = Regression(None, 3)
    np.testing.assert_array_equal(fit.solve(np.ones(3)), 0)
    assert fit.square == 0
    for part in np.split(np.vstack([x, y]), 4, axis=1):
        fit = Regression(fit.learn(part, 1.0), 3)
    for ridge in (np.array([0.0, 1.0, 2.0]), np.array([0.5, 1.0, 2.0]), np.full(3, 1e3)):
        expected = np.linalg.solve(x @ x.T + np.diag(ridge), x @ y)
        np.testing.assert_allclose(fit.solve(ridge), expected, rtol=1e-10)
    assert fit.square == pytest.approx(y @ y / 4)
    faded = Regression(fit.learn(np.zeros((4, 1)), 0.5), 3)
    np.testing.assert_allclose(faded.past["gram"], fit.past["gram"] / 2)
