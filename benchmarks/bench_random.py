"""Noise."""

import functools

import numpy as np

from . import common

SHAPE = (common.ROWS, common.CATEGORIES)


def noise(law, rows, dtype):
    """Return a call that fills so many rows, on one thread."""
    import fastgrad as fg

    common.set_threads(1)
    function, out = getattr(fg.random, law), np.empty((rows, common.CATEGORIES), dtype)
    return lambda: function(out.shape, rng=common.KEY, dtype=out.dtype, out=out)


class Noise:
    params = common.grid(
        ["uniform", "exponential", "gumbel", "logistic", "normal"], ["float32", "float64"]
    )
    param_names = ("law", "dtype")

    def setup(self, law, dtype):
        self.call = noise(law, common.ROWS, dtype)
        self.call()

    def time_noise(self, law, dtype):
        self.call()

    def track_noise_in_units(self, law, dtype):
        few = functools.partial(noise, law, common.FEW, dtype)
        return common.steady_units(few, common.FEW * common.CATEGORIES)

    track_noise_in_units.unit = "U"


class Threads:
    params = (1, 2)
    param_names = ("threads",)

    def setup(self, threads):
        import fastgrad as fg

        common.set_threads(threads)
        out = np.empty(SHAPE, np.float32)
        self.call = lambda: fg.random.gumbel(SHAPE, rng=common.KEY, out=out)
        self.call()

    def time_gumbel(self, threads):
        self.call()


class Small:
    def setup(self):
        import fastgrad as fg

        self.call = lambda: fg.random.gumbel((10, 2), rng=common.KEY)
        self.call()

    def time_gumbel(self):
        self.call()


class Keys:
    def setup(self):
        import fastgrad as fg

        self.key = fg.Key(common.KEY)
        self.key.fold_in(1)
        self.key.split(2)

    def time_fold_in(self):
        self.key.fold_in(5)

    def time_split(self):
        self.key.split(100)
