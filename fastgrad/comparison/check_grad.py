"""Whether the parts of an objective agree with each other: a check before they are used."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from fastgrad import _validate
from fastgrad._typing import Array, ArrayLike, FloatArray, IntArray
from fastgrad.distributions.categorical import as_distribution
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.relaxed_controls.relaxed_pairs import draw_relaxed
from fastgrad.estimators.sums import last_joined
from fastgrad.exact import value_and_grad
from fastgrad.objectives import Objective, as_objective
from fastgrad.random import RNG, Key, as_key, normal

__all__ = ["GradCheck", "check_grad"]

TEMPERATURES = 1.0, 0.3  # of the relaxed points
STEP = 1e-3  # of differences, relative to the features
MIXED = 8  # outcomes whose mean is a relaxed point of a structure
CELLS = 32  # variables or changes that are tried one by one
SMALL = 1e-5  # of f: differences that count as rounding


@dataclasses.dataclass(frozen=True)
class GradCheck:
    """How far the parts of an objective are from each other.

    Attributes
    ----------
    errors : dict of float
        For each part that was compared, its largest error relative to the largest value.
    where : dict of str
        For each of them, where that error is.
    tolerance : float
        Errors up to here are put down to rounding.
    """

    errors: dict[str, float]
    where: dict[str, str]
    tolerance: float

    @property
    def agrees(self) -> bool:
        """Whether all errors are within the tolerance."""
        return all(error <= self.tolerance for error in self.errors.values())

    def __str__(self) -> str:
        """Return a line for each part."""
        width = max(map(len, self.errors), default=0)
        return "\n".join(
            f"{name:<{width}}  {'agrees' if error <= self.tolerance else 'DIFFERS'}"
            f"  {error:.1e}  {self.where[name]}"
            for name, error in self.errors.items()
        )


def check_grad(
    f: Callable[[Array], Any] | Objective,
    distribution: Discrete | ArrayLike,
    *,
    num_points: int = 3,
    tolerance: float | None = None,
    budget: int = 2**14,
    rng: RNG = 0,
) -> GradCheck:
    """Check that the parts of an objective belong together.

    A gradient that is wrong makes biased estimators more so, and costs unbiased ones their low
    variance: neither can be seen in a result. These are compared, as far as the objective has them:

    - ``samples``: f of one sample alone with f of many;
    - ``examples``: where f has a value for each example, that it does not depend on the others;
    - ``index``: f of indices with f of one-hot vectors;
    - ``credit``: what changes in f and in the credit of a category or bit when it alone changes;
    - ``local``: f with one variable changed;
    - ``grad``: the gradient with differences of f at relaxed points, along directions in which
      probabilities still sum to 1, since no estimator uses another; of structures and counts at
      means of outcomes, towards each of these;
    - ``value_and_grad``: its two results with f and grad;
    - ``expectation``: with the sum over all outcomes, where there are at most `budget`.

    Parameters
    ----------
    f : callable or Objective
        See `fastgrad.objective`.
    distribution : Categorical, Bernoulli, or array; or a structure, or counts
        As for an estimator; computed in float64.
    num_points : int
        Number of random outcomes, and of relaxed points, at least 2.
    tolerance : float, optional
        Relative errors up to here are put down to rounding: by default 1e-6, or 1e-3 where f
        returns float32.
    budget : int
        The largest number of joint outcomes to sum over.
    rng : int, SeedSequence, Generator or Key

    Returns
    -------
    GradCheck
        Errors of the parts; printed, a line for each.

    Raises
    ------
    ValueError
        If f or a part returns a wrong shape, or values that are not finite.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> w = np.array([[1.0, 2.0, 4.0]])
    >>> f = fg.objective(lambda x: (x * w).sum((1, 2)) ** 2, grad=lambda x: 2 * x * w)
    >>> check = fg.check_grad(f, np.zeros((1, 3)))
    >>> check.agrees, sorted(check.errors)
    (False, ['grad', 'samples'])
    """
    objective = as_objective(f)
    d = as_distribution(distribution)
    d = d.with_logits(d.logits.astype(np.float64))
    num_points = _validate.integer(num_points, "num_points", 2)
    budget = _validate.integer(budget, "budget", 1)
    if tolerance is not None:
        tolerance = _validate.not_negative(tolerance, "tolerance")
    key = as_key(rng)
    found = _Found()
    z = _validate.frozen(d.sample(num_samples=num_points, rng=key))
    values = objective.outcomes(d, z)
    _samples(found, objective, d, z, values.value)
    if values.value.ndim > 1:
        _examples(found, objective, d, z, values.value, key)
    if objective.index is not None and objective.f is not None:
        features = objective.relaxed(d, _validate.frozen(d.features(z))).value
        found.compare("index", values.value, features, lambda i: f"sample {i[0]}")
    if values.credit is not None and d.one_hot and d.logits.size:
        _credit(found, objective, d, z)
    if objective.local is not None:
        _local(found, objective, d, z, values.value)
    if objective.grad is not None and objective.f is not None and d.logits.size:
        if not d.one_hot:
            _gradient_between(found, objective, d, num_points, key)
        for number, temperature in enumerate(TEMPERATURES if d.one_hot else ()):
            (pair,) = draw_relaxed(d, (temperature,), num_points, key.fold_in(number)).pairs
            _gradient(found, objective, d, pair.relaxed, key.fold_in(number))
    if objective.expectation is not None:
        _expectation(found, objective, d, values.value[0].size, budget)
    if tolerance is None:
        tolerance = 1e-3 if values.value.dtype == np.float32 else 1e-6
    return GradCheck(found.errors, found.where, tolerance)


class _Found:
    """The largest errors so far."""

    def __init__(self) -> None:
        self.errors: dict[str, float] = {}
        self.where: dict[str, str] = {}

    def compare(
        self,
        name: str,
        one: FloatArray,
        other: FloatArray,
        place: Callable[[tuple[int, ...]], str],
        rounding: float = 0.0,
    ) -> None:
        """Compare two arrays relative to their largest entry."""
        one, other = np.asarray(one, np.float64), np.asarray(other, np.float64)
        size = max(np.abs(one).max(initial=0.0), np.abs(other).max(initial=0.0), rounding)
        distance = np.abs(one - other) / (size or 1.0)
        worst = float(distance.max(initial=0.0))
        if worst >= self.errors.get(name, -1.0):
            self.errors[name], self.where[name] = worst, ""
            if worst:
                at = tuple(int(i) for i in np.argwhere(distance == worst)[0])
                self.where[name] = f"at {place(at)}: {one[at]:.6g} and {other[at]:.6g}"


def _spread(count: int) -> IntArray:
    """Return the numbers of those that are tried one by one, from the first to the last."""
    return np.linspace(0, max(count - 1, 0), min(count, CELLS)).astype(np.int32)


def _samples(
    found: _Found, objective: Objective, d: Discrete, z: IntArray, values: FloatArray
) -> None:
    """Compare f of each sample alone with f of all."""
    alone = [objective.outcomes(d, _validate.frozen(one[None].copy())).value[0] for one in z]
    found.compare("samples", values, np.stack(alone), lambda i: f"sample {i[0]}")


def _examples(
    found: _Found, objective: Objective, d: Discrete, z: IntArray, values: FloatArray, key: Key
) -> None:
    """Compare f of an example with f where all other examples have other outcomes."""
    shape = values.shape[1:]
    other = d.sample(num_samples=len(z), rng=key.fold_in(2))
    for example in _spread(values[0].size):
        at = np.unravel_index(example, shape)
        mixed = other.copy()
        mixed[(slice(None), *at)] = z[(slice(None), *at)]
        again = objective.outcomes(d, _validate.frozen(mixed)).value
        place = ", ".join(map(str, at))
        chosen = (slice(None), *at)
        found.compare("examples", values[chosen], again[chosen], lambda i, p=place: f"example {p}")


def _changes(d: Discrete, z: IntArray) -> tuple[IntArray, IntArray]:
    """Return one sample many times, with a variable changed in each, and which one it is."""
    variables = z[0].size
    allowed = d.log_probabilities().reshape(-1, variables) > -np.inf
    rows, which = [z[0].reshape(-1)], []
    for v in _spread(variables):
        others = np.flatnonzero(allowed[:, v] & (np.arange(len(allowed)) != rows[0][v]))
        if others.size:
            changed = rows[0].copy()
            changed[v] = others[v % others.size]
            rows.append(changed)
            which.append(int(v))
    many = np.stack(rows).astype(np.int32).reshape(-1, *z.shape[1:])
    return _validate.frozen(many), np.array(which, np.int32)


def _credit(found: _Found, objective: Objective, d: Discrete, z: IntArray) -> None:
    """Compare the change of f with that of a variable's credit, where it alone changes."""
    many, which = _changes(d, z)
    answer = objective.outcomes(d, many)
    assert answer.credit is not None, "there was some"
    value = answer.value.reshape(len(many), -1)
    credit = answer.credit.reshape(len(many), -1)
    cell = which // max(1, credit.shape[1] // max(1, value.shape[1]))
    steps = np.arange(1, len(many))
    by_value = value[steps, cell] - value[0, cell]
    by_credit = credit[steps, which] - credit[0, which]
    rounding = SMALL * float(np.abs(value).max(initial=0.0))
    found.compare("credit", by_credit, by_value, lambda i: f"variable {which[i[0]]}", rounding)


