"""A graph of a discrete node and a continuous one that is made of it."""

import numpy as np

from . import common


class Chain:
    params = (16, 1024)
    param_names = ("num_samples",)

    def setup(self, num_samples):
        import fastgrad as fg

        w = np.random.default_rng(0).normal(size=(32, 4))
        nodes = {
            "z": np.zeros((32, 4)),
            "x": fg.graph.Conditional(
                ("z", "w"),
                lambda z, w: fg.continuous.Normal((z * w).sum(axis=-1), 0 * z[..., 0]),
                lambda grad, z, w: {"w": (grad["loc"][..., None] * z).sum(axis=0)},
            ),
        }
        f = fg.objective(lambda z, x, w: (x**2).sum(axis=-1), grad=lambda z, x, w: {"x": 2 * x})
        self.call = lambda: fg.expectation_grad(
            f, nodes, parameters={"w": w}, num_samples=num_samples, rng=common.KEY
        )
        self.call()

    def time_expectation_grad(self, num_samples):
        self.call()
