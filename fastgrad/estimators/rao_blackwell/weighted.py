"""Sums over outcomes of weights that are not all the same, times what f says or the score."""

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimate, read_only
from fastgrad.estimators.sums import outcomes
from fastgrad.kernels.estimators import sums_of_scores as _kernels


def flat(values):
    """Return values (S, ...) as read-only float64 (S, n)."""
    values = values.reshape(len(values), -1)
    return read_only(np.ascontiguousarray(values, np.float64))


def spread(weights, x):
    """Return weights (S, M) as those of x, (S, n): n / M consecutive ones to each cell."""
    return weights if weights.shape[1] == x.shape[1] else _repeated(weights, x.shape[1])


def _repeated(weights, n):
    return np.repeat(weights, n // max(weights.shape[1], 1), axis=1)


def mean(weights, f):
    """Return sum of weights f, both (S, M), for weights that sum to 1: that of a constant is it."""
    return f[0] + (weights * (f - f[0])).sum(axis=0)


def others(x):
    """Return the sums over all samples but each, (S, n), without a subtraction."""
    sums = np.zeros_like(x)
    sums[1:] = np.cumsum(x[:-1], axis=0)
    sums[:-1] += np.cumsum(x[:0:-1], axis=0)[::-1]
    return sums


def scores(distribution, z, weights, *, centred=False):
    """Return the sum over outcomes z (S, *batch) of weights score(z), the shape of the logits.

    Weights (S, n) are those of variables or cells. The sum is that of weights times one-hot(z) -
    one-hot(z_0), and of all weights times score(z_0), nothing if they are centred: what all samples
    agree on, and what is masked, gets exactly zero.
    """
    k = discrete.num_features(distribution)
    logits = distribution.logits.reshape(distribution.logits.size // k, k)
    total = weights.sum(axis=0)[: 0 if centred else None]
    weights, out = read_only(np.ascontiguousarray(weights)), np.empty_like(logits)
    single, z = discrete.single_logit(distribution), outcomes(distribution, z)
    _kernels.weighted(z, weights, total, logits, single, out)
    return out.reshape(distribution.logits.shape)


def estimate_of(distribution, values, mean, grad, state):
    """Return the estimate, its value in the shape of those of f and the dtype of the logits."""
    mean = mean.astype(distribution.logits.dtype).reshape(values.value.shape[1:])
    return Estimate(mean[()], grad, state, len(values.value))
