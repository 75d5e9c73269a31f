"""Choices of k items: Gumbel top-k and its law, relaxed, and sums over all subsets."""

import numpy as np

from . import common

FUNCTIONS = [
    "gumbel_top_k",
    "log_prob",
    "score",
    "relaxed_top_k",
    "relaxed_top_k_vjp",
    "k_hot",
    "marginals",
    "marginals_vjp",
]


def calls(x, k=4):
    """Return a call for each name of FUNCTIONS."""
    import fastgrad as fg

    key, subset, gradient = fg.Key(common.KEY), fg.subset, common.logits(*x.shape, x.dtype)
    z, options = subset.gumbel_top_k(x, k, rng=key), {"temperature": common.TEMPERATURE, "rng": key}
    return {
        "gumbel_top_k": lambda: subset.gumbel_top_k(x, k, rng=key),
        "log_prob": lambda: subset.log_prob(x, z),
        "score": lambda: subset.score(x, z),
        "relaxed_top_k": lambda: subset.relaxed_top_k(x, k, **options),
        "relaxed_top_k_vjp": lambda: subset.relaxed_top_k_vjp(x, gradient, k, **options),
        "k_hot": lambda: subset.k_hot(x, k, rng=key),
        "marginals": lambda: subset.marginals(x, k),
        "marginals_vjp": lambda: subset.marginals_vjp(x, gradient, k),
    }


class Functions:
    params = common.grid(FUNCTIONS, ["float32", "float64"])
    param_names = ("function", "dtype")

    def setup(self, function, dtype):
        common.set_threads(1)
        self.call = calls(common.logits(8192, 16, np.dtype(dtype)))[function]
        self.call()

    def time_function(self, function, dtype):
        self.call()


class Thousand:
    """One row of 1,000 items."""

    params = common.grid(["gumbel_top_k", "relaxed_top_k", "marginals", "marginals_vjp"], [5, 500])
    param_names = ("function", "k")

    def setup(self, function, k):
        common.set_threads(1)
        self.call = calls(common.logits(1, 1000), k)[function]
        self.call()

    def time_function(self, function, k):
        self.call()


class Threads:
    params = common.grid(["gumbel_top_k", "score", "relaxed_top_k", "marginals"], [1, 2])
    param_names = ("function", "threads")

    def setup(self, function, threads):
        common.set_threads(threads)
        self.call = calls(common.logits(8192, 16))[function]
        self.call()

    def time_function(self, function, threads):
        self.call()
