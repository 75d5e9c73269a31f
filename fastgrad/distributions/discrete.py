"""What categorical and Bernoulli variables share, so that nothing else need tell them apart.

Both are exponential families. A sample has features x, (S, *logits.shape): one-hot, or the 0 or 1
itself where a variable has a single logit. Its score is x - E[x], and the Jacobian of p = E[x] by
the logits is diag(p) - p p^T of each variable, which for a single feature is p (1 - p).
"""

import numpy as np

from fastgrad.distributions import bernoulli, concrete
from fastgrad.distributions.categorical import Categorical
from fastgrad.kernels.tiles import features as _kernels


def as_distribution(distribution):
    """Return the distribution that a user means: an array is logits of categoricals."""
    return distribution if hasattr(distribution, "batch_shape") else Categorical(distribution)


def single_logit(distribution):
    """Return whether a variable has one logit, that of outcome 1 against outcome 0."""
    return distribution.logits.shape == distribution.batch_shape


def num_outcomes(distribution):
    """Return how many outcomes a variable has: K, or 2 with a single logit."""
    return 2 if single_logit(distribution) else distribution.logits.shape[-1]


def num_features(distribution):
    """Return how many features a variable has: K, or 1 with a single logit."""
    return 1 if single_logit(distribution) else distribution.logits.shape[-1]


def features(distribution, z):
    """Return the features of outcomes z, shape (S, *batch): an array (S, *logits.shape)."""
    dtype = distribution.logits.dtype
    if single_logit(distribution):
        return z.astype(dtype)
    x = np.empty((*z.shape, num_features(distribution)), dtype)
    _kernels.one_hot(z.reshape(-1), x.reshape(z.size, x.shape[-1]))
    return x


def log_probabilities(distribution):
    """Return the log probability of each outcome k of each variable, shape (K, *batch)."""
    k, batch = num_outcomes(distribution), distribution.batch_shape
    each = np.arange(k, dtype=np.int32).reshape(k, *(1 for _ in batch))
    return distribution.log_prob(np.broadcast_to(each, (k, *batch)))


def mean_and_product(distribution, weights):
    """Return the mean of sum(weights x), x the features, and its gradient by the logits."""
    p = np.exp(log_probabilities(distribution))
    p = np.moveaxis(p[-num_features(distribution) :], 0, -1)  # of two outcomes, 1 is the feature
    w = weights.reshape(p.shape)
    mean = (p * w).sum(axis=-1, keepdims=True)
    return mean.sum(), (p * (w - mean)).reshape(weights.shape)


def relaxations(distribution):
    """Return the module with `gumbel_softmax`, `relax` and their products for its logits."""
    return concrete if isinstance(distribution, Categorical) else bernoulli
