"""Copies of one problem side by side, as the examples of a minibatch: many estimates in one call.

Examples do not mix, so the copies' estimates are independent draws of one and the same thing; or,
where a copy each is given every possible draw, all that an estimator can say.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple, cast

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray
from fastgrad.distributions.categorical import as_distribution
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators import Estimator, EstimatorName
from fastgrad.estimators.registry import as_estimator
from fastgrad.objectives import Objective, as_objective
from fastgrad.random import RNG, Key, as_key

COVARIANCE = 1024  # logits above which the covariance is left out: 8 MB
SMALL = 1 << 16  # features of one estimate's samples above which nobody is asked for all draws
LISTED = 1 << 26  # numbers in the scores of all outcomes of all draws that are looked at together
NUMBERS = 1 << 20  # features of all samples of all copies in one call
PLAIN = (bool, int, float, str, type(None))


class Moments(NamedTuple):
    """Mean and variance of an estimator's gradient.

    Attributes
    ----------
    mean, variance : array of float64, the shape of the logits
        Mean and variance of each coordinate of the gradient.
    covariance : array of float64, shape (n, n), or None
        Covariance of the n flattened coordinates; None where n is above 1,024.
    standard_error : array of float64, the shape of the logits
        Standard error of the mean: 0 where the moments are exact.
    exact : bool
        Whether the moments are those over every possible draw, rather than of a sample of
        estimates.
    """

    mean: FloatArray
    variance: FloatArray
    covariance: FloatArray | None
    standard_error: FloatArray
    exact: bool


def moments(
    estimator: Estimator | EstimatorName,
    f: Callable[[Array], Any] | Objective,
    distribution: Discrete | ArrayLike,
    *,
    num_samples: int,
    rng: RNG | None = None,
    draws: int = 10_000,
    state: dict[str, Any] | None = None,
    block_size: int | None = None,
) -> Moments:
    """Compute the mean and variance of an estimator of the gradient of E[f] on a small problem.

    They are exact, in float64, where the estimator can name all its possible draws and their
    weights: every combination of outcomes, or the nodes of a quadrature. Otherwise, and for an
    estimator in a given state, they are those of `draws` independent estimates.

    Parameters
    ----------
    estimator : Estimator or str
        The estimator, or its name, which stands for the default options.
    f : callable or Objective
        A function of samples: see `fastgrad.objective`.
    distribution : Categorical, Bernoulli, or array
        The distribution of the samples; an array is the logits of categorical variables.
    num_samples : int
        Number of samples of one estimate.
    rng : int, SeedSequence, Generator or Key, optional
        Needed where the moments are not exact.
    draws : int
        Number of estimates where the moments are not exact, at least 2.
    state : dict of arrays, optional
        State of an earlier estimate, from which each of the estimates starts.
    block_size : int, optional
        The largest number of samples that are drawn and handed to f at once, as for `Estimator`.

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
    run, objective, d = as_estimator(estimator), as_objective(f), as_discrete(distribution)
    draws = _validate.integer(draws, "draws", 2)
    # One estimate of the problem itself checks what is asked, in the user's own shapes.
    run(objective, d, num_samples=num_samples, rng=0, state=state, block_size=block_size)
    exact = None
    if state is None:
        exact = exact_moments(run, objective, d, num_samples)
    if exact is not None:
        return exact
    key = as_key(cast(Any, rng))  # which refuses None
    covariance = d.logits.size <= COVARIANCE
    return sample_moments(
        run, objective, d, num_samples, key, draws, state, block_size, covariance=covariance
    )


def exact_moments(
    estimator: Estimator,
    objective: Objective,
    distribution: Discrete,
    num_samples: int,
    *,
    most: int | None = None,
) -> Moments | None:
    """Return the moments over all nodes, or None if there are none, or more than `most`."""
    logits = distribution.logits.astype(np.float64)
    if num_samples * logits.size > SMALL:
        return None
    distribution = distribution.with_logits(logits)
    estimator = estimator.for_distribution(distribution)
    nodes = estimator.nodes(distribution, num_samples)
    if nodes is None or (most is not None and len(nodes[1]) > most):
        return None
    draws, weights = nodes
    outcomes = 1 if distribution.one_hot else distribution.num_outcomes
    if len(weights) * outcomes * logits.size > LISTED:
        return None
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
    estimator: Estimator,
    objective: Objective,
    distribution: Discrete,
    num_samples: int,
    key: Key,
    draws: int,
    state: dict[str, Any] | None,
    block_size: int | None,
    *,
    covariance: bool,
) -> Moments:
    """Return the moments of `draws` estimates, each of which starts from the state."""
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


