"""What all estimators share: draw, ask f, combine."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad.distributions.discrete import as_distribution
from fastgrad.estimators.lazy_check import trusting
from fastgrad.objectives import as_objective
from fastgrad.random import as_key

__all__ = ["Estimate", "Estimator"]


class Estimate(NamedTuple):
    """What an estimator found.

    Attributes
    ----------
    value : array
        Estimate of E[f]: the shape of f's values without the samples.
    grad : array, the shape and dtype of the logits
        Estimate of the gradient of E[f]; summed over examples, which do not mix.
    state : dict of arrays or None
        To be passed to the next call, for estimators that learn as they go.
    evaluations : int
        Points at which f was evaluated; its gradient there counts as part of that.
    """

    value: np.ndarray
    grad: np.ndarray
    state: dict[str, np.ndarray] | None
    evaluations: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Estimator:
    """An estimator of the gradient of E[f] by the logits: its fields are its options.

    Calling it is pure. It draws from the key (`draw`), asks f what it needs to know there (`ask`),
    and makes the estimate of that (`combine`), a pure function of draws and answers: given all
    outcomes in place of draws, its mean and variance are exact.

    Attributes
    ----------
    name : str
        What `fastgrad.estimator` calls it.
    unbiased : bool
    needs : tuple of str
        Parts of the objective without which it cannot work.
    evaluations : str
        Points at which it evaluates f, in terms of the number of samples S.
    min_samples : int
    paper : str
    """

    name: ClassVar[str]
    unbiased: ClassVar[bool]
    needs: ClassVar[tuple[str, ...]] = ()
    evaluations: ClassVar[str] = "S"
    min_samples: ClassVar[int] = 1
    paper: ClassVar[str]

    def __call__(self, f, distribution, *, num_samples, rng, state=None, block_size=None):
        """Estimate E[f] and its gradient.

        Parameters
        ----------
        f : callable or Objective
        distribution : distribution, or array of logits
        num_samples : int
            S, at most 2**24: so far float32 can count.
        rng : int, SeedSequence, Generator or Key
        state : dict of arrays, optional
            That of the last estimate.
        block_size : int, optional
            The most samples to draw and hand to f at once, which bounds the memory; by default
            all. It does not change the result.

        Returns
        -------
        Estimate

        Raises
        ------
        TypeError
            If the objective lacks a part that the estimator needs.
        ValueError
            If the samples are too few, or f returns values of a wrong shape or not finite.
        """
        objective, distribution = as_objective(f), as_distribution(distribution)
        objective.require(self.name, self.needs)
        num_samples = _validate.integer(num_samples, "num_samples", 1, 2**24)
        if num_samples < self.min_samples:
            least = f"{self.name} needs at least {self.min_samples} samples"
            raise ValueError(f"{least}, got num_samples={num_samples}")
        group = self.group(num_samples)
        if num_samples % group:
            rule = f"{self.name} draws its samples in groups: num_samples must be a multiple of"
            raise ValueError(f"{rule} {group}, got {num_samples}")
        block_size = num_samples if block_size is None else block_size
        size = max(1, _validate.integer(block_size, "block_size", 1) // group) * group
        key = as_key(rng)

        def blocks(objective):
            for offset in range(0, num_samples, size):
                n = min(size, num_samples - offset)
                draws = self.draw(distribution, n, key, offset=offset, state=state)
                yield draws, self.ask(objective, distribution, draws, offset=offset)

        def estimate(objective):
            return self.combine(distribution, blocks(objective), state)

        return trusting(estimate, objective) if "grad" in self.needs else estimate(objective)

    def group(self, num_samples):
        """Return how many consecutive samples depend on each other: blocks are whole groups."""
        return 1

    def nodes(self, distribution, num_samples):
        """Return all draws of a small problem with their weights, or None where there are too many.

        They stand side by side as the examples of a minibatch: draws as of a distribution with C
        copies of the logits, (C, *logits.shape), and weights (C,), which sum to 1.
        """
        return None

    def draw(self, distribution, num_samples, key, *, offset=0, state=None) -> Any:
        """Draw samples number `offset` and on; what f is asked at must be read-only."""
        raise NotImplementedError

    def ask(self, objective, distribution, draws, *, offset=0) -> Any:
        """Evaluate what the estimator needs of f at the draws."""
        raise NotImplementedError

    def combine(self, distribution, blocks, state=None) -> Estimate:
        """Make the estimate of an iterable of pairs (draws, answers), one for each block."""
        raise NotImplementedError


def read_only(x):
    """Return an array that nobody can change through this name."""
    x = x.view()
    x.flags.writeable = False
    return x
