"""Outcomes that are distinct: of every cell, the first in a random order, or by rank.

A cell is what one value of f covers: one variable, or several, whose joint outcomes count. Which it
is only f can tell, so it is asked for the first outcome, the same either way, before the others.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.distributions.categorical import Categorical
from fastgrad.estimators.base import Estimator, read_only
from fastgrad.kernels.estimators.rao_blackwell import distinct as _kernels
from fastgrad.kernels.tiles import check as _check
from fastgrad.objectives import Values


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
        run(logits, words, key is not None, z, log_p, rest, last)
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


MOST_NODES = 2**20  # numbers in all nodes together


class First(NamedTuple):
    """The first outcome, shape (1, *batch), and what the others hang on."""

    z: np.ndarray
    num_samples: int
    key: Any


class Distinct(Estimator):
    """Draws all its outcomes at once and asks for f there: half of every such estimator."""

    def group(self, num_samples):
        """Return all: they depend on each other."""
        return num_samples

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw the first outcome; the others are drawn when f has told the cells."""
        cells = math.prod(distribution.batch_shape)
        return First(search(distribution, cells, 1, key, who=self.name).z, num_samples, key)

    def complete(self, distribution, cells, first):
        """Return all `Outcomes`, given the first."""
        return search(distribution, cells, first.num_samples, first.key, who=self.name)

    def ask(self, objective, distribution, draws, *, offset=0):
        """Return all outcomes and the values of f there, those at `others` last."""
        known, z = [], draws.z
        if isinstance(draws, First):
            value, credit = objective.outcomes(distribution, z)
            known = [Values(value.copy(), None if credit is None else credit.copy())]
            draws = self.complete(distribution, value[0].size, draws)
        z = draws.z if draws.others is None else np.concatenate([draws.z, draws.others])
        if len(z) > len(known):
            z = read_only(z[len(known) :])
            known.append(objective.outcomes(distribution, z, offset=len(known)))
        value = np.concatenate([each.value for each in known])
        if value[0].size != draws.rest.size:
            raise ValueError(f"f has {value[0].size} values a sample, not {draws.rest.size}")
        credit = None if known[0].credit is None else np.concatenate([v.credit for v in known])
        return draws, Values(value, credit)

    def nodes(self, distribution, num_samples, *, examples=None):
        """Return all draws side by side as `Outcomes`, and their weights, or None if too many.

        Which outcomes of several variables are distinct depends on the shape of f's values without
        the samples, `examples`: without it, only those of a single variable are known.
        """
        batch, n = distribution.batch_shape, math.prod(distribution.batch_shape)
        if not n or (examples is None and n > 1):
            return None
        cells = math.prod(examples or ())
        table = np.moveaxis(discrete.log_probabilities(distribution), 0, -1).astype(np.float64)
        laws = []
        for logits in table.reshape(cells, n // cells, -1):
            possible = (logits > -np.inf).sum(axis=1)
            if math.prod(possible.tolist()) > MOST_NODES:
                return None
            laws.append(self.law(Categorical(logits), num_samples))
            if laws[-1] is None:
                return None
        counts = [len(weights) for _, weights in laws]
        if math.prod(counts) * num_samples * n > MOST_NODES:
            return None
        choice = np.unravel_index(np.arange(math.prod(counts)), counts)
        weights = np.prod([w[i] for (_, w), i in zip(laws, choice, strict=True)], axis=0)

        def stack(name, shape):
            parts = [getattr(law, name) for law, _ in laws]
            if parts[0] is None:
                return None
            joined = [part[..., i, :] for part, i in zip(parts, choice, strict=True)]
            return read_only(np.stack(joined, axis=-2).reshape(*joined[0].shape[:-2], *shape))

        points, each = (len(weights), *batch), (len(weights) * cells,)
        shapes = {"z": points, "log_p": each, "rest": each, "last": each, "others": points}
        return Outcomes(**{name: stack(name, shape) for name, shape in shapes.items()}), weights
