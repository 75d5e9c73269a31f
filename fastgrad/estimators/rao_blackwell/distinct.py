"""Distinct outcomes of every cell: the first ones in a random order, or the most probable ones.

A cell is the group of variables that one value of f concerns (an example of a minibatch): one
variable, or several, whose joint outcomes count. Only the shape of f's values tells how many cells
there are. So f is first evaluated at the first outcome, which is the same for any cells, and then
at the others.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.categorical import Categorical
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import MOST_NODES, Estimator, Reduction
from fastgrad.estimators.listed import Listed
from fastgrad.kernels.estimators.rao_blackwell import distinct as _kernels
from fastgrad.kernels.tiles import check as _check
from fastgrad.objectives import Objective, Values
from fastgrad.random import Key

NO_KEY = Key(0)  # for kernels that are not to draw


class Outcomes(NamedTuple):
    """Outcomes of which the first k are distinct in each of M cells.

    Attributes
    ----------
    z : array of int32, shape (S, *batch)
    log_p : array, shape (k, M)
        Log probability of each distinct outcome.
    rest : array, shape (M,)
        Log probability of all other outcomes together.
    last : array, shape (M,), or None
        Perturbed log probability of the next outcome in the random order.
    others : array of int32, shape (S, *batch), or None
        Further outcomes at which f is evaluated only for a baseline.
    """

    z: IntArray
    log_p: FloatArray
    rest: FloatArray
    last: FloatArray | None = None
    others: IntArray | None = None


def search(
    distribution: Discrete, cells: int, count: int, key: Key | None, *, who: str, spare: int = 0
) -> Outcomes:
    """Return the first `count` outcomes of each cell in a random order.

    The order is that of sampling without replacement; if the key is None, it is by probability,
    the most probable first. `spare` further outcomes are searched, but not returned: `last` is the
    perturbed log probability of the last outcome that was searched.
    """
    if distribution.single_logit:
        logits = np.moveaxis(distribution.log_probabilities(), 0, -1)
        logits = _validate.frozen(np.ascontiguousarray(logits).reshape(-1, 2))
    else:
        logits = distribution.rows
    if count > 1 and cells:
        check_support(logits, cells, count, who)
    z = np.zeros((count + spare, len(logits)), np.int32)
    run, dtype = _kernels.beams, np.float64
    if cells == len(logits):
        run, dtype = _kernels.rows, logits.dtype
    log_p, last = np.zeros((len(z), cells), dtype), np.zeros(cells, dtype)
    rest = np.full(cells, -np.inf if len(z) else 0.0, dtype)
    noise = distribution.place(key or NO_KEY, 0)
    if z.size:
        run(logits, noise, key is not None, z, log_p, rest, last)
    z = _validate.frozen(z.reshape(len(z), *distribution.batch_shape))
    log_p, rest, last = (x.astype(np.float64) for x in (log_p[:count], rest, last))
    return Outcomes(z[:count], log_p, rest, last)


def check_support(logits: FloatArray, cells: int, count: int, who: str) -> None:
    """Raise ValueError if some cell has fewer than `count` outcomes of positive probability."""
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


class First(NamedTuple):
    """The first outcome, shape (1, *batch), and what determines the others."""

    z: IntArray
    num_samples: int
    key: Key


class Distinct(Estimator):
    """Base class: draws all outcomes at once and evaluates f there."""

    reduction: ClassVar[Reduction] = "weighted"
    asks: ClassVar[tuple[str, ...]] = ("outcomes", "score")

    def for_distribution(self, distribution: Discrete) -> Estimator:
        """Return the form for listed outcomes where features are not one-hot."""
        return self if distribution.one_hot else Listed(inner=self)

    def group(self, num_samples: int) -> int:
        """Return the number of samples: all depend on each other."""
        return num_samples

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> First:
        """Draw the first outcome; the others are drawn when f has told the cells."""
        cells = math.prod(distribution.batch_shape)
        return First(search(distribution, cells, 1, key, who=self.name).z, num_samples, key)

    def samples(self, distribution: Discrete, draws: First | Outcomes) -> FloatArray:
        """Return the features of the outcomes that are known."""
        return distribution.features(draws.z)

    def weights(self, outcomes: Outcomes) -> FloatArray:
        """Return the weights (S, M) of the outcomes of each cell in the estimate of E[f]."""
        raise NotImplementedError

    def weighed(
        self, distribution: Discrete, draws: Any, answers: tuple[Outcomes, Values]
    ) -> tuple[FloatArray, FloatArray | None]:
        """Return the features of all outcomes, but those for a baseline, and their weights."""
        outcomes, values = answers
        weights, shape = self.weights(outcomes), values.value.shape[1:]
        return distribution.features(outcomes.z), weights.reshape(len(outcomes.z), *shape)

    def law(self, cell: Categorical, num_samples: int) -> tuple[Outcomes, FloatArray] | None:
        """Return all `Outcomes` of one cell and their weights, or None where there are too many."""
        raise NotImplementedError

    def complete(self, distribution: Discrete, cells: int, first: First) -> Outcomes:
        """Return all `Outcomes`, given the first."""
        return search(distribution, cells, first.num_samples, first.key, who=self.name)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Return all outcomes and the values of f there; those at `others` come last."""
        known, z = [], draws.z
        if isinstance(draws, First):
            value, credit = objective.outcomes(distribution, z)
            known = [Values(value.copy(), None if credit is None else credit.copy())]
            draws = self.complete(distribution, value[0].size, draws)
        z = draws.z if draws.others is None else np.concatenate([draws.z, draws.others])
        if len(z) > len(known):
            z = _validate.frozen(z[len(known) :])
            known.append(objective.outcomes(distribution, z, offset=len(known)))
        value = np.concatenate([each.value for each in known])
        if value[0].size != draws.rest.size:
            raise ValueError(f"f has {value[0].size} values a sample, not {draws.rest.size}")
        credits = [each.credit for each in known if each.credit is not None]
        return draws, Values(value, np.concatenate(credits) if credits else None)

    def nodes(
        self,
        distribution: Discrete,
        num_samples: int,
        *,
        examples: tuple[int, ...] | None = None,
    ) -> tuple[Any, FloatArray] | None:
        """Return all draws side by side as `Outcomes`, and their weights, or None if too many.

        Which outcomes of several variables are distinct depends on `examples`, the shape of f's
        values without the axis of samples. Without it, only those of a single variable are known.
        """
        batch, n = distribution.batch_shape, math.prod(distribution.batch_shape)
        if not n or (examples is None and n > 1):
            return None
        cells = math.prod(examples or ())
        table = np.moveaxis(distribution.log_probabilities(), 0, -1).astype(np.float64)
        laws = []
        for logits in table.reshape(cells, n // cells, -1):
            possible = (logits > -np.inf).sum(axis=1)
            if math.prod(possible.tolist()) > MOST_NODES:
                return None
            law = self.law(Categorical(logits), num_samples)
            if law is None:
                return None
            laws.append(law)
        counts = [len(weights) for _, weights in laws]
        if math.prod(counts) * num_samples * n > MOST_NODES:
            return None
        choice = np.unravel_index(np.arange(math.prod(counts)), counts)
        weights = np.prod([w[i] for (_, w), i in zip(laws, choice, strict=True)], axis=0)

        def stack(name: str, shape: tuple[int, ...]) -> Any:
            parts = [getattr(law, name) for law, _ in laws]
            if parts[0] is None:
                return None
            joined = [part[..., i, :] for part, i in zip(parts, choice, strict=True)]
            return _validate.frozen(
                np.stack(joined, axis=-2).reshape(*joined[0].shape[:-2], *shape)
            )

        points, each = (len(weights), *batch), (len(weights) * cells,)
        shapes = {"z": points, "log_p": each, "rest": each, "last": each, "others": points}
        return Outcomes(**{name: stack(name, shape) for name, shape in shapes.items()}), weights
