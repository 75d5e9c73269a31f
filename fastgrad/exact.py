"""The true mean of f and its gradient on small problems, by enumerating every outcome."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import Array, ArrayLike, FloatArray, IntArray
from fastgrad.distributions.categorical import as_distribution
from fastgrad.distributions.discrete import Discrete
from fastgrad.objectives import Objective, as_objective

__all__ = ["grad", "value", "value_and_grad"]

BLOCK = 1 << 20  # features handed to f at once


def value_and_grad(
    f: Callable[[Array], Any] | Objective,
    distribution: Discrete | ArrayLike,
    *,
    budget: int = 2**20,
) -> tuple[FloatArray, FloatArray]:
    """Compute E[f] and its gradient with respect to the logits, in float64.

    If the objective has an `expectation`, that is used; otherwise f is evaluated at all joint
    outcomes of the variables. Categories of probability zero are left out. Where f returns one
    value for each example of a minibatch, the examples are enumerated side by side, so that the
    number of joint outcomes is that of one example.

    Parameters
    ----------
    f : callable or Objective
        A function of samples: see `fastgrad.objective`.
    distribution : Discrete, or array
        The distribution of the samples; an array is the logits of categorical variables.
    budget : int
        The largest number of joint outcomes to enumerate.

    Returns
    -------
    value : array of float64
        E[f]: the shape of f's values without the axis of samples.
    grad : array of float64, the shape of the logits
        The gradient of the sum of these values.

    Raises
    ------
    ValueError
        If there are more outcomes than the budget allows; it says how many.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> value, grad = fg.exact.value_and_grad(lambda x: x[:, 0, 0] * x[:, 1, 0], np.zeros((2, 2)))
    >>> float(value), grad
    (0.25, array([[ 0.125, -0.125], [ 0.125, -0.125]]))
    """
    if type(distribution) is not ndarray and foreign(distribution):
        return in_kind(value_and_grad, distribution, locals())
    objective = as_objective(f)
    d: Discrete = as_distribution(distribution)
    budget = _validate.integer(budget, "budget", 1)
    d = d.with_logits(d.logits.astype(np.float64))
    if objective.expectation is not None and (known := objective.expectation(d)) is not None:
        return known

    if reason := d.lacks.get("outcomes"):
        raise TypeError(f"exact does not work with {type(d).__name__}: {reason}")
    likeliest = d.log_probabilities().argmax(axis=0)[None].astype(np.int32)
    origin = objective.outcomes(d, _validate.frozen(d.outcomes(likeliest))).value[0]
    examples, begin = origin.size, 0
    value = np.zeros(examples)
    grad = np.zeros((examples, d.logits.size // max(examples, 1)))
    for z, weight in all_outcomes(d, examples, budget):
        # Scores have mean zero, so f counts from any origin.
        f_z = objective.outcomes(d, z, offset=begin).value
        weight *= (f_z - origin).reshape(weight.shape)
        value += weight.sum(axis=0)
        score = d.score(z).reshape(len(z), *grad.shape)
        grad += np.einsum("te,tef->ef", weight, score)
        begin += len(z)
    return (origin + value.reshape(origin.shape))[()], grad.reshape(d.logits.shape)


def value(
    f: Callable[[Array], Any] | Objective,
    distribution: Discrete | ArrayLike,
    *,
    budget: int = 2**20,
) -> FloatArray:
    """Compute E[f] in float64: the first result of `value_and_grad`.

    Parameters
    ----------
    f, distribution, budget
        As for `value_and_grad`.

    Returns
    -------
    array of float64
        The shape of f's values without the axis of samples.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(fg.exact.value(lambda x: x[:, 1], np.log([0.25, 0.75])))
    0.75
    """
    return value_and_grad(f, distribution, budget=budget)[0]


def grad(
    f: Callable[[Array], Any] | Objective,
    distribution: Discrete | ArrayLike,
    *,
    budget: int = 2**20,
) -> FloatArray:
    """Compute the gradient of E[f] in float64: the second result of `value_and_grad`.

    Parameters
    ----------
    f, distribution, budget
        As for `value_and_grad`.

    Returns
    -------
    array of float64, the shape of the logits

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> fg.exact.grad(lambda x: x[:, 1], np.log([0.25, 0.75])).round(6)
    array([-0.1875,  0.1875])
    """
    return value_and_grad(f, distribution, budget=budget)[1]


def all_outcomes(
    distribution: Discrete, examples: int, budget: int
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield all outcomes of so many examples side by side, and their probabilities.

    Both come in blocks: outcomes z (T, *batch, ...), and the probability (T, examples) of each in
    its example. Examples with fewer outcomes go round again, with no weight.
    """
    table = distribution.log_probabilities()
    allowed = (table > -np.inf).reshape(len(table), -1).T  # (N, K)
    batch, variables = table.shape[1:], len(allowed)
    counts = allowed.sum(axis=1).reshape(examples, variables // max(examples, 1))
    sizes = [math.prod(map(int, row)) for row in counts]
    outcomes = max(sizes, default=1)
    if outcomes > budget:
        raise ValueError(f"{_amount(outcomes)} joint outcomes are more than budget={budget}")
    # Outcome t in mixed radix.
    categories = np.argsort(~allowed, axis=1, kind="stable").reshape(*counts.shape, len(table))
    strides = np.ones_like(counts)
    strides[:, 1:] = np.cumprod(counts[:, :-1], axis=1)
    step = max(1, BLOCK // max(1, math.prod(distribution.feature_shape)))
    for begin in range(0, outcomes, step):
        t = np.arange(begin, min(begin + step, outcomes))
        digits = t[:, None, None] // strides % counts
        z = np.take_along_axis(categories[None], digits[..., None], axis=3)[..., 0]
        z = distribution.outcomes(z.astype(np.int32).reshape(len(t), *batch))
        z = _validate.frozen(z)
        weight = np.exp(distribution.log_prob(z).reshape(digits.shape).sum(axis=2))
        weight *= t[:, None] < np.array(sizes)
        yield z, weight


def _amount(n):
    """Write a number that may be astronomical."""
    return str(n) if n < 10**15 else f"about 10**{round(math.log10(n))}"
