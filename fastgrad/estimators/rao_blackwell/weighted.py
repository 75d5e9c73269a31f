"""Weighted sums over outcomes of the values of f, or of the score."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, estimate
from fastgrad.estimators.sums import outcomes
from fastgrad.kernels.estimators import sums_of_scores as _kernels
from fastgrad.objectives import Values


def flat(values: FloatArray) -> FloatArray:
    """Return values (S, ...) as read-only float64 (S, n)."""
    values = values.reshape(len(values), -1)
    return _validate.frozen(np.ascontiguousarray(values, np.float64))


def spread(weights: FloatArray, x: FloatArray) -> FloatArray:
    """Return the weights (S, M) of cells as weights of x, (S, n): cell m has n / M columns of x."""
    return weights if weights.shape[1] == x.shape[1] else _repeated(weights, x.shape[1])


def _repeated(weights, n):
    return np.repeat(weights, n // max(weights.shape[1], 1), axis=1)


def mean(weights: FloatArray, f: FloatArray) -> FloatArray:
    """Return the sum of weights times f, both (S, M); the weights sum to 1.

    It is exact for constant f.
    """
    return f[0] + (weights * (f - f[0])).sum(axis=0)


def scores(
    distribution: Discrete, z: IntArray, weights: FloatArray, *, centred: bool = False
) -> FloatArray:
    """Return the sum over outcomes z (S, *batch) of weights times score(z).

    The weights (S, n) belong to variables or to cells. With z_0 the first outcome, the sum is
    computed as the weights times (one-hot(z) - one-hot(z_0)), plus the sum of all weights times
    score(z_0), which is zero if the weights are centred. So a variable with the same outcome in
    all samples gets exactly zero from the first part, and a masked category from both.
    """
    logits = distribution.matrix
    total = np.empty(0) if centred else weights.sum(axis=0)
    weights, out = _validate.frozen(np.ascontiguousarray(weights)), np.empty_like(logits)
    single, z = distribution.single_logit, outcomes(distribution, z)
    _kernels.weighted(z, weights, total, logits, single, out)
    return out.reshape(distribution.logits.shape)


def estimate_of(
    values: Values, mean: FloatArray, grad: FloatArray, state: dict[str, Any] | None
) -> Estimate:
    """Return the estimate with this mean of f, flat over examples."""
    return estimate(mean.reshape(values.value.shape[1:])[()], grad, state, len(values.value))
