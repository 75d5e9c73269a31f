"""Sets of items that fit into a knapsack: exact samples, probabilities and means.

Items have costs, and a set fits if these sum to at most the budget. Its probability is proportional
to the product of its exp(logit), as that of sets of k items is in `k_hot`: the dynamic programme of
the knapsack problem with its maximum smoothed to a log of a sum of exponentials.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastgrad import _outputs, _validate
from fastgrad._array_api import foreign, in_kind, ndarray
from fastgrad._typing import ArrayLike, FloatArray
from fastgrad.kernels.distributions import knapsack as _kernels
from fastgrad.random import RNG, as_key

__all__ = [
    "knapsack",
    "knapsack_log_normaliser",
    "knapsack_log_prob",
    "knapsack_marginals",
    "knapsack_marginals_vjp",
]

MOST = 2**26  # numbers in the table of one row: half a gigabyte


class Sack(NamedTuple):
    """Checked costs and budget in units of their greatest common divisor.

    Costs above the budget are one above it, and no budget is larger than all costs together.
    """

    costs: Any
    budget: int

    @property
    def arguments(self) -> tuple[Any, int, int]:
        """Costs, budget, and the largest cost, as kernels take them."""
        return self.costs, self.budget, int(self.costs.max())


def sack(costs: ArrayLike, budget: int, items: int) -> Sack:
    """Return the checked costs of so many items and the budget, in their smallest numbers."""
    c = _validate.array(costs, "costs")
    if c.shape != (items,) or c.dtype.kind not in "iu":
        raise ValueError(
            f"costs must be integers of shape ({items},), one for each logit, got {c.dtype} of "
            f"shape {c.shape}"
        )
    if c.min() < 0:
        raise ValueError(f"costs must be at least 0, got {c.min()} at index {c.argmin()}")
    budget = _validate.integer(budget, "budget", 0)
    each = [int(cost) for cost in c.tolist()]
    whole = min(budget, sum(cost for cost in each if cost <= budget))
    unit = max(math.gcd(*(cost for cost in each if cost <= budget)), 1)
    room = whole // unit
    if items * (room + 1) > MOST:
        raise ValueError(
            f"costs and budget must make a table of at most {MOST} numbers, got {items} items "
            f"and a budget of {room} times their greatest common divisor"
        )
    least = [cost // unit if cost <= budget else room + 1 for cost in each]
    return Sack(_validate.frozen(np.array(least, np.int64)), room)


def logits_of(logits: ArrayLike) -> tuple[FloatArray, tuple[int, ...]]:
    """Return logits (*batch, K) as checked rows (N, K), which may all be -inf, and the batch."""
    rows, batch = _validate.rows(logits, check=False)
    _validate.check_logits(rows.reshape(-1), "logits", (*batch, rows.shape[1]))
    return rows, batch


def knapsack(
    logits: ArrayLike,
    costs: ArrayLike,
    budget: int,
    *,
    num_samples: int | None = None,
    rng: RNG,
    row_offset: int = 0,
    sample_offset: int = 0,
    out: FloatArray | None = None,
) -> FloatArray:
    """Draw sets that fit, with probability proportional to the product of their exp(logit).

    Parameters
    ----------
    logits : array, shape (*batch, K)
        Log odds of the items, float32 or float64; an item of -inf is never drawn.
    costs : array of int, shape (K,)
        What each item costs, at least 0.
    budget : int
        Largest cost of a set, at least 0.
    num_samples : int, optional
        Number of samples S. None draws one sample, without a leading axis.
    rng : int, SeedSequence, Generator or Key
        Source of the randomness; the same seed or key gives the same samples.
    row_offset, sample_offset : int
        Index of the first row (of the batch flattened in C order) and of the first sample in a
        larger batch: chunked calls with the right offsets equal one call.
    out : array, optional

    Returns
    -------
    array, shape (S, *batch, K), or (*batch, K) without num_samples
        1 at the items of the set, 0 elsewhere, in the dtype of the logits. The log probability of
        such an x is ``knapsack_log_prob(logits, x, costs, budget)``, its gradient
        ``x - knapsack_marginals(logits, costs, budget)``.

    Raises
    ------
    ValueError
        If the logits hold NaN or +inf, a cost or the budget is negative, or the table of a row
        would have more than 2**26 numbers, which are K times the budget and one; costs and budget
        count in units of the costs' greatest common divisor.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> x = fg.subset.knapsack(np.zeros(4), [2, 3, 4, 5], 7, num_samples=100, rng=0)
    >>> float((x @ [2, 3, 4, 5]).max())
    7.0

    References
    ----------
    Vivier-Ardisson, Sander, Parmentier and Blondel, "Differentiable knapsack and top-k operators
    via dynamic programming", 2026. Mensch and Blondel, "Differentiable dynamic programming for
    structured prediction and attention", ICML 2018.
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(knapsack, logits, locals())
    rows, batch = logits_of(logits)
    given = sack(costs, budget, rows.shape[1]).arguments
    count, lead = _validate.samples(num_samples)
    first, sample = _validate.offsets(row_offset, sample_offset, count)
    out = _outputs.output(out, (*lead, *batch, rows.shape[1]), rows.dtype, rows)
    taken, key = np.empty((count, *rows.shape), np.uint8), as_key(rng).kernel_words
    _kernels.sample(_wide(rows), *given, (key, sample, first), taken)
    out[...] = taken.reshape(out.shape)
    return out


