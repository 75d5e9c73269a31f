"""Several estimators on the user's own f: who comes nearest to the truth in the least time."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate, exact
from fastgrad.comparison.replicas import as_estimator, with_logits
from fastgrad.comparison.runs import REFUSALS, Counter, Problem, Run
from fastgrad.comparison.table import Comparison
from fastgrad.estimators import ESTIMATORS, estimator
from fastgrad.objectives import as_objective
from fastgrad.random import as_key

ROUNDS = 3  # of timing: all estimators take turns, so that a slow spell of the machine hits all


def compare(
    f,
    distribution,
    *,
    estimators=None,
    num_samples=8,
    repeats=1000,
    rng,
    budget=2**16,
    warm_up=100,
    block_size=None,
    callback=None,
):
    """Compare estimators of the gradient of E[f] on one problem.

    All may spend the same number of evaluations of f, `num_samples`, in one estimate: one that
    takes several for a sample draws fewer samples; one that cannot do with so few draws the fewest
    it can, and its row shows what it spent; one that would spend 256 times as much (and more than
    4,096) is skipped. Seconds are those of one estimate of the problem
    itself, f included. What counts is mean squared error times seconds: an average over many
    estimates divides the variance by as much as it multiplies the time.

    The truth is exact where the outcomes are few enough or the objective knows its expectation;
    otherwise it is the mean of all unbiased estimators, each weighted by its precision. What a
    rare outcome contributes is then unseen if it never occurs in the draws.

    Parameters
    ----------
    f : callable or Objective
    distribution : distribution, or array of logits
    estimators : list of str or Estimator, optional
        Names stand for their default options; by default all of `list_estimators`. What needs a
        part that f lacks, or refuses the problem, is skipped and listed with the reason.
    num_samples : int
        Evaluations of f in one estimate.
    repeats : int
        Estimates of each for its moments, at least 2. Where an estimator can name all its possible
        draws and they are no more than that, its moments are exact instead.
    rng : int, SeedSequence, Generator or Key
    budget : int
        The largest number of joint outcomes to enumerate for the truth.
    warm_up : int
        Estimates in which estimators that learn may do so before they are measured.
    block_size : int, optional
        The most samples to draw and hand to f at once, as in `Estimator`.
    callback : callable, optional
        Called as ``callback(done, total, label)`` for each estimator when it has been tried and
        when it has been measured: `done` of `total` such steps.

    Returns
    -------
    Comparison

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
    objective, distribution, key = as_objective(f), with_logits(distribution), as_key(rng)
    entered, skipped = contenders(estimators)
    counter = Counter(objective)
    problem = Problem(counter, distribution, num_samples, block_size)

    def tell(label):
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
        *(tuple(rows), skipped, truth.text, truth.grad),
        *(num_samples, repeats, warm_up, counter.points),
    )


class _Truth:
    """The true gradient: exact, or the mean of the unbiased, weighted by their precision."""

    def __init__(self, problem, runs, budget, repeats, key):
        try:
            self.grad = exact.grad(problem.objective, problem.distribution, budget=budget)
            self.text, self.spread, self.pool = "exact", 0.0, []
        except ValueError as error:  # too many outcomes
            self._pool(problem, runs, repeats, key, str(error))
        self.square = float((self.grad**2).sum())

    def _pool(self, problem, runs, repeats, key, reason):
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

    def distance(self, run):
        """Return the distance of an estimator's mean, and the mean square of that without bias."""
        bias = float(np.sqrt(((run.moments.mean - self.grad) ** 2).sum()))
        within = run in self.pool  # then the truth leans to its side
        return bias, max(0.0, run.spread - self.spread if within else run.spread + self.spread)


def contenders(estimators):
    """Return the estimators to compare by label, and those that cannot even be built."""
    entered, skipped = {}, {}
    for given in ESTIMATORS if estimators is None else estimators:
        try:
            each = as_estimator(given)
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


def _label(estimator):
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
