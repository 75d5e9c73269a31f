"""Estimates in two passes, for objectives that only a compiled program can evaluate.

An estimator is a deterministic function of its key and of the answers of f, and the points at which
it asks do not depend on the answers. So a first pass (`record`) learns where f is to be evaluated,
the program evaluates f there, and a second pass (`replay`) repeats the first with these answers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import FloatArray, IntArray
from fastgrad.comparison.pilot import Auto
from fastgrad.distributions.categorical import as_distribution
from fastgrad.estimators.antithetic.arsm import ARSM
from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.objectives import Objective
from fastgrad.random import RNG

__all__ = ["Answers", "Points", "Rehearsal", "record", "rehearse", "replay"]


class Points(NamedTuple):
    """Where an estimator asks: features, shape (P, *logits.shape), in the order of asking.

    Attributes
    ----------
    plain : array
        Where only the value of f is wanted.
    sloped : array
        Where the gradient of f is wanted, and its value may be.
    order : array of int32, shape (A, 2)
        For each time of asking, the number of points, and 1 if they are sloped.
    """

    plain: FloatArray
    sloped: FloatArray
    order: IntArray

    def padded(self, most: Points) -> Points:
        """Return points of the sizes of `most`, at which every f that is defined there has values.

        A point of their own, or of `most`, is repeated; `order` tells how many count.
        """
        fields = []
        for own, other in zip(self, most, strict=True):
            rest = len(other) - len(own)
            if rest < 0:
                raise ValueError(f"an estimator must ask at most at {len(other)} points")
            filler = np.zeros_like if other is most.order else np.array
            source = own if len(own) and other is not most.order else other
            fields.append(np.concatenate([own, filler(np.repeat(source[:1], rest, axis=0))]))
        return Points(*fields)


class Answers(NamedTuple):
    """What f answers at `Points`.

    Attributes
    ----------
    plain, sloped : array, or pair of arrays
        Values at the plain and at the sloped points, or values and credit.
    gradient : array
        Gradients at the sloped points, of their shape.
    """

    plain: Any
    sloped: Any
    gradient: Any


def record(
    estimator: Estimator,
    distribution: Any,
    *,
    num_samples: int,
    rng: RNG,
    state: dict[str, Any] | None = None,
    examples: tuple[int, ...] = (),
) -> Points:
    """Learn at which points an estimator asks for f.

    Parameters
    ----------
    estimator : Estimator
    distribution : Categorical, Bernoulli or array
    num_samples, rng, state
        As in the call of the estimator.
    examples : tuple of int
        Shape of the value of f at one sample.

    Returns
    -------
    Points
        In the dtype of the logits.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from fastgrad.interop.replay import record
    >>> rebar = fg.estimator("rebar")
    >>> points = record(rebar, np.zeros((5, 3)), num_samples=4, rng=0)
    >>> points.plain.shape, points.sloped.shape
    ((4, 5, 3), (4, 5, 3))
    """
    call = {"num_samples": num_samples, "rng": rng, "state": state}
    return _recorded(estimator, distribution, examples, call)[0]


class Rehearsal(NamedTuple):
    """What is known of an estimate before the values of the logits are.

    Attributes
    ----------
    most : Points
        Those for logits of 0, where no outcome is masked: no `record` has more.
    state : dict of arrays, or None
        What the estimator has learned after a call with f = 0: its structure is that of all calls.
    """

    most: Points
    state: dict[str, Any] | None


def rehearse(
    estimator: Estimator, distribution: Any, *, num_samples: int, examples: tuple[int, ...] = ()
) -> Rehearsal:
    """Make an estimate for logits of that shape and type, to know the shapes of all others.

    Parameters
    ----------
    estimator, distribution, num_samples, examples
        As in `record`; the values of the logits do not count.

    Returns
    -------
    Rehearsal

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from fastgrad.interop.replay import rehearse
    >>> rehearse(fg.estimator("enumerate"), np.zeros((2, 3)), num_samples=1).most.plain.shape
    (10, 2, 3)
    """
    distribution = as_distribution(distribution)
    distribution = distribution.with_logits(np.zeros_like(distribution.logits))
    call = {"num_samples": num_samples, "rng": 0, "state": None}
    points, state = _recorded(estimator, distribution, examples, call)
    if isinstance(estimator, ARSM):  # it leaves out the swaps that change no outcome
        k = distribution.num_outcomes
        times = 1 + k * (k - 1) // 2
        order = np.zeros((times, 2), np.int32)
        plain = np.repeat(points.plain[:1], times * num_samples, 0)
        points = Points(plain, points.sloped, order)
    return Rehearsal(points, state)


def _recorded(estimator, distribution, examples, call):
    """Return where f is asked for, and the state after it has answered with zeros."""
    if isinstance(estimator, Auto):
        estimator.draw()  # refused in its words
    recorder = _Recorder(examples)
    found = estimator(Objective(recorder.value, recorder.gradient), distribution, **call)
    return recorder.points, found.state


def replay(
    estimator: Estimator,
    distribution: Any,
    points: Points,
    answers: Answers,
    *,
    num_samples: int,
    rng: RNG,
    state: dict[str, Any] | None = None,
) -> Estimate:
    """Make the estimate of the answers of f at the points of `record`, with the same arguments.

    Parameters
    ----------
    estimator, distribution, num_samples, rng, state
        As in the call of `record`.
    points : Points
    answers : Answers

    Returns
    -------
    Estimate
        That of a direct call with f, bit for bit.

    Raises
    ------
    ValueError
        If the estimator asks at other points: those of some estimators depend on the answers.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> from fastgrad.interop.replay import Answers, record, replay
    >>> rloo, logits, call = fg.estimator("rloo"), np.zeros((5, 3)), {"num_samples": 4, "rng": 0}
    >>> points = record(rloo, logits, **call)
    >>> answers = Answers(points.plain[:, 0, 0], points.sloped[:, 0, 0], points.sloped)
    >>> estimate = replay(rloo, logits, points, answers, **call)
    >>> bool((estimate.grad == rloo(lambda x: x[:, 0, 0], logits, **call).grad).all())
    True
    """
    player = _Player(estimator.name, points, answers)
    f = Objective(player.value, player.gradient)
    return estimator(f, distribution, num_samples=num_samples, rng=rng, state=state)


class _Recorder:
    """Answers with zeros, and remembers what it was asked.

    The value and the gradient at one array of points are one evaluation.
    """

    def __init__(self, examples: tuple[int, ...]) -> None:
        self.arrays: list[FloatArray] = []  # kept alive: no other array has their identity
        self.copies: list[FloatArray] = []
        self.sloped: list[bool] = []
        self.examples = examples

    def value(self, x: FloatArray) -> FloatArray:
        self._ask(x)
        return np.zeros((len(x), *self.examples), x.dtype)

    def gradient(self, x: FloatArray) -> FloatArray:
        self.sloped[self._ask(x)] = True
        return np.zeros_like(x)

    def _ask(self, x: FloatArray) -> int:
        for turn, known in enumerate(self.arrays):
            if known is x:
                return turn
        self.arrays.append(x)
        self.copies.append(np.array(x))
        self.sloped.append(False)
        return len(self.arrays) - 1

    @property
    def points(self) -> Points:
        none = self.copies[0][:0]
        kinds = [
            np.concatenate([none, *(x for x, s in zip(self.copies, self.sloped) if s == kind)])
            for kind in (False, True)
        ]
        order = [(len(x), s) for x, s in zip(self.copies, self.sloped)]
        return Points(kinds[0], kinds[1], np.array(order, np.int32))


class _Player:
    """Answers what it is asked, in the order of the first pass.

    An estimator that finds its estimate not finite asks all once more, to blame a sample.
    """

    def __init__(self, name: str, points: Points, answers: Answers) -> None:
        self.name, self.points, self.answers = name, points, answers
        self.sets: list[tuple[bool, slice]] = []
        ends = [0, 0]
        for count, sloped in points.order.tolist():
            if count:
                begin, ends[sloped] = ends[sloped], ends[sloped] + count
                self.sets.append((bool(sloped), slice(begin, ends[sloped])))
        self.arrays: list[FloatArray] = []

    def value(self, x: FloatArray) -> Any:
        sloped, part = self._turn(x)
        answer = self.answers.sloped if sloped else self.answers.plain
        return tuple(a[part] for a in answer) if isinstance(answer, tuple) else answer[part]

    def gradient(self, x: FloatArray) -> FloatArray:
        _, part = self._turn(x)
        return self.answers.gradient[part]

    def _turn(self, x: FloatArray) -> tuple[bool, slice]:
        for known, found in zip(self.arrays, self.sets):
            if known is x:
                return found
        if len(self.arrays) == len(self.sets):
            self.arrays = []
        sloped, part = self.sets[len(self.arrays)]
        self.arrays.append(x)
        if not np.array_equal((self.points.sloped if sloped else self.points.plain)[part], x):
            raise ValueError(
                f"{self.name} must ask at points that do not depend on the answers of f"
            )
        return sloped, part
