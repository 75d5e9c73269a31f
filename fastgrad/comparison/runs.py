"""One estimator put to one problem: how many samples it takes, its times, its moments."""

from __future__ import annotations

import dataclasses
import time

import numpy as np

from fastgrad.comparison.replicas import exact_moments, sample_moments
from fastgrad.comparison.table import Row

ROUND = 5e-3  # seconds of timing for each estimator in a round
ROUNDING = 64  # relative error of a gradient, in units of its type's: nothing is better
LIMIT = (4096, 256)  # evaluations of f for the first estimates, the latter times the budget
REFUSALS = (TypeError, ValueError, MemoryError)


def most_samples(estimator, wanted):
    """Return the largest number of samples up to the wanted, or else the fewest, it can take."""
    fewest = max(1, estimator.min_samples)
    while fewest % estimator.group(fewest):
        fewest += 1
    whole = (s for s in range(wanted, fewest, -1) if s % estimator.group(s) == 0)
    return next(whole, fewest)


class Counter:
    """Counts the points at which an objective is evaluated, up to a limit where one is set."""

    def __init__(self, objective):
        self.points, self.limit = 0, np.inf
        parts = {name: getattr(objective, name) for name in ("f", "index", "local")}
        parts = {name: self._counting(part, name) for name, part in parts.items() if part}
        self.objective = dataclasses.replace(objective, **parts)

    def _counting(self, part, name):
        def at_points(x):
            if self.points + len(x) > self.limit:
                raise ValueError("it would need too many evaluations of f")
            self.points += len(x)
            return part(x)

        def at_neighbours(z):
            values = part(z)
            self.points += np.size(values)
            return values

        return at_neighbours if name == "local" else at_points


@dataclasses.dataclass(frozen=True)
class Problem:
    """What all contenders are put to."""

    counter: Counter
    distribution: object
    budget: int
    block_size: int | None

    @property
    def objective(self):
        """The objective, counted."""
        return self.counter.objective


class Run:
    """One contender: how many samples it takes, its state, times and moments."""

    def __init__(self, label, estimator, problem, key, warm_up):
        self.label, self.estimator, self.problem = label, estimator, problem
        self.key, self.seconds, self.state = key, np.inf, None
        self.num_samples = most_samples(estimator, 1)
        counter = problem.counter
        counter.limit = counter.points + max(LIMIT[0], LIMIT[1] * problem.budget)
        try:
            self.evaluations = self.estimate().evaluations
            self._fit()
        finally:
            counter.limit = np.inf
        state = self.estimate().state
        for number in range(warm_up if state is not None else 0):
            self.state = self.estimate(key=key.fold_in(number)).state

    def estimate(self, key=None):
        """Make one estimate of the problem itself."""
        return self.estimator(
            self.problem.objective,
            self.problem.distribution,
            num_samples=self.num_samples,
            rng=self.key if key is None else key,
            state=self.state,
            block_size=self.problem.block_size,
        )

    def _fit(self):
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
                spent = np.inf
            if spent <= budget:
                good, self.evaluations = trial, spent
            else:
                bad = trial
        self.num_samples = good

    def time(self):
        """Take the shortest time of some estimates."""
        end = time.perf_counter() + ROUND
        while True:
            begin = time.perf_counter()
            self.estimate()
            now = time.perf_counter()
            self.seconds = min(self.seconds, now - begin)
            if now >= end:
                break

    def measure(self, repeats):
        """Find the moments: exact ones where they cost no more than drawing."""
        problem, self.moments = self.problem, None
        each = (self.estimator, problem.objective, problem.distribution, self.num_samples)
        if self.state is None:
            self.moments = exact_moments(*each, most=repeats)
        if self.moments is None:
            key, block = self.key.fold_in(2**32), problem.block_size
            self.moments = sample_moments(*each, key, repeats, self.state, block, covariance=False)
        if not np.isfinite(self.moments.mean).all():
            raise ValueError("its gradient is not finite")
        self.variance = float(self.moments.variance.sum())
        # Of the mean: the squared distance from where it would be after infinitely many.
        self.spread = float((self.moments.standard_error**2).sum())

    def row(self, truth):
        """Return what was found, against the truth."""
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
