"""Elementary functions, as compiled into a loop over an array."""

import numpy as np

from . import common

FUNCTIONS = ["log", "log_normal", "log1p", "exp", "expm1", "sigmoid", "softplus", "cos_2pi"]


def loop_over(name):
    """Compile out[i] = f(x[i])."""
    from fastgrad.kernels.compiler import jit
    from fastgrad.kernels.simd import special

    function = getattr(special, name)

    @jit.standalone
    def loop(x, out):
        jit.wide_vectors()
        for i in range(x.size):
            out[i] = function(x[i])

    return loop


class Elementary:
    params = common.grid(FUNCTIONS, ["float32", "float64"])
    param_names = ("function", "dtype")

    def setup(self, function, dtype):
        self.x = np.random.default_rng(0).random(1 << 16).astype(dtype) + np.dtype(dtype).type(0.1)
        self.out = np.empty_like(self.x)
        self.loop = loop_over(function)
        self.loop(self.x, self.out)

    def track_elementary_in_units(self, function, dtype):
        def make():
            x, out = self.x.copy(), np.empty_like(self.x)
            return lambda: self.loop(x, out)

        return common.in_units(make, self.x.size)

    track_elementary_in_units.unit = "U"


class Logaddexp:
    params = ("float32", "float64")
    param_names = ("dtype",)

    def setup(self, dtype):
        from fastgrad.kernels.compiler import jit
        from fastgrad.kernels.simd import special

        @jit.standalone
        def loop(a, b, out):
            jit.wide_vectors()
            for i in range(a.size):
                out[i] = special.logaddexp(a[i], b[i])

        rng = np.random.default_rng(0)
        self.a, self.b = rng.normal(size=(2, 1 << 16)).astype(dtype)
        self.out = np.empty_like(self.a)
        self.loop = loop
        loop(self.a, self.b, self.out)

    def time_logaddexp(self, dtype):
        self.loop(self.a, self.b, self.out)
