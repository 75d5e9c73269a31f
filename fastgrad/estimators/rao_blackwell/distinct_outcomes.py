"""The search for distinct outcomes of each cell: the first in a random order, or by rank."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.estimators.base import read_only
from fastgrad.kernels import check as _check
from fastgrad.kernels import distinct as _kernels


class Outcomes(NamedTuple):
    """Outcomes z, shape (S, *batch), of which the first k are distinct in each of M cells.

    Those have log probabilities log_p (k, M), all else rest (M); the last of them, perturbed, is
    last (M). At `others`, like z, f is asked only for a baseline.
    """

    z: np.ndarray
    log_p: np.ndarray
    rest: np.ndarray
    last: np.ndarray | None = None
    others: np.ndarray | None = None


def search(distribution, cells, count, key, *, who, spare=0):
    """Return the first `count` outcomes of each cell: in a random order, or by rank if key is None.

    The random order is that of sampling without replacement. There may be less than `spare` more.
    """
    if discrete.single_logit(distribution):
        logits = np.moveaxis(discrete.log_probabilities(distribution), 0, -1)
        logits = read_only(np.ascontiguousarray(logits).reshape(-1, 2))
    else:
        logits = distribution.logits.reshape(-1, distribution.num_categories)
    if count > 1 and cells:
        check_support(logits, cells, count, who)
    z = np.zeros((count + spare, len(logits)), np.int32)
    run, dtype = _kernels.beams, np.float64
    if cells == len(logits):
        run, dtype = _kernels.rows, logits.dtype
    log_p, last = np.zeros((len(z), cells), dtype), np.zeros(cells, dtype)
    rest = np.full(cells, -np.inf if len(z) else 0.0, dtype)
    words = (np.uint32(0), np.uint32(0)) if key is None else key.kernel_words
    if z.size:
        run(logits.size * len(z), logits, words, key is not None, z, log_p, rest, last)
    z = read_only(z.reshape(len(z), *distribution.batch_shape))
    return Outcomes(z[:count], *(x.astype(np.float64) for x in (log_p[:count], rest, last)))


def check_support(logits, cells, count, who):
    """Refuse more distinct outcomes than some cell has."""
    if _check.worst(logits.reshape(-1)) == _check.FINE:  # no need to count in each
        log_possible = np.full(1, len(logits) // cells * math.log(logits.shape[1]))
    else:
        log_possible = np.log((logits > -np.inf).sum(axis=1)).reshape(cells, -1).sum(axis=1)
    least = log_possible.argmin()
    if log_possible[least] < math.log(count) - 1e-9:
        where = f" in example {least}" if cells > 1 else ""
        raise ValueError(
            f"{who} needs {count} distinct outcomes, but only "
            f"{round(math.exp(log_possible[least]))} are possible{where}"
        )
