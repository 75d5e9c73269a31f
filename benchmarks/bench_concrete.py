"""The relaxations of categoricals and their vector-Jacobian products."""

import numpy as np

from . import common

FUNCTIONS = ["gumbel_softmax", "gumbel_softmax_vjp", "relax", "relax_coupled", "relax_vjp"]


def calls(x):
    """Return a call for each name of FUNCTIONS."""
    import fastgrad as fg

    key, gradient = fg.Key(common.KEY), common.logits(*x.shape, x.dtype)
    options = {"temperature": common.TEMPERATURE, "rng": key}
    return {
        **common.works(x),
        "gumbel_softmax_vjp": lambda: fg.gumbel_softmax_vjp(x, gradient, **options),
        "relax_coupled": lambda: fg.relax(x, coupled=True, **options),
    }


class Categories(common.Call):
    params = common.grid(["gumbel_softmax", "relax", "relax_vjp"], [2, 16, 64, 1000])

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
    params = common.grid(["gumbel_softmax", "relax", "relax_vjp"], [1, 2])

    def setup(self, function, value):
        self.prepare(calls, function, threads=value)

    def time_function(self, function, value):
        self.call()


class Small:
    """The cost of a call: 10 x 2 logits."""

    params = FUNCTIONS
    param_names = ("function",)

    def setup(self, function):
        self.call = calls(common.logits(10, 2))[function]
        self.call()

    def time_function(self, function):
        self.call()


class Memory:
    """Peak memory of a backward pass over 64 samples of 4 MiB of logits each: one cotangent."""

    def setup(self):
        import fastgrad as fg

        self.x = common.logits(common.ROWS // 8)
        self.cotangent = np.ones((64, *self.x.shape), np.float32)
        self.options = {"temperature": common.TEMPERATURE, "rng": common.KEY}
        fg.gumbel_softmax_vjp(self.x, self.cotangent[:1], **self.options)

    def peakmem_gumbel_softmax_vjp(self):
        import fastgrad as fg

        fg.gumbel_softmax_vjp(self.x, self.cotangent, **self.options)
