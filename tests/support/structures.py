"""Small problems over structures: the distributions that are no rows of categories or sites."""

import numpy as np

import fastgrad as fg

RNG = np.random.default_rng(22)
ARCS = np.array([[0, 1], [0, 2], [1, 2], [2, 1], [2, 3]])


def smooth(shape):
    """A function of features of this shape that is not linear, and its gradient."""
    w = np.random.default_rng(int(np.prod(shape))).normal(size=shape) / np.sqrt(np.prod(shape))
    axes = tuple(range(-len(shape), 0))

    def inner(x):
        return (x * w).sum(axis=axes)

    def grad(x):
        batch = x.shape[: x.ndim - len(shape)]
        return np.exp(inner(x)).reshape(*batch, *(1,) * len(shape)) * w

    return fg.objective(lambda x: np.exp(inner(x)), grad=grad)


STRUCTURES = {
    "KSubset": fg.subset.KSubset(RNG.normal(size=5), 2),
    "two of KSubset": fg.subset.KSubset(RNG.normal(size=(2, 4)), 2),
    "PlackettLuce": fg.permutation.PlackettLuce(RNG.normal(size=3)),
    "PlackettLuce of two": fg.permutation.PlackettLuce(RNG.normal(size=4), 2),
    "two of PlackettLuce": fg.permutation.PlackettLuce(RNG.normal(size=(2, 3)), 2),
    "GumbelMatching": fg.permutation.GumbelMatching(RNG.normal(size=(3, 3))),
    "two of GumbelMatching": fg.permutation.GumbelMatching(RNG.normal(size=(2, 2, 4))),
    "Poisson": fg.counts.Poisson(np.log(1.7)),
    "two of Poisson": fg.counts.Poisson(np.log([0.4, 1.0])),
    "Binomial": fg.counts.Binomial(np.array(0.3), 6),
    "Binomial of one": fg.counts.Binomial(np.array([0.3, -0.2, 1.0]), 1),
    "Geometric": fg.counts.Geometric(np.array(1.2)),
    "NegativeBinomial": fg.counts.NegativeBinomial(np.array(-1.5), 2.5),
    "Multinomial": fg.counts.Multinomial(RNG.normal(size=3), 3),
    "two of Multinomial": fg.counts.Multinomial(RNG.normal(size=(2, 3)), 2),
    "SpanningTree": fg.trees.SpanningTree(
        RNG.normal(size=5), np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 0]])
    ),
    "two of SpanningTree": fg.trees.SpanningTree(
        RNG.normal(size=(2, 3)), np.array([[0, 1], [1, 2], [2, 0]])
    ),
    "KSubset of one": fg.subset.KSubset(RNG.normal(size=5), 1),
    "Arborescence": fg.trees.Arborescence(RNG.normal(size=5), ARCS),
    "two of Arborescence": fg.trees.Arborescence(RNG.normal(size=(2, 5)), ARCS),
    "Knapsack": fg.subset.Knapsack(RNG.normal(size=4), [1, 2, 2, 3], 3),
    "two of Knapsack": fg.subset.Knapsack(RNG.normal(size=(2, 3)), [1, 2, 2], 3),
    "LinearChain": fg.chains.LinearChain(RNG.normal(size=(2, 2, 2))),
    "two of LinearChain": fg.chains.LinearChain(RNG.normal(size=(2, 1, 2, 2))),
    "CopulaBernoulli": fg.bernoulli.CopulaBernoulli(np.array([0.4, -0.7]), [0.6, -0.8]),
    "WeightedTree": fg.trees.WeightedTree(
        RNG.normal(size=5), np.array([[0, 1], [1, 2], [2, 0], [2, 3], [3, 0]])
    ),
    "two of WeightedTree": fg.trees.WeightedTree(
        RNG.normal(size=(2, 6)), np.append(ARCS, [[1, 3]], axis=0), 0
    ),
}


def objective_of(distribution):
    """The function that goes with a distribution: of all of its variables together."""
    return smooth(distribution.feature_shape)
