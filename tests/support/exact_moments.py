"""Exact moments of an estimator over all its nodes, and small objectives, for many tests.

It is written apart from `fastgrad.moments`, which is tested against it: every draw that the
estimator names stands as an example of a minibatch, one call returns the estimate of each, and
weights by their probability make mean and covariance. Nothing is drawn: there are no false alarms.
"""

from typing import NamedTuple

import numpy as np

import fastgrad as fg
from fastgrad.objectives import as_objective


class Found(NamedTuple):
    """Moments of the gradient, the covariance of its flat coordinates, and moments of the value."""

    mean: np.ndarray
    covariance: np.ndarray
    variance: np.ndarray
    value: np.ndarray
    value_variance: np.ndarray


def copies(d, count):
    """So many copies of a distribution, in front of its other variables."""
    return type(d)(np.broadcast_to(d.logits, (count, *d.logits.shape)))


def of_nodes(run, f, d, draws, weights, state=None):
    """Moments over these draws. Arrays of a state that belong to examples belong to every copy."""
    single = d.logits.dtype == np.float32  # then probabilities are of that type too
    np.testing.assert_allclose(weights.sum(), 1, rtol=1e-6 if single else 1e-12)
    many = copies(d, len(weights))
    estimate = run.combine(many, [(draws, run.ask(as_objective(f), many, draws))], state)
    flat = estimate.grad.reshape(len(weights), -1)
    mean = weights @ flat
    deviation = flat - mean
    covariance = (weights[:, None] * deviation).T @ deviation
    value = np.tensordot(weights, estimate.value, 1)
    value_variance = np.tensordot(weights, (estimate.value - value) ** 2, 1)
    variance = (weights @ deviation**2).reshape(d.logits.shape)
    return Found(mean.reshape(d.logits.shape), covariance, variance, value, value_variance)


def all_moments(run, f, d, num_samples=1, state=None, **options):
    """All moments over the nodes of an estimator; `options` are those of its `nodes`."""
    return of_nodes(run, f, d, *run.nodes(d, num_samples, **options), state)


def moments(run, f, d, num_samples=1, state=None, **options):
    """Exact mean and covariance (flat) of an estimator's gradient."""
    return all_moments(run, f, d, num_samples, state, **options)[:2]


def value_and_grad_moments(run, f, d, num_samples=1):
    """Exact mean and variance of the value, and of the gradient; f has one value for each copy."""
    found = all_moments(run, f, d, num_samples)
    return (found.value, found.value_variance), (found.mean, found.variance)


def of_table(table):
    """The objective z -> table[z_1, ..., z_n], one value for each sample or example."""
    return fg.objective(index=lambda z: table[tuple(np.moveaxis(z, -1, 0))])
