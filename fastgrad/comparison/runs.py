"""One estimator on one problem: how many samples it takes, its times, its moments."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad.comparison.replicas import Moments, exact_moments, sample_moments
from fastgrad.comparison.table import Row
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators import Estimate, Estimator
from fastgrad.objectives import Objective
from fastgrad.random import Key

ROUND = 5e-3  # seconds of timing for each estimator in a round
ROUNDING = 64  # relative error of a gradient, in units of its type's: nothing is better
LIMIT = (4096, 256)  # evaluations of f for the first estimates, the latter times the budget
REFUSALS = (TypeError, ValueError, MemoryError)


def most_samples(estimator: Estimator, wanted: int) -> int:
    """Return the largest number of samples it can take up to `wanted`, or else the smallest."""
    fewest = max(1, estimator.min_samples)
    while fewest % estimator.group(fewest):
        fewest += 1
    whole = (s for s in range(wanted, fewest, -1) if s % estimator.group(s) == 0)
    return next(whole, fewest)


class Counter:
    """Counts the points at which an objective is evaluated, and refuses more than a limit."""

    points: int
    limit: float
    objective: Objective

    def __init__(self, objective: Objective) -> None:
        self.points, self.limit = 0, math.inf
        parts = {name: getattr(objective, name) for name in ("f", "index", "local")}
        parts = {name: self._counting(part, name) for name, part in parts.items() if part}
        self.objective = dataclasses.replace(objective, **parts)

    def _counting(self, part: Callable[..., Any], name: str) -> Callable[..., Any]:
        def at_points(x: Any) -> Any:
            if self.points + len(x) > self.limit:
                raise ValueError("it would need too many evaluations of f")
            self.points += len(x)
            return part(x)

        def at_neighbours(z: Any) -> Any:
            values = part(z)
            self.points += np.size(values)
            return values

        return at_neighbours if name == "local" else at_points


@dataclasses.dataclass(frozen=True)
class Problem:
    """The problem on which all estimators are compared."""

    counter: Counter
    distribution: Discrete
    budget: int
    block_size: int | None

    @property
    def objective(self) -> Objective:
        """The objective, whose evaluations are counted."""
        return self.counter.objective


class Run:
    """One estimator in the comparison: its number of samples, its state, times and moments."""

    label: str
    estimator: Estimator
    problem: Problem
    key: Key
    num_samples: int
    evaluations: int
    seconds: float
    moments: Moments
    variance: float
    spread: float

    def __init__(
        self, label: str, estimator: Estimator, problem: Problem, key: Key, warm_up: int
    ) -> None:
        self.label, self.estimator, self.problem = label, estimator, problem
        self.key, self.seconds = key, math.inf
        self.state: dict[str, Any] | None = None
        self.num_samples = most_samples(estimator, 1)
        counter = problem.counter
        counter.limit = counter.points + max(LIMIT[0], LIMIT[1] * problem.budget)
        try:
            self.evaluations = self.estimate().evaluations
            self._fit()
        finally:
            counter.limit = math.inf
        state = self.estimate().state
        for number in range(warm_up if state is not None else 0):
            self.state = self.estimate(key=key.fold_in(number)).state

    def estimate(self, key: Key | None = None) -> Estimate:
        """Make one estimate of the problem itself."""
        return self.estimator(
            self.problem.objective,
            self.problem.distribution,
            num_samples=self.num_samples,
            rng=self.key if key is None else key,
            state=self.state,
            block_size=self.problem.block_size,
        )

    def _fit(self) -> None:
        """Find the most samples that cost no more than the budget: double, then bisect."""
        good, bad, budget = self.num_samples, None, self.problem.budget
        while self.evaluations < budget:
            middle = min(2 * good, budget) if bad is None else (good + bad) // 2
            trial = most_samples(self.estimator, middle)
            if trial <= good:
                break
            self.num_samples = trial
            try:
                spent = self.estimate().evaluations
            except REFUSALS:  # more than the problem's outcomes, say
                spent = None
            if spent is not None and spent <= budget:
                good, self.evaluations = trial, spent
            else:
                bad = trial
        self.num_samples = good

    def time(self) -> None:
        """Time some estimates; keep the shortest time so far."""
        end = time.perf_counter() + ROUND
        while True:
            begin = time.perf_counter()
            self.estimate()
            now = time.perf_counter()
            self.seconds = min(self.seconds, now - begin)
            if now >= end:
                break

    def measure(self, repeats: int) -> None:
        """Find the moments: exact ones where they cost no more than drawing."""
        problem, found = self.problem, None
        each = (self.estimator, problem.objective, problem.distribution, self.num_samples)
        if self.state is None:
            found = exact_moments(*each, most=repeats)
        if found is None:
            key, block = self.key.fold_in(2**32), problem.block_size
            found = sample_moments(*each, key, repeats, self.state, block, covariance=False)
        self.moments = found
        if not np.isfinite(self.moments.mean).all():
            raise ValueError("its gradient is not finite")
        self.variance = float(self.moments.variance.sum())
        # Of the mean: the squared distance from where it would be after infinitely many.
        self.spread = float((self.moments.standard_error**2).sum())

    def row(self, truth: Any) -> Row:
        """Return the row of the table, with errors against the truth."""
        bias, noise = truth.distance(self)
        error = self.variance + max(0.0, bias**2 - noise)
        rounding = ROUNDING * np.finfo(self.problem.distribution.logits.dtype).eps
        least = rounding**2 * truth.square
        return Row(
            self.label,
            self.estimator,
            self.num_samples,
            self.evaluations,
            bias,
            float(np.sqrt(noise)),
            self.variance,
            error,
            self.seconds,
            max(error, least) * self.seconds,
            self.moments.exact,
            self.state,
        )
