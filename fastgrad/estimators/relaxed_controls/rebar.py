"""REBAR: the score function with f of a relaxed sample as control variate."""

from __future__ import annotations

import dataclasses

import numpy as np

from fastgrad import _validate
from fastgrad.estimators.base import Estimate
from fastgrad.estimators.relaxed_controls.adaptation import cell_shape, descend, recall
from fastgrad.estimators.relaxed_controls.controlled_sums import ControlledScores
from fastgrad.estimators.relaxed_controls.relaxed_pairs import RelaxedControl, quadrature
from fastgrad.estimators.sums import Mean

__all__ = ["REBAR"]

PROBE = 0.05  # between the logarithms of the two temperatures compared
PRIOR = 100  # samples that the initial scale is worth
LOWEST, HIGHEST = 2.0**-8, 2.0**8  # temperatures that adaptation reaches


@dataclasses.dataclass(frozen=True, kw_only=True)
class REBAR(RelaxedControl):
    """REINFORCE with f of the conditional relaxation as control variate, its mean added again.

    With z the perturbed logits, b their sample, z~ drawn given b, and ``c(z) = f(softmax(z /
    temperature))``, a sample's estimate is ``(f(b) - scale c(z~)) score(b) + scale (grad c(z) -
    grad c(z~))``, for Bernoulli variables with a sigmoid. It is unbiased at any scale and
    temperature. Both adapt, each cell's its own, where one call's state is passed to the next: only
    earlier calls decide, so that each call is unbiased. f is differentiated once, never twice.

    Parameters
    ----------
    temperature : float
        The initial one.
    scale : float
        The initial eta, at least 0: without adaptation, 0 is REINFORCE.
    coupled : bool
        Use the noise of z in z~: f is evaluated at one relaxation where it is else two.
    adapt_scale : bool
        Use the scale of least variance, a ratio of two running products.
    adapt_temperature : bool
        Let Adam lower the variance, whose slope is a difference: f is also evaluated at a second
        temperature, 5 % above and below by turns, with the same noise. It stays within 2**-8 and
        2**8.
    decay : float
        What a call leaves of the running products, from 0 to 1.
    learning_rate : float
        Of the logarithm of the temperature.

    Notes
    -----
    With credit, f and c are each variable's own, which is unbiased for both: the other terms of c
    do not depend on its noise.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f, rebar = fg.objectives.separable(np.full((5, 3), 0.45)), fg.estimator("rebar")
    >>> estimate = rebar(f, np.zeros((5, 3)), num_samples=8, rng=0)
    >>> again = rebar(f, np.zeros((5, 3)), num_samples=8, rng=1, state=estimate.state)
    >>> again.grad.shape, again.evaluations, sorted(again.state)
    ((5, 3), 16, ['products', 'scale', 'temperature'])
    """

    temperature: float = 0.5
    scale: float = 1.0
    coupled: bool = True
    adapt_scale: bool = True
    adapt_temperature: bool = False
    decay: float = 0.99
    learning_rate: float = 0.01

    name = "rebar"
    unbiased = True
    needs = ("f", "grad")
    evaluations = "2 S to 5 S"
    paper = "Tucker et al., 'REBAR: low-variance, unbiased gradient estimates', 2017"

    def __post_init__(self):
        _validate.temperature(self.temperature)
        _validate.not_negative(self.scale, "scale")
        _validate.positive(self.learning_rate, "learning_rate")
        if _validate.positive(self.decay, "decay") > 1:
            raise ValueError(f"decay must be at most 1, got {self.decay}")
        for name in ("coupled", "adapt_scale", "adapt_temperature"):
            _validate.choice(getattr(self, name), name, (False, True))

    def temperatures(self, state, batch):
        """Return the temperature, and where it adapts one to compare it with."""
        own = recall(state, "temperature", batch, self.temperature)
        return (own, own * np.exp(self.probe(state))) if self.adapt_temperature else (own,)

    def probe(self, state):
        """Return how far the logarithm of the second temperature is from the first."""
        return PROBE if recall(state, "steps", (), 0) % 2 == 0 else -PROBE

    def nodes(self, distribution, num_samples):
        """Return one sample of a few variables of two outcomes as nodes of a quadrature."""
        temperatures = self.temperatures(None, distribution.batch_shape)
        return quadrature(distribution, num_samples, temperatures, coupled=self.coupled)

    def combine(self, distribution, blocks, state=None):
        """Make the estimate of pairs (`Draws`, `Answers`)."""
        value, sums = Mean(), []
        for (z, pairs), (f, signal, controls) in blocks:
            value.add(f)
            if not sums:
                shape = cell_shape(f, distribution.batch_shape)
                scale = recall(state, "scale", shape, self.scale)
                adaptive = self.adapt_scale or self.adapt_temperature
                sums = [ControlledScores(distribution, products=adaptive) for _ in pairs]
            for total, pair, control in zip(sums, pairs, controls, strict=True):
                total.add(z, pair, scale, signal, control)
        count, grad = value.count, sums[0].total / value.count
        if adaptive:
            products = [total.pooled(shape) / count for total in sums]
            state = self.adapt(state, scale, products, count)
        evaluations = count * (1 + len(sums) * (1 if self.coupled else 2))
        return Estimate(value.result.astype(grad.dtype), grad, state, evaluations)

    def adapt(self, state, scale, products, count):
        """Return the next state, given the mean g . h, h . h and g . g at each temperature."""
        gh, hh, gg = products[0]
        temperature = recall(state, "temperature", scale.shape, self.temperature)
        new = {"scale": scale, "temperature": temperature}
        if self.adapt_scale:  # g_0 = g + scale h, and the best scale is g_0 . h / h . h
            prior = PRIOR * np.stack([self.scale * hh, hh])
            past = (
                prior if state is None else self.decay * recall(state, "products", prior.shape, 0)
            )
            past = past + count * np.stack([gh + scale * hh, hh])
            new["products"] = past
            new["scale"] = np.divide(*past, out=scale.copy(), where=past[1] > 0)
        if self.adapt_temperature:
            slope = (products[1][2] - gg) / self.probe(state)
            log, moments = descend(np.log(temperature), slope, state, self.learning_rate)
            new |= moments | {"temperature": np.clip(np.exp(log), LOWEST, HIGHEST)}
        return {name: np.array(x) for name, x in new.items()}
