"""Weights of least squares against `numpy.linalg.lstsq`, and the choice among them."""

import numpy as np

from fastgrad.estimators.pooled_controls.least_squares import (
    candidates,
    choices,
    leading,
    regress,
)

RNG = np.random.default_rng(11)
# Three parts, of one, one and two terms; the first has weight 1 in the target already.
OWN = np.array([[0.0, 0, 0, 0], [-1, 1, 0, 0], [-1, 0, 1, 0.5]])
AMONG = choices(OWN, np.array([0, 1, 2, 2]))


def test_weights_are_those_of_least_squares():
    scale = np.array([1e-6, 1.0, 1e5, 3.0])
    terms = RNG.normal(size=(2, 4, 500)) * scale[:, None]
    target = RNG.normal(size=(2, 1, 500)) + terms[:, :1] * 3e6 - terms[:, 1:2]
    rows = np.concatenate([terms, target], axis=1)
    found = candidates(rows @ rows.swapaxes(1, 2), 1e6, AMONG)
    assert found.shape == (2, 8, 4)
    for weights, h, (g,) in zip(found, terms, target):
        assert (weights[1] == 0).all()
        np.testing.assert_array_equal(weights[2:5], OWN)
        learned = [(0, np.arange(4), np.zeros(4))]
        learned += [(5, [0], np.zeros(4)), (6, [1], -np.eye(4)[0]), (7, [2, 3], -np.eye(4)[0])]
        for choice, columns, expected in learned:
            rest = g + expected @ h
            fit = np.linalg.lstsq((h / scale[:, None])[columns].T, -rest, rcond=None)[0]
            expected[columns] = fit / scale[columns]
            np.testing.assert_allclose(weights[choice] * scale, expected * scale, rtol=1e-6)


def test_a_term_that_is_always_zero_gets_no_weight():
    among = choices(np.zeros((1, 2)), np.zeros(2, int))
    products = np.diag([4.0, 0.0, 9.0])
    products[0, 2] = products[2, 0] = -2.0
    np.testing.assert_allclose(candidates(products, 1e6, among)[0], [0.5, 0.0], rtol=1e-9)
    np.testing.assert_array_equal(candidates(products, 0.0, among)[0], [0.0, 0.0])


def test_the_first_call_adds_nothing_and_then_the_least_loss_leads():
    weights, losses = candidates(np.zeros((5, 5)), 0.0, AMONG), np.arange(8.0)[::-1]
    squares = np.zeros(8)
    np.testing.assert_array_equal(leading(weights, losses, squares, 0.0), np.zeros(4))
    np.testing.assert_array_equal(leading(weights, losses, squares, 1.0), weights[7])


def test_all_together_lead_only_if_they_are_surely_better():
    weights, losses = RNG.normal(size=(2, 8, 4)), np.full((2, 8), 9.0)
    losses[:, 0], losses[:, 5] = 2.0, 4.0
    squares = np.full((2, 8), 0.0)
    squares[:, 5] = 1.5**2, 1.7**2  # standard errors of the gain of 2
    found = leading(weights, losses, squares, 1.0)
    np.testing.assert_array_equal(found, [weights[0, 0], weights[1, 5]])


def test_losses_are_those_of_weights_that_had_not_seen_the_call():
    """By definition: the squared distance from the mean so far, of each choice at each call."""
    rows = RNG.normal(size=(6, 5, 7))
    state, mean, seen, calls = None, np.zeros(7), 0.0, 0.0
    losses, squares = np.zeros(8), np.zeros(8)
    products = np.zeros((5, 5))
    for call in rows:
        weights = candidates(products, calls, AMONG)
        grad, state = regress(call.copy(), (7,), (), state, 0.9, AMONG)
        if seen:
            about = call - np.eye(5)[:, 4:] * mean
            loss = np.array([((w @ about[:4] + about[4]) ** 2).sum() for w in weights])
            kept = calls / (calls + 3.0)
            losses, squares = kept * losses + loss, kept**2 * squares + (loss[0] - loss) ** 2
            products, calls = 0.9 * products + about @ about.T, 0.9 * calls + 1
        seen = 0.9 * seen + 1
        mean = mean + (grad - mean) / seen
        np.testing.assert_allclose(state["losses"], losses, rtol=1e-12)
        np.testing.assert_allclose(state["squares"], squares, rtol=1e-9, atol=1e-20)
        np.testing.assert_allclose(state["mean"], mean, rtol=1e-12)
