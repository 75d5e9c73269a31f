"""Estimators of sets, orders, matchings, trees, chains and counts."""

import numpy as np

from . import common

CALLS = {
    "KSubset": ("rloo", "straight_through", "gumbel_softmax"),
    "Knapsack": ("rloo", "straight_through", "gumbel_softmax"),
    "PlackettLuce": ("rloo", "gumbel_softmax", "rebar"),
    "GumbelMatching": ("gumbel_softmax",),
    "SpanningTree": ("rloo", "gumbel_softmax", "rebar"),
    "Arborescence": ("rloo", "gumbel_softmax", "rebar"),
    "WeightedTree": ("rloo", "straight_through"),
    "LinearChain": ("rloo", "straight_through", "gumbel_softmax"),
    "Poisson": ("rloo", "measure_valued"),
    "Multinomial": ("rloo",),
}
# Of the complete graph of 6 nodes, and one to a seventh: 16, none of which leads to node 0.
EDGES = np.append(np.argwhere(np.triu(np.ones((6, 6)), 1)), [[5, 6]], axis=0)


def distributions(dtype):
    """Return a distribution of each kind, of parameters of this type."""
    import fastgrad as fg

    x = common.logits(256, 16, dtype)
    return {
        "KSubset": fg.subset.KSubset(x, 4),
        "Knapsack": fg.subset.Knapsack(x, np.arange(16) + 1, 40),
        "PlackettLuce": fg.permutation.PlackettLuce(x),
        "GumbelMatching": fg.permutation.GumbelMatching(x.reshape(16, 16, 16)),
        "SpanningTree": fg.trees.SpanningTree(x, EDGES),
        "Arborescence": fg.trees.Arborescence(x, EDGES),
        "WeightedTree": fg.trees.WeightedTree(x, EDGES),
        "LinearChain": fg.chains.LinearChain(x.reshape(16, 16, 4, 4)),
        "Poisson": fg.counts.Poisson(x),
        "Multinomial": fg.counts.Multinomial(x, 8),
    }


class Estimators:
    params = common.grid([f"{kind} {name}" for kind in CALLS for name in CALLS[kind]], ["float32"])
    param_names = ("call", "dtype")

    def setup(self, call, dtype):
        import fastgrad as fg

        common.set_threads(1)
        kind, name = call.split()
        self.distribution = distributions(np.dtype(dtype))[kind]
        examples = len(self.distribution.batch_shape)
        axes = tuple(range(1 + examples, 1 + len(self.distribution.feature_shape)))
        self.objective = fg.objective(lambda x: x.sum(axis=axes), grad=np.ones_like)
        self.estimator = fg.estimator(name)
        self.time_estimate(call, dtype)

    def time_estimate(self, call, dtype):
        self.estimator(self.objective, self.distribution, num_samples=8, rng=0)
