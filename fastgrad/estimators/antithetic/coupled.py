"""What estimators with coupled samples share."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimate, Estimator, read_only
from fastgrad.estimators.sums import Mean
from fastgrad.kernels.estimators.antithetic import coupled_log_odds as _log_odds
from fastgrad.kernels.estimators.antithetic import coupled_sticks as _kernels

MANY = 64  # categories for which NumPy sorts faster than the kernel counts


class Coupled(Estimator):
    """Asks f at all samples of a group, each of which by itself has the right law.

    The whole sample is coupled, variable by variable. With credit, the signal is each variable's
    own: what is unbiased for f is so for any function. `sums(distribution, size)` makes what takes
    blocks of (draws, signal (S, M)), in groups of that size, and has the `gradient` of them.
    """

    unbiased = True
    min_samples = 2
    group_size = 2

    def __post_init__(self):
        if self.group_size is not None:
            _validate.integer(self.group_size, "group_size", self.min_samples)

    def group(self, num_samples):
        """Return the size of a group: where it is not given, all samples are one."""
        return self.group_size or num_samples

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f at the outcomes."""
        return objective.outcomes(distribution, draws, offset=offset)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (draws, `Values`)."""
        value, sums = Mean(), None
        for draws, answer in blocks:
            value.add(answer.value)
            size = self.group(len(answer.value))
            sums = sums or self.sums(distribution, size)
            sums.add(draws, cells(answer.signal))
        grad = sums.gradient(value.count // size).reshape(distribution.logits.shape)
        return Estimate(value.result.astype(grad.dtype), grad, state, value.count)


def cells(signal):
    """Return a signal (S, *cells) as (S, M)."""
    x = _validate.real_array(signal, "signal")
    return x.reshape(len(x), -1)


def binary_logits(distribution, name):
    """Return the logit of outcome 1 of each variable, flat; refuse variables of other K than 2."""
    logits, k = distribution.logits, discrete.num_outcomes(distribution)
    if k != 2:
        raise ValueError(
            f"{name} is for binary variables, Bernoulli or categorical with K = 2, got K = {k}"
        )
    if discrete.single_logit(distribution):
        return logits.reshape(-1)
    t = np.empty(logits.size // 2, logits.dtype)
    _log_odds.log_odds(logits.reshape(t.size, 2), t)
    return read_only(t)


def rows(distribution):
    """Return logits, or log probabilities up to a constant, of all outcomes: (N, K)."""
    logits = distribution.logits
    if discrete.single_logit(distribution):
        logits = np.stack([-np.maximum(logits, 0), np.minimum(logits, 0)], axis=-1)
    return read_only(logits.reshape(-1, logits.shape[-1]))


class BinarySums:
    """Sums over groups for each variable, whose log odds are t: both (N,)."""

    def __init__(self, distribution, name):
        self.t, self.dtype = binary_logits(distribution, name), distribution.logits.dtype
        self.single = discrete.single_logit(distribution)
        self.sum = np.zeros(self.t.size)

    def gradient(self, over):
        """Return the derivative by all logits, with two of them (N, 2), divided by `over`."""
        if self.single:
            grad = np.where(np.isinf(self.t), 0, self.sum / over)
            return grad.astype(self.dtype)
        grad = np.empty((self.t.size, 2), self.dtype)
        _log_odds.gradient(self.sum, self.t, over, grad)
        return grad


def ascending(distribution):
    """Return `rows` and the order of their categories, from the rarest; equal ones by index."""
    logits = rows(distribution)
    if logits.shape[1] > MANY:
        return logits, read_only(np.argsort(logits, axis=1, kind="stable").astype(np.int32))
    order = np.empty(logits.shape, np.int32)
    _kernels.sort(logits, order)
    return logits, read_only(order)
