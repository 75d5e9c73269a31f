"""Copies of one problem side by side, as the examples of a minibatch: many estimates in one call.

Examples do not mix, so the copies' estimates are independent draws of one and the same thing; or,
where a copy each is given every possible draw, all that an estimator can say.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.distributions.discrete import as_distribution
from fastgrad.estimators import Estimator
from fastgrad.estimators import estimator as build
from fastgrad.objectives import as_objective
from fastgrad.random import as_key

COVARIANCE = 1024  # logits above which the covariance is left out: 8 MB
SMALL = 1 << 16  # features of one estimate's samples above which nobody is asked for all draws
NUMBERS = 1 << 20  # features of all samples of all copies in one call
PLAIN = (bool, int, float, str, type(None))


class Moments(NamedTuple):
    """Mean and variance of an estimator's gradient.

    Attributes
    ----------
    mean, variance : array of float64, the shape of the logits
    covariance : array (n, n) or None
        Of the n flattened logits; None where n is above 1,024.
    standard_error : array, the shape of the logits
        Of the mean: 0 where it is exact.
    exact : bool
        Whether every possible draw went in; otherwise these are the moments of a sample.
    """

    mean: np.ndarray
    variance: np.ndarray
    covariance: np.ndarray | None
    standard_error: np.ndarray
    exact: bool


def moments(
    estimator, f, distribution, *, num_samples, rng=None, draws=10_000, state=None, block_size=None
):
    """Compute the mean and variance of an estimator of the gradient of E[f] on a small problem.

    They are exact, in float64, where the estimator can name all its possible draws and their
    weights: every combination of outcomes, or the nodes of a quadrature. Otherwise, and for an
    estimator in a given state, they are those of so many independent estimates.

    Parameters
    ----------
    estimator : Estimator or str
    f : callable or Objective
    distribution : distribution, or array of logits
    num_samples : int
        Of one estimate.
    rng : int, SeedSequence, Generator or Key, optional
        Needed where the moments are not exact.
    draws : int
        Number of estimates where the moments are not exact, at least 2.
    state : dict of arrays, optional
        Of an earlier estimate: each of the estimates starts from it.
    block_size : int, optional
        The most samples to draw and hand to f at once, as in `Estimator`.

    Returns
    -------
    Moments

    Raises
    ------
    TypeError, ValueError
        What the estimator itself raises.

    Examples
    --------
    REINFORCE with leave-one-out baselines on REBAR's toy, where both are known:

    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.array([0.45]))
    >>> moments = fg.moments("rloo", f, fg.Bernoulli(np.zeros(1)), num_samples=2)
    >>> moments.mean.round(12), moments.variance.round(12), moments.exact
    (array([0.025]), array([0.000625]), True)
    """
    estimator = as_estimator(estimator)
    objective, distribution = as_objective(f), with_logits(distribution)
    draws = _validate.integer(draws, "draws", 2)
    # One estimate of the problem itself checks what is asked, in the user's own shapes.
    options = {"num_samples": num_samples, "state": state, "block_size": block_size}
    estimator(objective, distribution, rng=0, **options)
    exact = None
    if state is None:
        exact = exact_moments(estimator, objective, distribution, num_samples)
    if exact is not None:
        return exact
    key = as_key(rng)
    return sample_moments(
        *(estimator, objective, distribution, num_samples, key, draws, state, block_size),
        covariance=distribution.logits.size <= COVARIANCE,
    )


def exact_moments(estimator, objective, distribution, num_samples, *, most=None):
    """Return the moments over all nodes; None if there are none, or more than wanted."""
    logits = distribution.logits.astype(np.float64)
    if num_samples * logits.size > SMALL:
        return None
    distribution = dataclasses.replace(distribution, logits=logits)
    nodes = estimator.nodes(distribution, num_samples)
    if nodes is None or (most is not None and len(nodes[1]) > most):
        return None
    draws, weights = nodes
    copies = copied(distribution, len(weights))
    answers = estimator.ask(replicated(objective), copies, draws)
    grad = estimator.combine(copies, [(draws, answers)]).grad.reshape(len(weights), -1)
    mean = weights @ grad
    deviation = grad - mean
    covariance = None
    if mean.size <= COVARIANCE:
        covariance = (weights[:, None] * deviation).T @ deviation
    mean, variance = mean.reshape(logits.shape), (weights @ deviation**2).reshape(logits.shape)
    return Moments(mean, variance, covariance, np.zeros(logits.shape), True)


def sample_moments(
    estimator, objective, distribution, num_samples, key, draws, state, block_size, *, covariance
):
    """Return the moments of so many estimates, whose key and state are given."""
    rows = max(1, NUMBERS // max(1, distribution.logits.size))  # handed to f at once
    rows = rows if block_size is None else min(rows, block_size)
    size = max(1, rows // num_samples)
    # What is learned, or is the user's own, may be of one problem's shapes: no copies then.
    if state is not None or not _plain(estimator):
        size = 1
    tally, side_by_side = _Tally(distribution.logits.size, covariance), replicated(objective)
    for number, begin in enumerate(range(0, draws, size)):
        count = min(size, draws - begin)
        grad = estimator(
            objective if size == 1 else side_by_side,
            distribution if size == 1 else copied(distribution, count),
            num_samples=num_samples,
            rng=key.fold_in(number),
            state=state,
            block_size=block_size,
        ).grad
        tally.add(grad.reshape(count, -1).astype(np.float64))
    return tally.moments(distribution.logits.shape)


def as_estimator(estimator):
    """Return the estimator that a user means: itself, or the one of that name."""
    if isinstance(estimator, str):
        return build(estimator)
    if not isinstance(estimator, Estimator):
        raise TypeError(f"estimator must be an Estimator or a name, got {estimator!r}")
    return estimator


def with_logits(distribution):
    """Return the discrete distribution that a user means."""
    distribution = as_distribution(distribution)
    if not hasattr(distribution, "logits"):
        got = type(distribution).__name__
        raise TypeError(f"distribution must be Categorical, Bernoulli or logits, got {got}")
    return distribution


def _plain(option):
    """Return whether an option is numbers and names alone, or made of such."""
    if dataclasses.is_dataclass(option) and not isinstance(option, type):
        return all(_plain(getattr(option, field.name)) for field in dataclasses.fields(option))
    return isinstance(option, PLAIN)


class _Tally:
    """Moments of rows that come in blocks, each around its own mean (Chan, Golub and LeVeque)."""

    def __init__(self, size, covariance):
        self.count, self.mean, self.squares = 0, np.zeros(size), np.zeros(size)
        self.products = np.zeros((size, size)) if covariance else None

    def add(self, rows):
        mean, total = rows.mean(axis=0), self.count + len(rows)
        deviation, step = rows - mean, mean - self.mean
        share = self.count * len(rows) / total
        self.squares += (deviation**2).sum(axis=0) + share * step**2
        if self.products is not None:
            self.products += deviation.T @ deviation + share * np.outer(step, step)
        self.mean += step * (len(rows) / total)
        self.count = total

    def moments(self, shape):
        variance = (self.squares / (self.count - 1)).reshape(shape)
        covariance = None if self.products is None else self.products / (self.count - 1)
        error = np.sqrt(variance / self.count)
        return Moments(self.mean.reshape(shape), variance, covariance, error, False)


def copied(distribution, copies):
    """Return the distribution of so many copies, in front of the other variables."""
    logits = distribution.logits
    return dataclasses.replace(
        distribution, logits=np.broadcast_to(logits, (copies, *logits.shape))
    )


def replicated(objective):
    """Return the objective of copies: samples (S, C, ...) are put to f as S C samples of one."""

    def of_copies(part):
        def ask(x):
            answer = part(x.reshape(-1, *x.shape[2:]))
            if isinstance(answer, tuple):
                return tuple(_apart(each, x.shape[:2]) for each in answer)
            return _apart(answer, x.shape[:2])

        return ask

    def expectation(distribution):
        each = [
            objective.expectation(dataclasses.replace(distribution, logits=logits))
            for logits in distribution.logits
        ]
        return tuple(np.array(results) for results in zip(*each))

    parts = {
        name: of_copies(getattr(objective, name))
        for name in ("f", "grad", "index", "local")
        if getattr(objective, name) is not None
    }
    if objective.expectation is not None:
        parts["expectation"] = expectation
    return dataclasses.replace(objective, **parts)


def _apart(answer, shape):
    """Return what f says of S C samples as (S, C, ...)."""
    answer = np.asarray(answer)
    if answer.ndim == 0 or len(answer) != shape[0] * shape[1]:
        raise ValueError(
            f"f must return values of its {shape[0] * shape[1]} samples, got shape {answer.shape}"
        )
    return answer.reshape(*shape, *answer.shape[1:])
