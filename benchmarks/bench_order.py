"""Soft sorts, ranks and selections, and their products: 64 rows of 10,000 values."""

import numpy as np

from . import common

SHAPE = 8 if common.QUICK else 64, 10_000
FUNCTIONS = ["soft_sort", "soft_rank", "soft_top_k", "soft_median"]
FUNCTIONS += ["soft_sort_vjp", "soft_rank_vjp"]
METHODS = ["quadratic", "entropic", "laplace"]


def calls(x, **options):
    """Return a call for each name of FUNCTIONS."""
    import fastgrad as fg

    order, cotangent = fg.order, x[::-1]
    return {
        "soft_sort": lambda: order.soft_sort(x, **options),
        "soft_rank": lambda: order.soft_rank(x, **options),
        "soft_top_k": lambda: order.soft_top_k(x, 1 + x.shape[1] // 10, **options),
        "soft_median": lambda: order.soft_median(x, **options),
        "soft_sort_vjp": lambda: order.soft_sort_vjp(x, cotangent, **options),
        "soft_rank_vjp": lambda: order.soft_rank_vjp(x, cotangent, **options),
    }


class Functions:
    params = common.grid(FUNCTIONS, METHODS, ["float32", "float64"])
    param_names = ("function", "method", "dtype")

    def setup(self, function, method, dtype):
        common.set_threads(1)
        self.call = calls(common.logits(*SHAPE, np.dtype(dtype)), method=method)[function]
        self.call()

    def time_function(self, function, method, dtype):
        self.call()


class Temperatures:
    """From hardly any pooling of neighbours to one pool of all."""

    params = common.grid(["soft_sort", "soft_rank"], METHODS[:2], [1e-4, 1e-2, 1.0, 100.0])
    param_names = ("function", "method", "temperature")

    def setup(self, function, method, temperature):
        common.set_threads(1)
        x = common.logits(*SHAPE, np.dtype("float32"))
        self.call = calls(x, method=method, temperature=temperature)[function]
        self.call()

    def time_function(self, function, method, temperature):
        self.call()


class Lengths:
    """As many values in rows of other lengths."""

    params = common.grid(["soft_sort", "soft_rank"], [10, 100, 1_000, 640_000])
    param_names = ("function", "length")

    def setup(self, function, length):
        common.set_threads(1)
        x = common.logits(SHAPE[0] * SHAPE[1] // length, length, np.dtype("float32"))
        self.call = calls(x)[function]
        self.call()

    def time_function(self, function, length):
        self.call()


class Hard:
    """Beside NumPy: ranks by its argsort take a second pass over the rows."""

    params = common.grid(["soft_rank", "soft_sort", "numpy.sort", "numpy.argsort"])
    param_names = ("function",)

    def setup(self, function):
        common.set_threads(1)
        x = common.logits(*SHAPE, np.dtype("float32"))
        plain = {"numpy.sort": lambda: np.sort(x), "numpy.argsort": lambda: np.argsort(x)}
        self.call = plain.get(function) or calls(x, hard=True)[function]
        self.call()

    def time_function(self, function):
        self.call()


class Threads:
    params = common.grid(["soft_sort", "soft_rank"], [1, 2])
    param_names = ("function", "threads")

    def setup(self, function, threads):
        common.set_threads(threads)
        self.call = calls(common.logits(*SHAPE, np.dtype("float32")))[function]
        self.call()

    def time_function(self, function, threads):
        self.call()