def knapsack_marginals(logits: ArrayLike, costs: ArrayLike, budget: int) -> FloatArray:
    """Compute the probability that each item is in the set that `knapsack` draws, exactly.

    These are the gradient of `knapsack_log_normaliser`. With logits divided by a temperature they
    are a relaxation of the knapsack problem, whose solution they become as it goes to 0.

    Parameters
    ----------
    logits, costs, budget
        As in `knapsack`, whose errors are raised as well.

    Returns
    -------
    array, shape (*batch, K)
        In the dtype of the logits; the time grows with K times the budget.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> values = np.array([6.0, 5.0, 4.0])
    >>> fg.subset.knapsack_marginals(values / 0.1, [5, 3, 3], 6).round(3)  # the last two are best
    array([0., 1., 1.])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(knapsack_marginals, logits, locals())
    rows, batch = logits_of(logits)
    return _sums(rows, batch, costs, budget)[0].astype(rows.dtype, copy=False)


def knapsack_log_normaliser(logits: ArrayLike, costs: ArrayLike, budget: int) -> FloatArray:
    """Compute the log of the sum, over all sets that fit, of the product of exp(logit).

    For values v and a temperature t, ``t * knapsack_log_normaliser(v / t, costs, budget)`` is the
    smoothed value of the knapsack problem, which is above the largest total value of a set that
    fits, and becomes it as t goes to 0.

    Parameters
    ----------
    logits, costs, budget
        As in `knapsack`, whose errors are raised as well.

    Returns
    -------
    array, shape (*batch)
        In the dtype of the logits. The gradient with respect to the logits is
        `knapsack_marginals`.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> float(np.exp(fg.subset.knapsack_log_normaliser(np.zeros(3), [5, 3, 3], 6)).round(9))
    5.0
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(knapsack_log_normaliser, logits, locals())
    rows, batch = logits_of(logits)
    return _sums(rows, batch, costs, budget)[1].astype(rows.dtype)


