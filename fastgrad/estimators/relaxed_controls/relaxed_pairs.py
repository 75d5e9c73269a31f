"""Samples with their relaxations and conditional relaxations, and f at all three."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray, IntArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import MOST_NODES, Estimator
from fastgrad.estimators.relaxed_controls.adaptation import expand
from fastgrad.estimators.relaxed_controls.structured_pairs import draw_structured
from fastgrad.kernels.estimators.relaxed_controls import relaxed_pairs as _kernels
from fastgrad.objectives import Objective
from fastgrad.random import Key


class Pair(NamedTuple):
    """Relaxations at one temperature.

    Attributes
    ----------
    relaxed : array, shape (S, *logits.shape)
        Softmax of the perturbed logits divided by the temperature.
    conditional : array, shape (S, *logits.shape)
        The same with other noise, drawn given the sample; for coupled noise, `relaxed` itself.
    temperature : array, shape (*batch)
        Temperature of each variable.
    """

    relaxed: FloatArray
    conditional: FloatArray
    temperature: FloatArray

    @property
    def coupled(self) -> bool:
        """Whether both relaxations are made of the same noise."""
        return self.conditional is self.relaxed


class Draws(NamedTuple):
    """Samples (S, *batch), and a `Pair` of either kind for each temperature, of the same noise."""

    sample: IntArray
    pairs: tuple[Any, ...]


def draw_relaxed(
    distribution: Discrete,
    temperatures: tuple[Any, ...],
    num_samples: int,
    key: Key,
    *,
    offset: int = 0,
    coupled: bool = True,
) -> Draws:
    """Draw samples with their relaxations at temperatures, each a number or an array (*batch)."""
    logits, batch = distribution.logits, distribution.batch_shape
    rows = distribution.row_shape
    kernel = _kernels.bernoulli if distribution.single_logit else _kernels.categorical
    sample = np.empty((num_samples, *batch), np.int32)
    # One block: malloc keeps it between calls, where several would go back and fault in again.
    kinds = 1 if coupled else 2
    block = np.empty((len(temperatures), kinds, num_samples, *rows), logits.dtype)
    pairs = []
    for x, temperature in zip(block, temperatures, strict=True):
        temperature, given = np.empty(batch, logits.dtype), temperature
        temperature[...] = given
        inverse = _validate.frozen(1 / temperature.reshape(-1))
        conditional = x[0][:0] if coupled else x[1]
        kernel(
            logits.reshape(rows),
            inverse,
            distribution.place(key, offset),
            sample.reshape(num_samples, -1),
            x[0],
            conditional,
        )
        x = _validate.frozen(x.reshape(kinds, num_samples, *logits.shape))
        relaxed = x[0, ...]
        conditional = relaxed if coupled else x[1, ...]
        pairs.append(Pair(relaxed, conditional, _validate.frozen(temperature)))
    return Draws(_validate.frozen(sample), tuple(pairs))


class Control(NamedTuple):
    """A control variate: its value at the conditional relaxation, its gradients at both."""

    signal: FloatArray
    relaxed_gradient: FloatArray
    conditional_gradient: FloatArray


class Answers(NamedTuple):
    """Values of f, its signal for each variable (S, *batch or ones), and f as control variate."""

    value: FloatArray
    signal: FloatArray
    controls: list[Control]


class RelaxedControl(Estimator):
    """Base class: draws samples with their relaxations, and evaluates f there.

    A subclass has the options `temperature` and `coupled`.
    """

    temperature: float = 1.0
    coupled: bool = True

    asks: ClassVar[tuple[str, ...]] = ("score", "conditional")

    def temperatures(self, state: dict[str, Any] | None, batch: tuple[int, ...]) -> tuple[Any, ...]:
        """Return the temperatures of the relaxations, each a number or an array of this shape."""
        return (self.temperature,)

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Draws:
        """Draw samples and their relaxations."""
        temperatures = self.temperatures(state, distribution.batch_shape)
        what, options = (distribution, temperatures, num_samples, key), {"offset": offset}
        if not distribution.one_hot:
            return Draws(*draw_structured(*what, **options, coupled=self.coupled))
        return draw_relaxed(*what, **options, coupled=self.coupled)

    def samples(self, distribution: Discrete, draws: Draws) -> FloatArray:
        """Return the features of the samples."""
        return distribution.features(draws.sample)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at the samples, and with its gradient at their relaxations."""
        batch = distribution.batch_shape
        values = objective.outcomes(distribution, draws.sample, offset=offset)
        value, signal = np.array(values.value), expand(values.signal, batch)
        once = self.coupled and len(draws.pairs) == 1

        controls = []
        for pair in draws.pairs if "grad" in self.needs else ():
            c, q = objective.relaxed_and_gradient(distribution, pair.conditional, offset=offset)
            signal_there = expand(c.signal, batch)
            r = q = q if once else q.copy()  # f may return the same array again
            if not pair.coupled:
                r = objective.gradient(pair.relaxed, offset=offset).copy()
            controls.append(Control(signal_there, r, q))
        return Answers(value, signal, controls)


