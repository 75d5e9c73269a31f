"""Functions of Bernoulli logits, one per site."""

from . import common

FUNCTIONS = ["sample", "log_prob", "score", "relax", "relax_vjp"]


def calls(x):
    """Return a call for each name of FUNCTIONS."""
    from fastgrad.distributions import bernoulli

    z, gradient = bernoulli.sample(x, rng=1), common.logits(*x.shape, x.dtype)
    options = {"temperature": common.TEMPERATURE, "rng": common.KEY}
    return {
        "sample": lambda: bernoulli.sample(x, rng=common.KEY),
        "log_prob": lambda: bernoulli.log_prob(x, z),
        "score": lambda: bernoulli.score(x, z),
        "relax": lambda: bernoulli.relax(x, **options),
        "relax_vjp": lambda: bernoulli.relax_vjp(x, gradient, gradient, **options),
    }


class Dtype(common.Call):
    params = common.grid(FUNCTIONS, ["float32", "float64"])

    def setup(self, function, value):
        self.prepare(calls, function, dtype=value, rows=common.FEW)

    def track_in_units(self, function, value):
        return common.steady_units(self.make, common.FEW * common.CATEGORIES)

    track_in_units.unit = "U"


class Threads(common.Call):
    params = common.grid(["sample", "relax", "relax_vjp"], [1, 2])

    def setup(self, function, value):
        self.prepare(calls, function, threads=value)

    def time_function(self, function, value):
        self.call()


class Small:
    """The cost of a call: 10 sites."""

    params = FUNCTIONS
    param_names = ("function",)

    def setup(self, function):
        self.call = calls(common.logits(10, 1))[function]
        self.call()

    def time_function(self, function):
        self.call()
