"""Sparse maps of logits to the simplex, their products, losses and Gumbel versions."""

import numpy as np

from . import common

SHAPE = common.ROWS, 64
FUNCTIONS = ["sparsemax", "entmax15", "entmax", "sparsemax_vjp", "entmax15_vjp", "entmax15_loss"]
FUNCTIONS += ["gumbel_sparsemax", "gumbel_sparsemax_vjp"]


def calls(x):
    """Return a call for each name of FUNCTIONS."""
    import fastgrad as fg

    sparse, out, cotangent = fg.sparse, np.empty_like(x), x[::-1]
    noisy, z = {"temperature": 1.0, "rng": fg.Key(common.KEY)}, np.zeros(len(x), np.int32)
    return {
        "sparsemax": lambda: sparse.sparsemax(x, out=out),
        "entmax15": lambda: sparse.entmax15(x, out=out),
        "entmax": lambda: sparse.entmax(x, alpha=1.3, out=out),
        "sparsemax_vjp": lambda: sparse.sparsemax_vjp(x, cotangent),
        "entmax15_vjp": lambda: sparse.entmax15_vjp(x, cotangent),
        "entmax15_loss": lambda: sparse.entmax15_loss(x, z),
        "gumbel_sparsemax": lambda: sparse.gumbel_sparsemax(x, out=out, **noisy),
        "gumbel_sparsemax_vjp": lambda: sparse.gumbel_sparsemax_vjp(x, cotangent, **noisy),
    }


class Functions:
    params = common.grid(FUNCTIONS, ["float32", "float64"])
    param_names = ("function", "dtype")

    def setup(self, function, dtype):
        common.set_threads(1)
        self.call = calls(common.logits(*SHAPE, np.dtype(dtype)))[function]
        self.call()

    def time_function(self, function, dtype):
        self.call()


class Categories:
    """As many logits in rows of other lengths."""

    params = common.grid(["sparsemax", "entmax15", "entmax"], [2, 10, 1_000, 1_000_000])
    param_names = ("function", "categories")

    def setup(self, function, categories):
        common.set_threads(1)
        rows = max(1, SHAPE[0] * SHAPE[1] // categories)
        self.call = calls(common.logits(rows, categories, np.dtype("float32")))[function]
        self.call()

    def time_function(self, function, categories):
        self.call()


class Threads:
    params = common.grid(["sparsemax", "entmax15"], [1, 2])
    param_names = ("function", "threads")

    def setup(self, function, threads):
        common.set_threads(threads)
        self.call = calls(common.logits(*SHAPE, np.dtype("float32")))[function]
        self.call()

    def time_function(self, function, threads):
        self.call()