def as_discrete(distribution: Any) -> Discrete:
    """Return the distribution with logits that a user means."""
    distribution = as_distribution(distribution)
    if not hasattr(distribution, "logits"):
        got = type(distribution).__name__
        raise TypeError(f"distribution must be Categorical, Bernoulli or logits, got {got}")
    return distribution


def _plain(option: Any) -> bool:
    """Return whether an option is a number or a name, or is made of such."""
    if dataclasses.is_dataclass(option) and not isinstance(option, type):
        return all(_plain(getattr(option, field.name)) for field in dataclasses.fields(option))
    if isinstance(option, tuple):
        return all(map(_plain, option))
    return isinstance(option, PLAIN)


class _Tally:
    """Moments of rows that come in blocks, each around its own mean (Chan, Golub and LeVeque)."""

    def __init__(self, size: int, covariance: bool) -> None:
        self.count, self.mean, self.squares = 0, np.zeros(size), np.zeros(size)
        self.products = np.zeros((size, size)) if covariance else None

    def add(self, rows: FloatArray) -> None:
        mean, total = rows.mean(axis=0), self.count + len(rows)
        deviation, step = rows - mean, mean - self.mean
        share = self.count * len(rows) / total
        self.squares += (deviation**2).sum(axis=0) + share * step**2
        if self.products is not None:
            self.products += deviation.T @ deviation + share * np.outer(step, step)
        self.mean += step * (len(rows) / total)
        self.count = total

    def moments(self, shape: tuple[int, ...]) -> Moments:
        variance = (self.squares / (self.count - 1)).reshape(shape)
        covariance = None if self.products is None else self.products / (self.count - 1)
        error = np.sqrt(variance / self.count)
        return Moments(self.mean.reshape(shape), variance, covariance, error, False)


def copied(distribution: Discrete, copies: int) -> Discrete:
    """Return the distribution of so many copies of the variables, along a new first axis."""
    logits = distribution.logits
    return distribution.with_logits(np.broadcast_to(logits, (copies, *logits.shape)))


def replicated(objective: Objective) -> Objective:
    """Return the objective of copies: f sees samples (S, C, ...) as S C samples of one problem."""

    def of_copies(part: Callable[..., Any]) -> Callable[..., Any]:
        def ask(x: Array) -> Any:
            def apart(answer: Any) -> Any:
                if isinstance(answer, tuple):
                    return tuple(map(apart, answer))
                return _apart(answer, x.shape[:2])

            return apart(part(x.reshape(math.prod(x.shape[:2]), *x.shape[2:])))

        return ask

    def expectation(distribution: Discrete) -> tuple[Any, ...] | None:
        each = [
            objective.part("expectation")(distribution.with_logits(logits))
            for logits in distribution.logits
        ]
        if any(one is None for one in each):
            return None
        return tuple(np.array(results) for results in zip(*each))

    parts = {
        name: of_copies(getattr(objective, name))
        for name in ("f", "grad", "index", "local", "value_and_grad")
        if getattr(objective, name) is not None
    }
    if objective.expectation is not None:
        parts["expectation"] = expectation
    return dataclasses.replace(objective, **parts)


def _apart(answer: Any, shape: tuple[int, ...]) -> Array:
    """Return what f says of S C samples as (S, C, ...)."""
    answer = _validate.array(answer, "what f returns")
    if answer.ndim == 0 or len(answer) != shape[0] * shape[1]:
        raise ValueError(
            f"f must return values of its {shape[0] * shape[1]} samples, got shape {answer.shape}"
        )
    return answer.reshape(*shape, *answer.shape[1:])
