"""Several estimators on the user's own f: which has the smallest error in the least time."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from fastgrad import _validate, exact
from fastgrad._typing import Array, ArrayLike
from fastgrad.comparison.replicas import as_discrete
from fastgrad.comparison.runs import REFUSALS, Counter, Problem, Run
from fastgrad.comparison.table import Comparison
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators import ESTIMATORS, Estimator, EstimatorName, estimator
from fastgrad.estimators.registry import as_estimator
from fastgrad.objectives import Objective, as_objective
from fastgrad.random import RNG, Key, as_key

ROUNDS = 3  # of timing: all estimators take turns, so that a slow spell of the machine hits all


def compare(
    f: Callable[[Array], Any] | Objective,
    distribution: Discrete | ArrayLike,
    *,
    estimators: Iterable[EstimatorName | Estimator] | None = None,
    num_samples: int = 8,
    repeats: int = 1000,
    rng: RNG,
    budget: int = 2**16,
    warm_up: int = 100,
    block_size: int | None = None,
    callback: Callable[[int, int, str], Any] | None = None,
) -> Comparison:
    """Compare estimators of the gradient of E[f] on one problem.

    All estimators may spend the same number of evaluations of f in one estimate, `num_samples`. One
    that evaluates f several times for a sample draws fewer samples. One that needs more evaluations
    than that draws the fewest samples it can; its row shows what it spent. One that would spend
    more than 256 times `num_samples`, and more than 4,096, is skipped.

    Estimators are ranked by their mean squared error times the seconds of one estimate, f included.
    This product does not change if many estimates are averaged: their mean takes longer by the same
    factor by which its variance is smaller.

    The true gradient is exact if there are few enough outcomes, or the objective has an
    `expectation`. Otherwise it is the mean of all unbiased estimators, each weighted by its
    precision; the contribution of a rare outcome is then missed if it never occurs in the draws.

    Parameters
    ----------
    f : callable or Objective
        A function of samples: see `fastgrad.objective`.
    distribution : Categorical, Bernoulli, or array
        The distribution of the samples; an array is the logits of categorical variables.
    estimators : iterable of str or Estimator, optional
        Names stand for the default options. By default all of `list_estimators`. An estimator that
        needs a part that f lacks, or refuses the problem, is skipped and listed with the reason.
    num_samples : int
        Number of evaluations of f that one estimate may spend.
    repeats : int
        Number of estimates for the moments of each, at least 2. If an estimator can name all its
        possible draws and they are no more than that, its moments are exact.
    rng : int, SeedSequence, Generator or Key
        The same key gives the same comparison, apart from the times.
    budget : int
        The largest number of joint outcomes to enumerate for the true gradient.
    warm_up : int
        Number of estimates from which estimators that learn may do so before they are measured.
    block_size : int, optional
        The largest number of samples that are drawn and handed to f at once, as for `Estimator`.
    callback : callable, optional
        Called as ``callback(done, total, label)`` when an estimator has been tried and when it has
        been measured, where `done` of `total` such steps are done.

    Returns
    -------
    Comparison
        The rows of a table, the best estimator first; print it to see the table.

    Raises
    ------
    ValueError
        If none of the estimators works.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f = fg.objectives.separable(np.full((3, 4), 0.45))
    >>> table = fg.compare(f, np.zeros((3, 4)), estimators=["rloo", "gumbel_softmax"], rng=0)
    >>> sorted(row.label for row in table.rows), table.truth
    (['gumbel_softmax', 'rloo'], 'exact')
    """
    num_samples = _validate.integer(num_samples, "num_samples", 1)
    repeats = _validate.integer(repeats, "repeats", 2)
    warm_up = _validate.integer(warm_up, "warm_up", 0)
    budget = _validate.integer(budget, "budget", 1)
    objective, discrete, key = as_objective(f), as_discrete(distribution), as_key(rng)
    entered, skipped = contenders(estimators)
    counter = Counter(objective)
    problem = Problem(counter, discrete, num_samples, block_size)

    def tell(label: str) -> None:
        nonlocal done
        done += 1
        if callback is not None:
            callback(done, 2 * len(entered), label)

    runs, measured, first, done = [], [], None, 0
    for number, (label, each) in enumerate(entered.items()):
        try:
            runs.append(Run(label, each, problem, key.fold_in(number), warm_up))
        except REFUSALS as error:
            skipped[label], first = str(error), first or error
            tell(label)
        tell(label)
    for _ in range(ROUNDS):
        for run in runs:
            run.time()
    for run in runs:
        try:
            run.measure(repeats)
            measured.append(run)
        except REFUSALS as error:
            skipped[run.label], first = str(error), first or error
        tell(run.label)
    if not measured:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in skipped.items())
        raise ValueError(f"none of the estimators works: {reasons}") from first
    truth = _Truth(problem, measured, budget, repeats, key.fold_in(len(entered)))
    rows = sorted(
        (run.row(truth) for run in measured), key=lambda row: (row.error_seconds, row.seconds)
    )
    return Comparison(
        rows=tuple(rows),
        skipped=skipped,
        truth=truth.text,
        grad=truth.grad,
        num_samples=num_samples,
        repeats=repeats,
        warm_up=warm_up,
        evaluations=counter.points,
    )


class _Truth:
    """The true gradient: exact, or the mean of the unbiased, weighted by their precision."""

    text: str
    spread: float
    pool: list[Run]

    def __init__(
        self, problem: Problem, runs: list[Run], budget: int, repeats: int, key: Key
    ) -> None:
        self.grad: Any
        try:
            self.grad = exact.grad(problem.objective, problem.distribution, budget=budget)
            self.text, self.spread, self.pool = "exact", 0.0, []
        except (TypeError, ValueError) as error:  # too many outcomes, or no way to list them
            self._pool(problem, runs, repeats, key, str(error))
        self.square = float((self.grad**2).sum())

    def _pool(self, problem: Problem, runs: list[Run], repeats: int, key: Key, reason: str) -> None:
        self.pool = [run for run in runs if run.estimator.unbiased]
        text = "mean of the unbiased estimators"
        if not self.pool:
            run = Run("rloo", estimator("rloo"), problem, key, 0)
            run.measure(repeats)
            self.pool, text = [run], f"mean of {repeats} estimates of rloo"
        self.text = f"{text}, since {reason}"
        spreads = np.array([run.spread for run in self.pool])
        weights = (spreads == 0) * 1.0 if (spreads == 0).any() else 1 / spreads
        self.spread = 0.0 if (spreads == 0).any() else 1 / weights.sum()
        weights /= weights.sum()
        self.grad = sum(w * run.moments.mean for w, run in zip(weights, self.pool))

    def distance(self, run: Run) -> tuple[float, float]:
        """Return the distance of an estimator's mean, and its mean square if there were no bias."""
        bias = float(np.sqrt(((run.moments.mean - self.grad) ** 2).sum()))
        within = run in self.pool  # then the truth leans to its side
        return bias, max(0.0, run.spread - self.spread if within else run.spread + self.spread)


