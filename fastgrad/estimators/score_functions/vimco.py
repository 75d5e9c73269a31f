"""Estimators for bounds that take several samples at once."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from fastgrad import _validate
from fastgrad.estimators.base import Estimate
from fastgrad.estimators.score_functions.reinforce import ScoreFunction
from fastgrad.estimators.sums import CentredScores, Mean
from fastgrad.kernels.estimators.score_functions import vimco as _kernels

__all__ = ["VIMCO"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class VIMCO(ScoreFunction):
    """The gradient of a multi-sample bound, each sample's baseline made of the others.

    f is the log weight l of a sample. Value and gradient are those of ``E[L]``, the mean over
    groups of samples of ``L = log mean exp(l)``, and not of E[f], which E[L] exceeds: for the
    gradient of that bound, the estimate is unbiased. It is
    ``sum over s of (L - L_s) score(z_s)``, where L_s has the mean of the other log weights in place
    of l_s. The gradient of l itself by its parameters, the logits among them when
    ``l = log p(x, z) - log q(z)``, is not part of it: add its mean weighted by softmax(l). Credit
    is not used, since the bound is no sum of terms.

    Parameters
    ----------
    group_size : int, optional
        Samples that share a bound, at least 2; by default all of a call.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> vimco = fg.estimator("vimco")
    >>> log_weight = lambda x: np.log(x @ np.array([1.0, 2.0, 3.0])).sum(axis=-1)
    >>> estimate = vimco(log_weight, np.zeros((2, 3)), num_samples=500, rng=0)
    >>> float(estimate.value.round(1)), bool(estimate.grad[0, 2] > 0)
    (1.4, True)

    References
    ----------
    Mnih and Rezende, "Variational inference for Monte Carlo objectives", ICML 2016.
    """

    group_size: int | None = None

    name = "vimco"
    unbiased = False
    min_samples = 2
    paper = "Mnih and Rezende, 'Variational inference for Monte Carlo objectives', 2016"

    def __post_init__(self):
        if self.group_size is not None:
            _validate.integer(self.group_size, "group_size", 2)

    def group(self, num_samples):
        """Return how many samples share a bound."""
        return self.group_size or num_samples

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (outcomes, `Values`), whole groups in each."""
        value, scores = Mean(), CentredScores(distribution)
        for z, (log_weights, _) in blocks:
            size = self.group(len(z))
            x = log_weights.reshape(len(z), -1)
            bound, signal = np.empty((len(z) // size, x.shape[1])), np.empty(x.shape)
            _kernels.bounds(x, size, math.log(size), bound, signal)
            value.add(bound.reshape(-1, *log_weights.shape[1:]))
            scores.add(z, signal)
        dtype = distribution.logits.dtype
        grad = scores.about(0.0, value.count)
        return Estimate(value.result.astype(dtype), grad, state, scores.mean.count)
