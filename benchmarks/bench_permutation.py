"""Sinkhorn scaling, its products and matchings: 512 problems of 64 x 64."""

import numpy as np

from . import common

PROBLEMS, SIDE, TOLERANCE = 32 if common.QUICK else 512, 64, 1e-4
FUNCTIONS = ["sinkhorn", "gumbel_sinkhorn", "implicit", "unrolled", "matching"]


def log_alpha(problems=PROBLEMS, side=SIDE, dtype=np.float32):
    """Random problems, the same on every call."""
    return common.logits(problems * side, side, dtype).reshape(problems, side, side)


def calls(x, temperature=1.0):
    """Return a call for each name of FUNCTIONS."""
    import fastgrad as fg

    permutation, cotangent = fg.permutation, log_alpha(*x.shape[:2], x.dtype)[::-1]
    options = {"temperature": temperature, "tolerance": TOLERANCE}
    noisy, plain = {**options, "rng": fg.Key(common.KEY)}, {"newton": False, "method": "unrolled"}
    return {
        "sinkhorn": lambda: permutation.sinkhorn(x, **options),
        "gumbel_sinkhorn": lambda: permutation.gumbel_sinkhorn(x, **noisy),
        "implicit": lambda: permutation.sinkhorn_vjp(x, cotangent, **options),
        "unrolled": lambda: permutation.sinkhorn_vjp(x, cotangent, **options, **plain),
        "matching": lambda: permutation.matching(x),
    }


class Functions:
    params = common.grid(FUNCTIONS, ["float32", "float64"])
    param_names = ("function", "dtype")

    def setup(self, function, dtype):
        common.set_threads(1)
        self.call = calls(log_alpha(dtype=np.dtype(dtype)))[function]
        self.call()

    def time_function(self, function, dtype):
        self.call()


class Temperatures:
    """Down to where Sinkhorn's iterations alone take thousands."""

    params = common.grid(["sinkhorn", "implicit"], [1.0, 0.1, 0.01])
    param_names = ("function", "temperature")

    def setup(self, function, temperature):
        common.set_threads(1)
        self.call = calls(log_alpha(64), temperature)[function]
        self.call()

    def time_function(self, function, temperature):
        self.call()


class Sides:
    params = common.grid(["sinkhorn", "implicit", "matching"], [5, 16, 128])
    param_names = ("function", "side")

    def setup(self, function, side):
        common.set_threads(1)
        self.call = calls(log_alpha(2**16 // side**2 + 1, side))[function]
        self.call()

    def time_function(self, function, side):
        self.call()


class Threads:
    params = common.grid(["sinkhorn", "implicit", "matching"], [1, 2])
    param_names = ("function", "threads")

    def setup(self, function, threads):
        common.set_threads(threads)
        self.call = calls(log_alpha())[function]
        self.call()

    def time_function(self, function, threads):
        self.call()