def contenders(estimators: Iterable[Any] | None) -> tuple[dict[str, Estimator], dict[str, str]]:
    """Return the estimators to compare by label, and why the others cannot be built."""
    if isinstance(estimators, (str, Estimator)):
        raise TypeError(f"estimators must be a list of names or estimators, got {estimators!r}")
    entered: dict[str, Estimator] = {}
    skipped: dict[str, str] = {}
    for given in ESTIMATORS if estimators is None else estimators:
        try:
            each = as_estimator(given, "each of estimators")
        except REFUSALS as error:
            if estimators is not None:
                raise
            skipped[given] = str(error)
            continue
        label, number = _label(each), 1
        while label in entered:
            number += 1
            label = f"{_label(each)} no. {number}"
        entered[label] = each
    if not entered:
        raise ValueError("estimators must name at least one, got none")
    return entered, skipped


def _label(estimator: Estimator) -> str:
    """Return the name of an estimator and those options that are not the default."""
    options = {f.name: repr(getattr(estimator, f.name)) for f in dataclasses.fields(estimator)}
    try:
        default = type(estimator)()
    except TypeError:  # some options have none
        default = None
    given = []
    for name, value in options.items():
        if default is None or value != repr(getattr(default, name)):
            text = " ".join(value.split())
            given.append(f"{name}={text if len(text) <= 30 else text[:29] + '…'}")
    return f"{estimator.name}({', '.join(given)})" if given else estimator.name
