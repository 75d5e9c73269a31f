"""Weights of least squares against `numpy.linalg.lstsq`."""

import numpy as np

from fastgrad.estimators.pooled_controls.least_squares import least_squares

RNG = np.random.default_rng(11)


def test_weights_are_those_of_least_squares():
    terms, target = RNG.normal(size=(2, 3, 500)) * np.array([1e-6, 1.0, 1e5])[:, None], None
    target = RNG.normal(size=(2, 1, 500)) + terms[:, :1] * 3e6 - terms[:, 1:2]
    rows = np.concatenate([terms, target], axis=1)
    found = least_squares(rows @ rows.swapaxes(1, 2), 1e6)
    for weights, h, g in zip(found, terms, target):
        expected = np.linalg.lstsq(h.T / [1e-6, 1.0, 1e5], -g[0], rcond=None)[0]
        np.testing.assert_allclose(weights * [1e-6, 1.0, 1e5], expected, rtol=1e-6)


def test_a_term_that_is_always_zero_gets_no_weight():
    products = np.diag([4.0, 0.0, 9.0])
    products[0, 2] = products[2, 0] = -2.0
    np.testing.assert_allclose(least_squares(products, 1e6), [0.5, 0.0], rtol=1e-9)
    np.testing.assert_array_equal(least_squares(products, 0.0), [0.0, 0.0])
