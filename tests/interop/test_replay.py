"""Estimates in two passes equal those in one."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.interop.replay import Answers, Points, record, rehearse, replay

BINARY = {"arm", "arms", "disarm"}


def problem(name, dtype=np.float64, masked=False):
    rng = np.random.default_rng(1)
    logits = rng.normal(size=(3, 2 if name in BINARY else 4)).astype(dtype)
    if masked and name not in BINARY:
        logits[1, 2] = -np.inf
    target = rng.normal(size=logits.shape).astype(dtype)
    return logits, target


def gradient(x, target):
    return 2 * (x - target) - np.sin(x @ target[0])[..., None] * target[0]


def both(name, logits, target, examples, **call):
    """Return the direct estimate, and that of two passes."""
    estimator = fg.estimator(name)

    def f(x):
        if examples:
            return ((x - target) ** 2).sum(axis=-1) + np.cos(x @ target[0])
        return ((x - target) ** 2).sum(axis=(-2, -1)) + np.cos(x @ target[0]).sum(axis=-1)

    def slope(x):
        return gradient(x, target)

    direct = estimator(fg.objective(f, grad=slope), logits, **call)
    points = record(estimator, logits, examples=(3,) * examples, **call)
    answers = Answers(f(points.plain), f(points.sloped), slope(points.sloped))
    return direct, replay(estimator, logits, points, answers, **call), points


@pytest.mark.parametrize("examples", [0, 1])
@pytest.mark.parametrize("name", fg.list_estimators())
def test_two_passes_equal_one(name, examples):
    logits, target = problem(name)
    state = None
    for step in range(2):
        call = {"num_samples": 4, "rng": step, "state": state}
        direct, found, _ = both(name, logits, target, examples, **call)
        np.testing.assert_array_equal(found.grad, direct.grad)
        np.testing.assert_array_equal(found.value, direct.value)
        assert found.evaluations == direct.evaluations
        state = direct.state
        if state is None:
            break
        for key in state:
            np.testing.assert_array_equal(found.state[key], state[key])


@pytest.mark.parametrize("name", fg.list_estimators())
def test_no_call_asks_at_more_points_than_that_for_zeros(name):
    logits, _ = problem(name, masked=True)
    for seed in range(3):
        for scale in (0.1, 30.0):
            call = {"num_samples": 4, "rng": seed}
            most = rehearse(fg.estimator(name), logits, num_samples=4).most
            points = record(fg.estimator(name), scale * logits, **call)
            padded = points.padded(most)
            assert [x.shape for x in padded] == [x.shape for x in most]
            for own, other in zip(points, padded, strict=True):
                np.testing.assert_array_equal(own, other[: len(own)])
            assert padded.order.sum(axis=0)[0] == len(points.plain) + len(points.sloped)


def test_padding_is_left_out():
    logits, target = problem("arsm")
    call = {"num_samples": 3, "rng": 5}
    direct, _, points = both("arsm", 4 * logits, target, 0, **call)
    padded = points.padded(rehearse(fg.estimator("arsm"), logits, num_samples=3).most)
    assert len(padded.plain) > len(points.plain)
    f = ((padded.plain - target) ** 2).sum(axis=(-2, -1)) + np.cos(padded.plain @ target[0]).sum(-1)
    none = np.empty(0)
    found = replay(fg.estimator("arsm"), 4 * logits, padded, Answers(f, none, none), **call)
    np.testing.assert_array_equal(found.grad, direct.grad)


def test_credit():
    logits, target = problem("rloo")
    rloo, call = fg.estimator("rloo"), {"num_samples": 4, "rng": 0}

    def f(x):
        credit = ((x - target) ** 2).sum(axis=-1)
        return credit.sum(axis=-1), credit

    points = record(rloo, logits, **call)
    answers = Answers(f(points.plain), f(points.sloped), points.sloped)
    found = replay(rloo, logits, points, answers, **call)
    np.testing.assert_array_equal(found.grad, rloo(f, logits, **call).grad)


def test_a_gradient_that_is_not_finite_is_blamed_on_a_sample():
    logits, _ = problem("gumbel_softmax")
    estimator, call = fg.estimator("gumbel_softmax"), {"num_samples": 4, "rng": 0}
    points = record(estimator, logits, **call)
    slopes = np.array(points.sloped)
    slopes[2, 1, 1] = np.nan
    answers = Answers(np.empty(0), np.zeros(4), slopes)
    with pytest.raises(ValueError, match="gradient of f must be finite, got nan for sample 2"):
        replay(estimator, logits, points, answers, **call)


def test_other_points_are_refused():
    logits, _ = problem("rloo")
    rloo, call = fg.estimator("rloo"), {"num_samples": 4, "rng": 0}
    plain, sloped, order = record(rloo, logits, **call)
    others = Points(1 - plain, sloped, order)
    with pytest.raises(ValueError, match="rloo must ask at points that do not depend"):
        replay(rloo, logits, others, Answers(np.zeros(4), np.empty(0), sloped), **call)
