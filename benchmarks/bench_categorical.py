"""Functions of categorical logits."""

import numpy as np

from . import common

FUNCTIONS = [
    "log_softmax",
    "sample",
    "sample_gumbel",
    "log_prob",
    "score",
    "entropy",
    "kl_divergence",
    "entropy_vjp",
    "kl_divergence_vjp",
]


def calls(x):
    """Return a call for each name of FUNCTIONS."""
    import fastgrad as fg

    key, soft, indices = fg.Key(common.KEY), np.empty_like(x), np.empty(x.shape[:-1], np.int32)
    z, other, weight = fg.sample(x, rng=1), x[::-1].copy(), np.ones(x.shape[:-1], x.dtype)
    return {
        "log_softmax": lambda: fg.log_softmax(x, out=soft),
        "sample": lambda: fg.sample(x, rng=key, out=indices),
        "sample_gumbel": lambda: fg.sample(x, rng=key, method="gumbel", out=indices),
        "log_prob": lambda: fg.log_prob(x, z),
        "score": lambda: fg.score(x, z, out=soft),
        "entropy": lambda: fg.entropy(x),
        "kl_divergence": lambda: fg.kl_divergence(x, other),
        "entropy_vjp": lambda: fg.entropy_vjp(x, weight),
        "kl_divergence_vjp": lambda: fg.kl_divergence_vjp(x, other, weight),
    }


class Categories(common.Call):
    params = common.grid(["log_softmax", "sample", "score"], [2, 16, 64, 1000])

    def setup(self, function, value):
        self.prepare(calls, function, categories=value)

    def time_function(self, function, value):
        self.call()


class Dtype(common.Call):
    params = common.grid(FUNCTIONS, ["float32", "float64"])

    def setup(self, function, value):
        self.prepare(calls, function, dtype=value, rows=common.FEW)

    def track_in_units(self, function, value):
        return common.steady_units(self.make, common.FEW * common.CATEGORIES)

    track_in_units.unit = "U"


class Threads(common.Call):
    params = common.grid(["log_softmax", "sample", "score"], [1, 2])

    def setup(self, function, value):
        self.prepare(calls, function, threads=value)

    def time_function(self, function, value):
        self.call()


class Vocabulary(common.Call):
    """A few rows of very many categories: threads share a row."""

    params = common.grid(["log_softmax", "sample", "sample_gumbel"], [1, 2])

    def setup(self, function, value):
        common.set_threads(value)
        self.call = calls(common.logits(16, 131_072))[function]
        self.call()

    def time_function(self, function, value):
        self.call()


class Memory:
    """Peak memory of 64 samples of 4 MiB of logits each: the indices only, no noise."""

    def setup(self):
        import fastgrad as fg

        self.x = common.logits()
        fg.sample(self.x, num_samples=2, rng=1)

    def peakmem_sample(self):
        import fastgrad as fg

        fg.sample(self.x, num_samples=64, rng=common.KEY)
