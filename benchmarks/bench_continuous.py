"""Continuous families: samples, their derivatives, and estimates."""

import functools

import numpy as np

from . import common

FAMILIES = ["normal", "gamma", "dirichlet", "student_t", "von_mises"]
FUNCTIONS = ["sample", "transform_vjp", "transform_score", "log_prob", "score"]


def distribution(family, dtype, size=1024):
    """Return a distribution of so many variables, of parameters near 1."""
    from fastgrad import continuous

    rng = np.random.default_rng(0)
    a, b, c = rng.normal(size=(3, size)).astype(dtype)
    return {
        "normal": lambda: continuous.Normal(a, b),
        "gamma": lambda: continuous.Gamma(a, b),
        "dirichlet": lambda: continuous.Dirichlet(a.reshape(-1, 8)),
        "student_t": lambda: continuous.StudentT(a, b, c + 1),
        "von_mises": lambda: continuous.VonMises(a, b),
    }[family]()


def calls(family, dtype, num_samples=64):
    """Return a call for each name of FUNCTIONS."""
    d = distribution(family, dtype)
    noise = d.noise(num_samples, rng=common.KEY)
    x = d.transform(noise)
    return {
        "sample": lambda: d.sample(num_samples=num_samples, rng=common.KEY),
        "transform_vjp": lambda: d.transform_vjp(noise, x),
        "transform_score": lambda: d.transform_score(noise),
        "log_prob": lambda: d.log_prob(x),
        "score": lambda: d.score(x),
    }


def call_of(family, function, dtype):
    """Return one of the calls, on one thread."""
    common.set_threads(1)
    call = calls(family, dtype)[function]
    call()
    return call


class Function:
    """Times for 64 samples of 1,024 numbers on one thread."""

    params = common.grid(FAMILIES, FUNCTIONS, ["float32", "float64"])
    param_names = ("family", "function", "dtype")

    def setup(self, family, function, dtype):
        self.make = functools.partial(call_of, family, function, dtype)
        self.call = self.make()

    def time_function(self, family, function, dtype):
        self.call()

    def track_in_units(self, family, function, dtype):
        return common.steady_units(self.make, 64 * 1024)

    track_in_units.unit = "U"


class Threads:
    params = common.grid(["sample", "transform_vjp"], [1, 2])
    param_names = ("function", "threads")

    def setup(self, function, threads):
        common.set_threads(threads)
        self.call = calls("gamma", "float64")[function]
        self.call()

    def time_gamma(self, function, threads):
        self.call()


class Estimate:
    params = ("pathwise", "score_function")
    param_names = ("estimator",)

    def setup(self, estimator):
        import fastgrad as fg

        f = fg.objective(lambda x: (x**2).sum(axis=-1), grad=lambda x: 2 * x)
        d = distribution("gamma", np.float64)
        chosen = fg.estimator(estimator)
        self.call = lambda: chosen(f, d, num_samples=64, rng=common.KEY)
        self.call()

    def time_estimate(self, estimator):
        self.call()