STEP, REACH = 0.3, 34.0  # of the trapezoidal rule: errors near 1e-14


def quadrature(
    distribution: Discrete, num_samples: int, temperatures: tuple[Any, ...], *, coupled: bool = True
) -> tuple[Draws, FloatArray] | None:
    """Return draws of one sample as the nodes of a quadrature, and weights; None if too many.

    This is for variables of two outcomes. Given the sample b, the perturbed logit has the sign of b
    and the size log1p(v / (1 - v) / r), with v uniform and r the probability of the other outcome.
    In the log odds of v the trapezoidal rule converges exponentially: the nearest pole is pi / 2
    away.
    """
    outcomes = distribution.num_outcomes
    if num_samples != 1 or outcomes != 2 or not (distribution.logits.size and distribution.one_hot):
        return None
    log_p = distribution.log_probabilities().astype(np.float64).reshape(2, -1)
    odds = np.arange(-REACH, REACH + STEP / 2, STEP)
    density = 1 / (4 * np.cosh(odds / 2) ** 2)
    density /= density.sum()
    variables, each = log_p.shape[1], 2 * odds.size * (1 if coupled else odds.size)
    if each**variables * variables * distribution.num_features > MOST_NODES:
        return None

    # Nodes of each variable alone: (2 outcomes, noise, conditional noise or 1, variables).
    sign = np.array([-1.0, 1.0]).reshape(2, 1, 1, 1)
    distance = np.logaddexp(0, odds[:, None] - log_p[::-1, None, :])[:, :, None]
    weight = np.exp(log_p)[:, None, None] * density[:, None, None]
    shape = (2, odds.size, 1 if coupled else odds.size, variables)
    z = np.broadcast_to(sign * distance, shape).reshape(each, variables)
    again = z if coupled else np.broadcast_to(sign * distance.swapaxes(1, 2), shape)
    again = again.reshape(each, variables)
    weight = weight if coupled else weight * density[:, None]
    weight = np.broadcast_to(weight, shape).reshape(each, variables)

    # All combinations of them, as examples side by side.
    choice = np.indices((each,) * variables).reshape(variables, -1)
    of = (choice.T, np.arange(variables))
    batch = (choice.shape[1], *distribution.batch_shape)
    sample = _validate.frozen((z[of] > 0).astype(np.int32).reshape(1, *batch))
    pairs = []
    for temperature in temperatures:
        temperature = np.array(np.broadcast_to(temperature, batch), distribution.logits.dtype)
        x = _relaxed(distribution, z[of].reshape(batch) / temperature)
        y = x if coupled else _relaxed(distribution, again[of].reshape(batch) / temperature)
        pairs.append(Pair(x, y, _validate.frozen(temperature)))
    return Draws(sample, tuple(pairs)), np.prod(weight[of], axis=1)


def _relaxed(distribution: Discrete, x: FloatArray) -> FloatArray:
    """Return one sample of the features whose second category has log odds x."""
    one, other = np.exp(-np.logaddexp(0, -x)), np.exp(-np.logaddexp(0, x))
    x = one if distribution.single_logit else np.stack([other, one], axis=-1)
    return _validate.frozen(x.astype(distribution.logits.dtype)[None])
