"""Steps of optimisers."""

import numpy as np

from . import common


class Step:
    params = common.grid(["sgd", "adam"], ["float32", "float64"], [1, 2])
    param_names = ("optimiser", "dtype", "threads")

    def setup(self, optimiser, dtype, threads):
        import fastgrad as fg

        common.set_threads(threads)
        kinds = {"sgd": fg.optim.SGD(learning_rate=0.1, momentum=0.9), "adam": fg.optim.Adam()}
        x, g = np.random.default_rng(0).normal(size=(2, 1 << 20)).astype(dtype)
        _, state = kinds[optimiser].update(x, g)
        self.call = lambda: kinds[optimiser].update(x, g, state)
        self.call()

    def time_step(self, optimiser, dtype, threads):
        self.call()


class Small:
    """Ten arrays of 100: what a call costs."""

    def setup(self):
        import fastgrad as fg

        adam = fg.optim.Adam()
        x = {str(i): np.zeros(100) for i in range(10)}
        _, state = adam.update(x, x)
        self.call = lambda: adam.update(x, x, state)

    def time_step(self):
        self.call()
