"""The univariate continuous families beside SciPy's: constructor, parameters, frozen law."""

import numpy as np
from scipy import stats

import fastgrad as fg

C = fg.continuous


def _exp(function):
    return lambda *parameters: function(*(np.exp(p) for p in parameters))


# Name: (class, law of its parameters, two sets of parameters).
FAMILIES = {
    "normal": (
        C.Normal,
        lambda loc, log_scale: stats.norm(loc, np.exp(log_scale)),
        [(0.3, -0.5), (-2.0, 1.2)],
    ),
    "lognormal": (
        C.LogNormal,
        lambda loc, log_scale: stats.lognorm(np.exp(log_scale), scale=np.exp(loc)),
        [(0.3, -0.5), (-1.0, -1.5)],
    ),
    "logistic": (
        C.Logistic,
        lambda loc, log_scale: stats.logistic(loc, np.exp(log_scale)),
        [(0.3, -0.5), (-2.0, 0.3)],
    ),
    "laplace": (
        C.Laplace,
        lambda loc, log_scale: stats.laplace(loc, np.exp(log_scale)),
        [(0.3, -0.5), (-2.0, 0.3)],
    ),
    "exponential": (
        C.Exponential,
        lambda log_rate: stats.expon(scale=np.exp(-log_rate)),
        [(0.4,), (-1.0,)],
    ),
    "uniform": (
        C.Uniform,
        lambda low, high: stats.uniform(low, high - low),
        [(-1.0, 2.0), (3.0, 3.5)],
    ),
    "gamma": (
        C.Gamma,
        lambda log_a, log_rate: stats.gamma(np.exp(log_a), scale=np.exp(-log_rate)),
        [(-0.7, 0.4), (1.5, 1.0)],
    ),
    "beta": (C.Beta, _exp(stats.beta), [(-0.5, 0.6), (1.2, 0.1)]),
    "student_t": (
        C.StudentT,
        lambda loc, log_scale, log_df: stats.t(np.exp(log_df), loc, np.exp(log_scale)),
        [(0.3, -0.5, 1.2), (-1.0, 0.2, 3.0)],
    ),
    "von_mises": (
        C.VonMises,
        lambda loc, log_k: stats.vonmises(np.exp(log_k), loc),
        [(0.3, -0.5), (-1.0, 1.5)],
    ),
}


def make(name, parameters, shape=(), dtype=np.float64):
    """Build a distribution of so many copies of the same parameters."""
    return FAMILIES[name][0](*(np.full(shape, p, dtype) for p in parameters))
