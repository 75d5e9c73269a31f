"""Samples with their relaxation and conditional relaxation, and f at all three."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimator, read_only
from fastgrad.estimators.relaxed_controls.adaptation import expand
from fastgrad.kernels.estimators.relaxed_controls import relaxed_pairs as _kernels


class Pair(NamedTuple):
    """Relaxations at one temperature.

    Attributes
    ----------
    relaxed : array, shape (S, *logits.shape)
        Softmax of the perturbed logits over the temperature.
    conditional : array, shape (S, *logits.shape)
        The same of other noise, drawn given the sample; for coupled noise, `relaxed` itself.
    temperature : array, shape (*batch)
    """

    relaxed: np.ndarray
    conditional: np.ndarray
    temperature: np.ndarray

    @property
    def coupled(self):
        """Whether both relaxations are of the same noise."""
        return self.conditional is self.relaxed


class Draws(NamedTuple):
    """Samples (S, *batch), and a `Pair` for each temperature, of one noise."""

    sample: np.ndarray
    pairs: tuple[Pair, ...]


def draw(distribution, temperatures, num_samples, key, *, offset=0, coupled=True):
    """Draw samples with their relaxations at temperatures, each a number or (*batch)."""
    logits, batch = distribution.logits, distribution.batch_shape
    single, k = discrete.single_logit(distribution), discrete.num_features(distribution)
    rows = (logits.size,) if single else (logits.size // k, k)
    kernel = _kernels.bernoulli if single else _kernels.categorical
    sample = np.empty((num_samples, *batch), np.int32)
    # One block: malloc keeps it between calls, where several would go back and fault in again.
    kinds = 1 if coupled else 2
    block = np.empty((len(temperatures), kinds, num_samples, *rows), logits.dtype)
    pairs = []
    for x, temperature in zip(block, temperatures, strict=True):
        temperature, given = np.empty(batch, logits.dtype), temperature
        temperature[...] = given
        inverse = read_only(1 / temperature.reshape(-1))
        conditional = x[0][:0] if coupled else x[1]
        kernel(
            logits.reshape(rows),
            inverse,
            key.kernel_words,
            offset,
            sample.reshape(num_samples, -1),
            x[0],
            conditional,
        )
        x = read_only(x.reshape(kinds, num_samples, *logits.shape))
        relaxed = x[0, ...]
        conditional = relaxed if coupled else x[1, ...]
        pairs.append(Pair(relaxed, conditional, read_only(temperature)))
    return Draws(read_only(sample), tuple(pairs))


class Control(NamedTuple):
    """A control variate: its value at the conditional relaxation, its gradients at both."""

    signal: np.ndarray
    relaxed_gradient: np.ndarray
    conditional_gradient: np.ndarray


class Answers(NamedTuple):
    """Values of f, its signal for each variable (S, *batch or ones), and f as control variate."""

    value: np.ndarray
    signal: np.ndarray
    controls: list[Control]


class RelaxedControl(Estimator):
    """Draws samples with their relaxations, and asks for f there."""

    def temperatures(self, state, batch):
        """Return the temperatures to relax at, each a number or of this shape."""
        return (self.temperature,)

    def draw(self, distribution, num_samples, key, *, offset=0, state=None):
        """Draw samples and their relaxations."""
        temperatures = self.temperatures(state, distribution.batch_shape)
        return draw(
            distribution, temperatures, num_samples, key, offset=offset, coupled=self.coupled
        )

    def ask(self, objective, distribution, draws, *, offset=0):
        """Evaluate f at the samples, and with its gradient at their relaxations."""
        batch = distribution.batch_shape
        values = objective.outcomes(distribution, draws.sample, offset=offset)
        value, signal = np.array(values.value), expand(values.signal, batch)
        once = self.coupled and len(draws.pairs) == 1

        def gradient(x):
            g = objective.gradient(x, offset=offset)
            return g if once else g.copy()  # f may return the same array again

        controls = []
        for pair in draws.pairs if "grad" in self.needs else ():
            c = objective.relaxed(distribution, pair.conditional, offset=offset).signal
            r = gradient(pair.relaxed)
            q = r if pair.coupled else gradient(pair.conditional)
            controls.append(Control(expand(c, batch), r, q))
        return Answers(value, signal, controls)


STEP, REACH = 0.3, 34.0  # of the trapezoidal rule: errors near 1e-14
NODES = 2**20  # most numbers in the samples


def quadrature(distribution, num_samples, temperatures, *, coupled=True):
    """Return draws of one sample as the nodes of a quadrature, and weights; None if too many.

    For variables of two outcomes. Given the sample b, the perturbed logit has the sign of b and the
    size log1p(v / (1 - v) / r), with v uniform and r the probability of the other outcome. In the
    log odds of v the trapezoidal rule converges exponentially: the nearest pole is pi / 2 away.
    """
    outcomes = discrete.num_outcomes(distribution)
    if num_samples != 1 or outcomes != 2 or not distribution.logits.size:
        return None
    log_p = discrete.log_probabilities(distribution).astype(np.float64).reshape(2, -1)
    odds = np.arange(-REACH, REACH + STEP / 2, STEP)
    density = 1 / (4 * np.cosh(odds / 2) ** 2)
    density /= density.sum()
    variables, each = log_p.shape[1], 2 * odds.size * (1 if coupled else odds.size)
    if each**variables * variables * discrete.num_features(distribution) > NODES:
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
    sample = read_only((z[of] > 0).astype(np.int32).reshape(1, *batch))
    pairs = []
    for temperature in temperatures:
        temperature = np.array(np.broadcast_to(temperature, batch), distribution.logits.dtype)
        x = _relaxed(distribution, z[of].reshape(batch) / temperature)
        y = x if coupled else _relaxed(distribution, again[of].reshape(batch) / temperature)
        pairs.append(Pair(x, y, read_only(temperature)))
    return Draws(sample, tuple(pairs)), np.prod(weight[of], axis=1)


def _relaxed(distribution, x):
    """Return one sample of the features whose second category has log odds x."""
    one, other = np.exp(-np.logaddexp(0, -x)), np.exp(-np.logaddexp(0, x))
    x = one if discrete.single_logit(distribution) else np.stack([other, one], axis=-1)
    return read_only(x.astype(distribution.logits.dtype)[None])