def knapsack_log_prob(logits: ArrayLike, x: ArrayLike, costs: ArrayLike, budget: int) -> FloatArray:
    """Compute the log probability of sets, as `knapsack` draws them.

    Parameters
    ----------
    logits, costs, budget
        As in `knapsack`, whose errors are raised as well.
    x : array, shape (*batch, K) or (S, *batch, K)
        1 at the items of a set, 0 elsewhere.

    Returns
    -------
    array, the shape of x without K
        In the dtype of the logits; -inf for a set that does not fit, or holds an item of -inf. The
        gradient with respect to the logits is ``x - knapsack_marginals(logits, costs, budget)``.

    Raises
    ------
    ValueError
        If x holds other numbers than 0 and 1.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> sets = [[0, 0, 0], [1, 0, 0], [0, 1, 1], [1, 1, 0]]
    >>> np.exp(fg.subset.knapsack_log_prob(np.zeros(3), sets, [5, 3, 3], 6))
    array([0.2, 0.2, 0.2, 0. ])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(knapsack_log_prob, logits, locals())
    rows, batch = logits_of(logits)
    full = (*batch, rows.shape[1])
    x = _validate.real_array(x, "x")
    if x.shape != full and x.shape[1:] != full:
        raise ValueError(f"x must have shape {full} or (S, *{full}), got {x.shape}")
    chosen = x == 1
    if not (chosen | (x == 0)).all():
        place = tuple(np.argwhere(~(chosen | (x == 0)))[0].tolist())
        raise ValueError(f"x must hold 0 and 1, got {x[place]} at index {place}")
    given = sack(costs, budget, rows.shape[1])
    _, log_sum = _sums(rows, batch, costs, budget)
    weight = np.where(chosen, rows.reshape(full), 0).sum(axis=-1, dtype=np.float64)
    fits = (chosen * given.costs).sum(axis=-1) <= given.budget
    return np.where(fits, weight - log_sum, -np.inf).astype(rows.dtype)


def knapsack_marginals_vjp(
    logits: ArrayLike, cotangent: ArrayLike, costs: ArrayLike, budget: int
) -> FloatArray:
    """Multiply cotangents with the Jacobian of `knapsack_marginals`, and sum over samples.

    If the cotangent is the derivative of a loss with respect to `knapsack` samples, the result is a
    straight-through estimate of the gradient of the expected loss: unbiased where it is linear.

    Parameters
    ----------
    logits, costs, budget
        As in `knapsack`, whose errors are raised as well.
    cotangent : array, shape (S, *batch, K) or (*batch, K)
        Derivative of a loss with respect to the marginals, or to each of S samples.

    Returns
    -------
    array, shape (*batch, K)
        In the dtype of the logits.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> r = np.array([1.0, 0.0, 0.0])
    >>> fg.subset.knapsack_marginals_vjp(np.zeros(3), r, [5, 3, 3], 6).round(6)
    array([ 0.16, -0.08, -0.08])
    """
    if type(logits) is not ndarray and foreign(logits):
        return in_kind(knapsack_marginals_vjp, logits, locals())
    rows, batch = logits_of(logits)
    given = sack(costs, budget, rows.shape[1]).arguments
    full = (*batch, rows.shape[1])
    _, (r,) = _validate.cotangents({"cotangent": cotangent}, full, rows.dtype, rows.shape)
    r = _validate.frozen(r.sum(axis=0, dtype=np.float64))
    grad = np.empty(rows.shape)
    _kernels.marginals_vjp(_wide(rows), r, *given, grad)
    return grad.astype(rows.dtype, copy=False).reshape(full)


def _sums(
    rows: FloatArray, batch: tuple[int, ...], costs: ArrayLike, budget: int
) -> tuple[FloatArray, FloatArray]:
    """Return the marginals and the log of the sum over sets that fit, in float64."""
    given = sack(costs, budget, rows.shape[1]).arguments
    out, log_sum = np.empty((*batch, rows.shape[1])), np.empty(batch)
    _kernels.marginals(_wide(rows), *given, out.reshape(rows.shape), log_sum.reshape(-1))
    return out, log_sum


def _wide(rows: FloatArray) -> FloatArray:
    """Return rows in float64, the only type for which kernels are compiled: tables are in it."""
    return _validate.frozen(rows.astype(np.float64, copy=False))
