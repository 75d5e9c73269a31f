"""Samples with their relaxation and conditional relaxation, and f at all three."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from fastgrad.distributions import discrete
from fastgrad.estimators.base import Estimator, read_only
from fastgrad.estimators.relaxed_controls.adaptation import expand
from fastgrad.kernels import relaxed_pairs as _kernels


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
            x.size,
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
