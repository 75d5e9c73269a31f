"""Quadrature over the logistic noise that perturbs the log odds of variables of two outcomes."""

from __future__ import annotations

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import MOST_NODES

REACH = 45.0  # the noise has a mass of 3e-20 beyond
STEPS = np.array([0, *2.0 ** np.arange(1, 6)])  # lengths of panels double away from a centre
ORDER = 12  # nodes of a panel


def log_odds(distribution: Discrete) -> FloatArray | None:
    """Return the log odds of outcome 1 of each variable, or None if it has not two outcomes."""
    if distribution.num_outcomes != 2:
        return None
    log_p = distribution.log_probabilities().astype(np.float64)
    return log_p[1] - log_p[0]


def features(distribution: Discrete, log_odds: FloatArray) -> FloatArray:
    """Return the relaxed features with these log odds, infinite ones included."""
    v = log_odds if distribution.single_logit else np.stack([-log_odds, log_odds], -1)
    with np.errstate(over="ignore"):
        x = 1 / (1 + np.exp(-v))
    return _validate.frozen(np.ascontiguousarray(x, distribution.logits.dtype))


def nodes(
    distribution: Discrete, num_samples: int, odds: list[FloatArray], width: float
) -> tuple[FloatArray, FloatArray] | None:
    """Return noise (S, C, *batch) in all combinations and their weights (C,); None if too many.

    The integrand may jump where any of these log odds plus the noise is 0, and be as steep there as
    a sigmoid of this width; elsewhere it is smooth.
    """
    batch = distribution.batch_shape
    if not 0 < num_samples * odds[0].size <= 2:
        return None
    kinks = -np.stack(odds, axis=-1).reshape(-1, len(odds))
    axes = [_line(x, width) for x in kinks] * num_samples
    grid = np.meshgrid(*(x for x, _ in axes), indexing="ij")
    if grid[0].size * distribution.logits.size * num_samples > MOST_NODES:
        return None
    weights = np.prod(np.meshgrid(*(w for _, w in axes), indexing="ij"), axis=0).ravel()
    noise = np.reshape(grid, (num_samples, -1, weights.size)).swapaxes(1, 2)
    return noise.reshape(num_samples, -1, *batch), weights


def _line(kinks: FloatArray, width: float) -> tuple[FloatArray, FloatArray]:
    """Return nodes and weights of one variable: Gauss-Legendre between panel edges."""
    steps = np.concatenate([-STEPS, STEPS])
    edges = [steps, *(kink + width * steps for kink in kinks[np.isfinite(kinks)])]
    edges = np.unique(np.clip([-REACH, REACH, *np.concatenate(edges)], -REACH, REACH))
    x, w = np.polynomial.legendre.leggauss(ORDER)
    half = np.diff(edges)[:, None] / 2
    noise = (edges[:-1, None] + half * (1 + x)).ravel()
    tail = np.exp(-np.abs(noise))
    weights = (half * w).ravel() * tail / (1 + tail) ** 2
    return noise, weights / weights.sum()
