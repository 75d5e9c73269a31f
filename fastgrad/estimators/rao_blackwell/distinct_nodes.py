"""All sets of distinct outcomes that may be drawn of one small cell, with their probabilities."""

from __future__ import annotations

import itertools
import math

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators.base import MOST_NODES
from fastgrad.estimators.rao_blackwell.distinct import Outcomes
from fastgrad.kernels.estimators.rao_blackwell import unordered_set as _kernels

STEP = 0.125  # between nodes in the logarithm of time
TIMES = np.arange(-38.0, 5.0, STEP)


def weigh(
    log_p: FloatArray, rest: FloatArray, signal: FloatArray, *, log_sets: bool = True
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return the log probability of sets (M,), weights of outcomes (k, M), and coefficients (k, n).

    Outcomes have log probabilities log_p (k, M), all others together rest (M,). The weights are
    p(z) R(S, z) of `UnorderedSet`, and the coefficients are these times (f(z) - b(z)), where the
    signal (k, n) is f: column j of M sets is n / M consecutive columns of the signal. Unless
    `log_sets` is true, the first result is empty.
    """
    log_set, weights, coefficients = (
        np.zeros(len(rest) if log_sets else 0),
        np.zeros(log_p.shape),
        np.zeros(signal.shape),
    )
    given = [_validate.frozen(np.ascontiguousarray(x)) for x in (log_p, rest, signal)]
    if log_p.size:
        _kernels.unordered(*given, log_set, weights, coefficients)
    return log_set, weights, coefficients


def joint(cell: Categorical) -> tuple[Array, FloatArray]:
    """Return the joint outcomes (n, variables) of a cell that are possible, and their log p."""
    log_p = cell.logits - np.logaddexp.reduce(cell.logits, axis=1, keepdims=True)
    z = np.array(list(itertools.product(*(np.flatnonzero(row > -np.inf) for row in log_p))))
    return z, log_p[np.arange(len(log_p)), z].sum(axis=1)


def sets(cell: Categorical, k: int) -> tuple[Outcomes, FloatArray] | None:
    """Return all sets of k outcomes as `Outcomes`, and their probabilities, or None if too many."""
    z, log_p = joint(cell)
    if math.comb(len(z), k) * k * z.shape[1] > MOST_NODES:
        return None
    members = np.array(list(itertools.combinations(range(len(z)), k)))
    left = np.tile(log_p, (len(members), 1))
    np.put_along_axis(left, members, -np.inf, axis=1)
    rest, log_p = np.logaddexp.reduce(left, axis=1), log_p[members].T
    log_set, _, _ = weigh(log_p, rest, np.zeros((k, 0)))
    z = np.moveaxis(z[members], 1, 0)
    return Outcomes(z, log_p[..., None], rest[:, None]), np.exp(log_set)


def thresholds(law: tuple[Outcomes, FloatArray]) -> tuple[Outcomes, FloatArray] | None:
    """Return the same sets, each with quadrature nodes of its `last`; None if too many.

    In continuous time each outcome arrives at an exponential time of rate p. The first outcome
    outside the set, whose total probability is q, arrives at time u / q with u exponential, and
    the set has arrived before it; `last` is minus the logarithm of that time.
    """
    outcomes, _ = law
    log_p, rest = outcomes.log_p[..., 0], outcomes.rest[:, 0]
    often = np.where(rest > -np.inf, TIMES.size, 1)
    if often.sum() * log_p.shape[0] * outcomes.z.shape[2] > MOST_NODES:
        return None
    node, which = (
        np.concatenate([np.arange(n) for n in often]),
        np.repeat(np.arange(len(rest)), often),
    )
    log_time = np.where(rest[which] > -np.inf, TIMES[node] - rest[which], np.inf)
    with np.errstate(over="ignore", divide="ignore"):
        arrived = np.log(-np.expm1(-np.exp(log_p[:, which] + log_time))).sum(axis=0)
    u = np.exp(TIMES[node])
    weights = np.where(rest[which] > -np.inf, STEP * u * np.exp(arrived - u), 1.0)
    return outcomes._replace(
        z=outcomes.z[:, which],
        log_p=outcomes.log_p[:, which],
        rest=outcomes.rest[which],
        last=-log_time[:, None],
    ), weights


def tuples(
    cell: Categorical, top: Outcomes, samples: int, *, others: bool
) -> tuple[Outcomes, FloatArray] | None:
    """Return all that may be drawn in addition to the top outcomes, and the probabilities.

    The top outcomes come first, then samples of all outcomes that are not among them; `others`
    are samples of any outcome.
    """
    z, log_p = joint(cell)
    new = (z != top.z[:, None]).any(axis=2).all(axis=0)
    summed, drawn = len(top.z), samples - len(top.z)
    left = [range(1)] * summed + [np.flatnonzero(new)] * drawn + [range(len(z))] * samples * others
    if math.prod(map(len, left)) * len(left) * z.shape[1] > MOST_NODES:
        return None
    choice = np.array(list(itertools.product(*left))).T.reshape(len(left), -1)
    log_weights = log_p[choice[summed:]].sum(axis=0)
    if drawn:
        log_weights -= drawn * top.rest[0]
    points = z[choice]
    points[:summed] = top.z[:, None]
    count = choice.shape[1]
    return Outcomes(
        points[:samples],
        np.repeat(top.log_p[:, None], count, axis=1),
        np.repeat(top.rest[None], count, axis=0),
        others=points[samples:] if others else None,
    ), np.exp(log_weights)
