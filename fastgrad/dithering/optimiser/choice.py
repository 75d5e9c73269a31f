"""Which K of many inks to take: the expected loss over subsets, then exact swaps."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np

from fastgrad import random
from fastgrad._typing import Array, FloatArray
from fastgrad.dithering.optimiser.diffusion import diffuse
from fastgrad.dithering.optimiser.loss import BlurredError
from fastgrad.dithering.optimiser.parts import tiled
from fastgrad.dithering.optimiser.search import Search
from fastgrad.random import RNG

__all__ = ["Judge", "choose"]

PIXELS = 1 << 12  # of the sample
FEW = 256  # subsets of which every one is tried
STEPS, SAMPLES = 16, 12  # of the gradient
RATE = 1.0  # of a step, where the losses of a batch have a spread of 1
TRIES = 2048  # of subsets, at most: then the best of them is taken


class Judge:
    """The loss of a halftone in some of the inks, of a sample of a picture.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture.
    inks : array, shape (N, channels)
        All inks, in the space of the loss.

    Attributes
    ----------
    known : dict of tuple to float
        The losses of the subsets that have been tried.
    """

    known: dict[tuple[int, ...], float]

    part: BlurredError
    inks: FloatArray

    def __init__(self, loss: BlurredError, inks: FloatArray) -> None:
        self.part = tiled(loss, PIXELS)
        self.inks, self.known = np.ascontiguousarray(inks, loss.dtype), {}

    def of(self, chosen: tuple[int, ...]) -> float:
        """Return the loss with a subset of the inks, which is ascending: diffused and searched."""
        if chosen not in self.known:
            colors = self.inks[list(chosen)]
            search = Search(self.part, diffuse(self.part, colors), colors)
            search.sweep()
            self.known[chosen] = search.errors()[0]
        return self.known[chosen]

    def __call__(self, x: Array) -> FloatArray:
        """Return the losses of samples, k-hot of shape (S, N): an objective of `KSubset`."""
        return np.array([self.of(tuple(np.flatnonzero(row).tolist())) for row in x])

    @property
    def best(self) -> tuple[int, ...]:
        """The best subset so far."""
        return min(self.known, key=lambda chosen: (self.known[chosen], chosen))


def choose(loss: BlurredError, inks: FloatArray, count: int, *, rng: RNG = 0) -> Array:
    """Return which inks make the best picture, if there are to be no more than a few of them.

    Which inks are taken is a random subset of so many, with a weight for each ink. The expected
    loss of the halftone is lowered by its gradient, whose estimate is unbiased (`rloo`), for some
    steps. Then from the best subset that was met one ink after the other is exchanged, the likely
    ones first, until no exchange is for the better, or 2048 subsets have been tried. Where there
    are no more than 256 subsets, all of them are tried.

    Parameters
    ----------
    loss : BlurredError
        The loss of the picture, of which a sample is halftoned.
    inks : array, shape (N, channels)
        All inks, in the space of the loss.
    count : int
        Number of inks to take.
    rng : int, Key, SeedSequence or Generator, optional
        Source of randomness.

    Returns
    -------
    array of int64, shape (count,)
        The inks' numbers, in ascending order.

    References
    ----------
    Ahmed, Zeng, Niepert and Van den Broeck, "SIMPLE: a gradient estimator for k-subset sampling",
    ICLR 2023: the distribution.

    Examples
    --------
    >>> picture = np.full((16, 16, 3), 0.5, np.float32)
    >>> inks = np.float32([[0, 0, 0], [1, 0, 0], [0, 1, 1], [0, 0, 1]])
    >>> choose(BlurredError(picture), inks, 2).tolist()
    [1, 2]
    """
    judge, total = Judge(loss, inks), len(inks)
    if math.comb(total, count) <= FEW:
        for chosen in combinations(range(total), count):
            judge.of(chosen)
        return np.array(judge.best)
    logits = _learned(judge, total, count, random.as_key(rng))
    best, better = judge.best, True
    while better:
        better = False
        for other in _swaps(best, logits):
            if len(judge.known) >= TRIES:
                break
            if judge.of(other) < judge.of(best):
                best, better = other, True
                break
    return np.array(best)


def _learned(judge: Judge, total: int, count: int, key: random.Key) -> FloatArray:
    """Return logits of the inks, after some steps down the gradient of the expected loss."""
    from fastgrad import estimators  # late: few pictures need them, and all would wait
    from fastgrad.distributions.subset import KSubset

    rloo, logits = estimators.estimator("rloo"), np.zeros(total)
    for step in range(STEPS):
        distribution = KSubset(logits, count)
        estimate = rloo(judge, distribution, num_samples=SAMPLES, rng=key.fold_in(step))
        spread = float(np.std(list(judge.known.values())))
        if spread == 0:  # all are alike
            break
        logits = logits - RATE * estimate.grad * (total / count) / spread
        logits = np.clip(logits - logits.mean(), -20, 20)
    return logits


def _swaps(best: tuple[int, ...], logits: FloatArray) -> list[tuple[int, ...]]:
    """Return subsets with one other ink: the unlikely of those taken, for the likely others."""
    order = np.argsort(logits, kind="stable")
    taken = [int(i) for i in order if i in best]
    others = [int(i) for i in order[::-1] if i not in best]
    pairs = [(taken.index(old) + others.index(new), old, new) for old in taken for new in others]
    return [tuple(sorted({*best, new} - {old})) for _, old, new in sorted(pairs)]
