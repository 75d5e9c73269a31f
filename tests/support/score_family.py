"""What the tests of score-function estimators share: exact moments by nodes, and small problems."""

import dataclasses

import numpy as np
from exact_moments import all_moments

import fastgrad as fg
from fastgrad import exact

RNG = np.random.default_rng(5)

LOGITS = {
    "one": np.array([[0.3, -1.0, 0.8]]),
    "plain": np.array([[0.3, -1.0, 0.8], [0.0, 0.5, -0.2]]),
    "four binary": np.array([[0.3, -1.0], [0.0, 0.5], [-0.7, 0.1], [1.5, 0.0]]),
    "three": RNG.normal(size=(3, 3)),
    "five categories": np.array([[0.3, -1.0, 0.8, 0.1, -0.4]]),
    "masked": np.array([[0.3, -np.inf, 0.8], [-np.inf, 0.5, -np.inf]]),
    "near-deterministic": np.array([[30.0, 0.0, -2.0], [0.0, -700.0, 2.0]]),
}
BERNOULLI = {
    "one": np.array([0.7]),
    "three": np.array([0.3, -1.0, 2.0]),
    "certain": np.array([0.3, np.inf, -np.inf]),
    "near-deterministic": np.array([0.3, 25.0]),
}
PROBLEMS = [(fg.Categorical, case) for case in LOGITS] + [(fg.Bernoulli, c) for c in BERNOULLI]


def problem(kind, case):
    """The distribution of a case."""
    return kind((LOGITS if kind is fg.Categorical else BERNOULLI)[case])


def smooth(d, seed=1):
    """A non-symmetric smooth f of the features of d, behind any number of leading axes.

    Values are one number for all variables of d; the gradient is exact.
    """
    rng = np.random.default_rng(seed)
    axes = tuple(range(-d.logits.ndim, 0))
    u, v, w = rng.normal(size=(3, *d.logits.shape))

    def f(x):
        return (u * x).sum(axes) ** 2 + np.sin((v * x).sum(axes)) + 3 * (w * x**2).sum(axes) + 2

    def grad(x):
        a, b = (np.expand_dims((y * x).sum(axes), axes) for y in (u, v))
        return 2 * a * u + np.cos(b) * v + 6 * w * x

    return fg.objective(f, grad=grad)


def moments(run, f, d, num_samples, state=None):
    """Exact mean and covariance (flat) of an estimator's gradient, and the mean of its value."""
    found = all_moments(run, f, d, num_samples, state)
    return found.mean, found.covariance, found.value


def variance(*args, **options):
    """The sum of the variances of all coordinates."""
    return np.trace(moments(*args, **options)[1])


def assert_unbiased(run, f, d, num_samples, state=None, tolerance=1e-11):
    """The exact mean of an estimator is the exact gradient."""
    mean, covariance, value = moments(run, f, d, num_samples, state)
    truth, grad = exact.value_and_grad(f, d)
    np.testing.assert_allclose(mean, grad, rtol=0, atol=tolerance)
    np.testing.assert_allclose(value, truth, rtol=1e-12)
    return np.trace(covariance)


def with_option(run, **options):
    """An estimator with other options."""
    return dataclasses.replace(run, **options)
