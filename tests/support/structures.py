"""Small problems over structures: the distributions that are no rows of categories or sites."""

import numpy as np

import fastgrad as fg

RNG = np.random.default_rng(22)


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
    "KSubset of one": fg.subset.KSubset(RNG.normal(size=5), 1),
}


def objective_of(distribution):
    """The function that goes with a distribution: of all of its variables together."""
    return smooth(distribution.feature_shape)