def _local(
    found: _Found, objective: Objective, d: Discrete, z: IntArray, values: FloatArray
) -> None:
    """Compare `local` with f of samples in which one variable is changed."""
    table = objective.neighbours(d, z)
    outcomes, variables = table.shape[-1], z[0].size
    allowed = d.log_probabilities().reshape(outcomes, variables) > -np.inf
    table = table.reshape(len(z), variables, outcomes)
    per = variables // max(1, values[0].size)
    for v in _spread(variables):
        for k in np.flatnonzero(allowed[:, v]):
            changed = z.reshape(len(z), variables).copy()
            changed[:, v] = k
            again = objective.outcomes(d, _validate.frozen(changed.reshape(z.shape))).value
            again = again.reshape(len(z), -1)[:, v // per]
            place = f"variable {v}, category {k}"
            found.compare("local", table[:, v, k], again, lambda i, p=place: f"{p}, sample {i[0]}")


def _gradient(
    found: _Found, objective: Objective, d: Discrete, points: FloatArray, key: Key
) -> None:
    """Compare the gradient with differences of f, along all variables at once and one by one."""
    variables, k = max(1, d.matrix_shape[0]), d.num_features
    chosen = _spread(variables)
    masks = np.vstack([np.ones(variables), np.eye(variables)[chosen]])[..., None]
    noise = normal((len(points), variables, k), rng=key.fold_in(3))
    names = ["all variables", *(f"variable {v}" for v in chosen)]
    for number, x in enumerate(points):
        flat = x.reshape(variables, k)
        if d.single_logit:
            along = flat * (1 - flat) * noise[number]
        else:
            along = flat * (noise[number] - (flat * noise[number]).sum(axis=-1, keepdims=True))
        along = along / max(1.0, np.abs(noise[number]).max())
        directions = (masks * along).reshape(len(names), *x.shape)
        _slopes(found, objective, d, x, directions, [f"{n}, point {number}" for n in names])


def _gradient_between(
    found: _Found, objective: Objective, d: Discrete, num_points: int, key: Key
) -> None:
    """Compare the gradient with differences of f at means of outcomes, and towards each of these.

    That is where structures have their relaxed points, whatever their features are.
    """
    for number in range(num_points):
        x = d.features(d.sample(num_samples=MIXED, rng=key.fold_in(number)))
        mean = x.mean(axis=0)
        directions = (x - mean) / max(1.0, np.abs(x - mean).max())
        names = [f"outcome {i}, point {number}" for i in range(MIXED)]
        _slopes(found, objective, d, mean, directions, names)


def _slopes(
    found: _Found,
    objective: Objective,
    d: Discrete,
    x: FloatArray,
    directions: FloatArray,
    names: list[str],
) -> None:
    """Compare the gradient at features x with differences of f along directions."""
    moves = np.multiply.outer(STEP * np.array([1.0, -1.0, 0.5, -0.5]), directions)
    moved = _validate.frozen((x + moves).reshape(-1, *x.shape))
    value = objective.relaxed(d, moved).value.astype(np.float64)
    size = float(np.abs(value).max(initial=0.0))
    up, down, near, far = value.reshape(4, len(directions), -1).sum(axis=-1)
    wide, narrow = (up - down) / (2 * STEP), (near - far) / STEP
    slope = (4 * narrow - wide) / 3  # Richardson: the error is of order STEP**4
    x = _validate.frozen(x[None].copy())
    values, gradient = objective.relaxed_and_gradient(d, x)
    expected = (directions * gradient).reshape(len(directions), -1).sum(axis=1)
    found.compare("grad", expected, slope, lambda i: names[i[0]], SMALL * size)
    if objective.value_and_grad is not None:
        _both(found, objective, d, x, values.value, gradient, names[0])


def _both(
    found: _Found,
    objective: Objective,
    d: Discrete,
    x: FloatArray,
    value: FloatArray,
    gradient: FloatArray,
    place: str,
) -> None:
    """Compare the results of `value_and_grad` with f and grad."""
    apart = objective.relaxed(d, x).value, objective.gradient(x)
    for one, other in zip((value, gradient), apart, strict=True):
        found.compare("value_and_grad", one, other, lambda i: place)


def _expectation(
    found: _Found, objective: Objective, d: Discrete, examples: int, budget: int
) -> None:
    """Compare `expectation` with the sum over all outcomes, if they are few."""
    allowed = last_joined(d.log_probabilities(), d.num_outcomes, examples) > -np.inf
    outcomes = allowed.sum(axis=0).prod(axis=1, dtype=np.float64).max(initial=1.0)
    if outcomes > budget:
        return
    plain = dataclasses.replace(objective, expectation=None)
    summed = value_and_grad(plain, d, budget=budget)
    rounding = SMALL * float(np.abs(summed[0]).max(initial=0.0))
    for one, other, name in zip(value_and_grad(objective, d), summed, ("mean", "gradient")):
        found.compare("expectation", one, other, lambda i, n=name: f"{n} {i}", rounding)
