"""The exact joint distributions of coupled samples: all outcomes of groups, side by side."""

from __future__ import annotations

import itertools
import math

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, FloatArray, IntArray
from fastgrad.estimators.base import MOST_NODES


def side_by_side(laws: FloatArray, groups: int, numbers: int) -> tuple[Array, FloatArray] | None:
    """Return all draws of independent variables as (choice, weights), or None if too many.

    `laws` (N, L) has the probability of each of the L outcomes that a variable may have in one
    group; such an outcome consists of so many `numbers`. In each of the C draws, choice, shape
    (groups, C, N), is the index of the outcome, and the weights, shape (C,), are probabilities.
    """
    laws = np.tile(laws, (groups, 1)).T
    possible = laws > 0
    counts = possible.sum(axis=0)
    nodes = math.prod(counts.tolist())
    if nodes * counts.size * numbers > MOST_NODES:
        return None
    kept = np.argsort(~possible, axis=0, kind="stable")
    strides = np.cumprod([1, *counts])[:-1]
    choice = np.take_along_axis(kept, np.arange(nodes)[:, None] // strides % counts, axis=0)
    weights = np.take_along_axis(laws, choice, axis=0).prod(axis=1)
    return choice.reshape(nodes, groups, -1).swapaxes(0, 1), weights


def outcomes_of(choice: Array, tuples: Array, batch: tuple[int, ...]) -> IntArray:
    """Return samples z, shape (S, C, *batch), given each choice, (groups, C, N), among tuples.

    `tuples` (N, L, n) holds the outcomes of a variable in the n samples of a group.
    """
    z = tuples[np.arange(choice.shape[2]), choice]
    z = np.moveaxis(z, 3, 1).reshape(-1, choice.shape[1], *batch)
    return _validate.frozen(np.ascontiguousarray(z, np.int32))


def hits(p: FloatArray, size: int) -> FloatArray:
    """Return, as [m, t], the probability that of m coupled draws of probability p these t are 1.

    The draws are [(1 - d_k)**(size - 1) < p], k up to `size`, with d uniform on the simplex: r of
    them are 1 together with probability max(0, 1 - r a)**(size - 1), a = 1 - p**(1 / (size - 1)).
    """
    a = 1 - p ** (1 / (size - 1))
    together = [np.maximum(1 - r * a, 0) ** (size - 1) for r in range(size + 1)]
    together[1] = p
    law = np.zeros((size + 1, size + 1, *p.shape))
    for m in range(size + 1):
        for t in range(m + 1):
            terms = [(-1) ** j * math.comb(m - t, j) * together[t + j] for j in range(m - t + 1)]
            law[m, t] = np.maximum(sum(terms), 0)
    return law


def stick_law(logits: FloatArray, size: int) -> tuple[Array, FloatArray] | None:
    """Return all tuples of places, (L, size), and their probabilities (N, L), or None if too many.

    `logits` (N, K) ascend. The draws that have not stopped before stop at place i together with
    `hits` of w_i / (the sum of w from there on), w = exp(logits).
    """
    n, k = logits.shape
    if k**size * size * n > MOST_NODES:
        return None
    w = np.exp(logits - logits[:, -1:])
    p = w / np.cumsum(w[:, ::-1], axis=1)[:, ::-1]
    places = np.array(list(itertools.product(range(k), repeat=size)))
    law = np.ones((n, len(places)))
    for i in range(k):
        law *= hits(p[:, i], size)[(places >= i).sum(axis=1), (places == i).sum(axis=1)].T
    return places, law
