"""REBAR: the score function with f at a relaxed sample as control variate."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, estimate
from fastgrad.estimators.relaxed_controls.adaptation import adam_step, cell_shape, recall
from fastgrad.estimators.relaxed_controls.relaxed_pairs import RelaxedControl, quadrature
from fastgrad.estimators.relaxed_controls.structured_controls import controlled_scores
from fastgrad.estimators.sums import Mean, learnable

__all__ = ["REBAR"]

PROBE = 0.05  # between the logarithms of the two temperatures compared
PRIOR = 100  # samples that the initial scale is worth
LOWEST, HIGHEST = 2.0**-8, 2.0**8  # temperatures that adaptation reaches


@dataclasses.dataclass(frozen=True, kw_only=True)
class REBAR(RelaxedControl):
    """REBAR: REINFORCE with f at the conditional relaxation as control variate.

    Let z be the perturbed logits, b the sample made of them, z~ perturbed logits drawn given b, and
    ``c(z) = f(softmax(z / temperature))``, with a sigmoid for Bernoulli variables. The estimate of
    one sample is ``(f(b) - scale c(z~)) score(b) + scale (grad c(z) - grad c(z~))``. It is unbiased
    at any scale and temperature, and needs the first derivative of f only.

    Scale and temperature adapt to the problem, separately for each value of f, if the state of one
    call is passed to the next. A call uses what earlier calls have learned, and so is unbiased.

    Parameters
    ----------
    temperature : float
        Initial temperature of the relaxations, above 0.
    scale : float
        Initial weight of the control variate, the paper's eta, at least 0. With 0 and without
        adaptation, this is REINFORCE.
    coupled : bool
        Whether z~ is made of the noise of z. f is then evaluated at one relaxation rather than two.
    adapt_scale : bool
        Whether the scale becomes that of least variance, a ratio of two running products.
    adapt_temperature : bool
        Whether Adam adapts the temperature to lower the variance. The derivative of the variance is
        a difference: f is also evaluated at a second temperature, in turns 5 % above and below the
        first, with the same noise. The temperature stays between 2**-8 and 2**8.
    decay : float
        Weight of a call in the running products relative to the call after it, above 0 and at
        most 1.
    learning_rate : float
        Step size of Adam for the logarithm of the temperature.

    Notes
    -----
    With credit, f and c are each variable's own. Both terms stay unbiased, because the other terms
    of c do not depend on the noise of the variable.

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
    needs: ClassVar[tuple[str, ...]] = ("f", "grad")
    evaluations = "2 S to 5 S"
    paper = "Tucker et al., 'REBAR: low-variance, unbiased gradient estimates', 2017"

    def __post_init__(self) -> None:
        _validate.temperature(self.temperature)
        _validate.not_negative(self.scale, "scale")
        _validate.positive(self.learning_rate, "learning_rate")
        if _validate.positive(self.decay, "decay") > 1:
            raise ValueError(f"decay must be at most 1, got {self.decay}")
        for name in ("coupled", "adapt_scale", "adapt_temperature"):
            _validate.choice(getattr(self, name), name, (False, True))

    def check(self, distribution: Any) -> None:
        """Refuse a distribution that the estimator is not for, or whose type the scale leaves."""
        super().check(distribution)
        _validate.held(self.scale, "scale", distribution.logits.dtype)

    def temperatures(self, state: dict[str, Any] | None, batch: tuple[int, ...]) -> tuple[Any, ...]:
        """Return the temperature, and if it adapts a second one to compare it with."""
        own = recall(state, "temperature", batch, self.temperature)
        return (own, own * np.exp(self.probe(state))) if self.adapt_temperature else (own,)

    def probe(self, state: dict[str, Any] | None) -> float:
        """Return the distance of the logarithm of the second temperature from the first."""
        return PROBE if recall(state, "steps", (), 0) % 2 == 0 else -PROBE

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return one sample of a few variables of two outcomes as nodes of a quadrature."""
        temperatures = self.temperatures(None, distribution.batch_shape)
        return quadrature(distribution, num_samples, temperatures, coupled=self.coupled)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (`Draws`, `Answers`)."""
        value = Mean()
        sums: list[Any] = []
        shape: tuple[int, ...] = ()
        scale: Any = self.scale
        adaptive = self.adapt_scale or self.adapt_temperature
        for (z, pairs), (f, signal, controls) in blocks:
            value.add(f)
            if not sums:
                shape = cell_shape(f, distribution.batch_shape)
                scale = recall(state, "scale", shape, self.scale)
                sums = [controlled_scores(distribution, products=adaptive) for _ in pairs]
            for total, pair, control in zip(sums, pairs, controls, strict=True):
                total.add(z, pair, scale, signal, control)
        count, grad = value.count, sums[0].total / value.count
        if adaptive:
            products = learnable(np.stack([total.pooled(shape) / count for total in sums]), (0, 1))
            state = self.adapt(state, scale, products, count)
        evaluations = count * (1 + len(sums) * (1 if self.coupled else 2))
        return estimate(value.result, grad, state, evaluations)

    def adapt(
        self,
        state: dict[str, Any] | None,
        scale: FloatArray,
        products: FloatArray,
        count: int,
    ) -> dict[str, FloatArray]:
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
            log, moments = adam_step(np.log(temperature), slope[None], state, self.learning_rate)
            new |= moments | {"temperature": np.clip(np.exp(log), LOWEST, HIGHEST)}
        return {name: np.array(x) for name, x in new.items()}
