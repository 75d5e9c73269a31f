"""Measure-valued derivatives: a gradient is a difference of f under two other distributions."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any, ClassVar

import numpy as np

from fastgrad import _validate, random
from fastgrad._typing import FloatArray
from fastgrad.distributions.continuous import Normal
from fastgrad.distributions.continuous.location_scale import stream
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.estimators.continuous.score_function import Means, OfContinuous, estimate_of
from fastgrad.estimators.rao_blackwell.weak_derivative import WeakDerivative
from fastgrad.estimators.sums import Mean
from fastgrad.objectives import Objective
from fastgrad.random import Key

__all__ = ["MeasureValued"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MeasureValued(OfContinuous):
    """Measure-valued derivatives of normal variables: the difference of f at pairs of points.

    The derivative of a normal density is the difference of two other densities, times a constant.
    So the derivative of E[f] is a difference of two means of f: no gradient of f is needed, nor is
    f weighted by a score. With W a Rayleigh variate, M a double-sided Maxwell variate and z a
    standard normal variate,

        d E[f] / d loc = E[f(loc + scale W) - f(loc - scale W)] / (scale sqrt(2 pi)),
        d E[f] / d log_scale = E[f(loc + scale M) - f(loc + scale z)].

    The two points of a pair are coupled: both signs share W, and z = M u with u uniform. Among the
    variables that share one value of f, each is moved by itself, so f is evaluated three times for
    each of them. It applies to `Normal` and `LogNormal`, and to the distributions of
    `fastgrad.counts`, of which it takes differences of f at other counts.

    Parameters
    ----------
    coupled : bool
        Of counts, whether the other counts are the samples themselves and one more, with weights:
        the stochastic triple, in S (n + 1) evaluations. Normal variables are always coupled, and
        `Multinomial` never, where one more of a category is one less of another.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> d = fg.continuous.Normal(np.zeros(3), np.zeros(3))
    >>> f = lambda x: (x > 0).sum(axis=-1)
    >>> estimate = fg.estimator("measure_valued")(f, d, num_samples=100, rng=0)
    >>> estimate.grad["loc"].round(6), estimate.evaluations
    (array([0.398942, 0.398942, 0.398942]), 1000)

    References
    ----------
    Mohamed, Rosca, Figurnov and Mnih, "Monte Carlo gradient estimation in machine learning", JMLR
    2020, section 6; Heidergott, Vázquez-Abad and Volk-Makarewicz, "Sensitivity estimation for
    Gaussian systems", EJOR 2008, for the coupling. Arya, Schauer, Schäfer and Rackauckas,
    "Automatic differentiation of programs with discrete randomness", NeurIPS 2022, for counts.
    """

    coupled: bool = False

    name = "measure_valued"
    takes: ClassVar[type] = Normal  # or LogNormal
    unbiased = True
    evaluations = "S (3 n + 1) for n variables under one value of f"
    paper = "Heidergott, Vázquez-Abad and Volk-Makarewicz, 2008; Mohamed et al., 2020"

    @classmethod
    def refusal(cls, kind: type) -> str | None:
        """Return why it does not work with distributions of a class, or None."""
        if not issubclass(kind, Discrete):
            return super().refusal(kind)
        reason = kind.lacks.get("weak_derivative")
        wanted = f"{cls.name} needs a distribution that is Normal or of counts"
        return reason and f"{wanted}, got {kind.__name__}: {reason}"

    def for_distribution(self, distribution: Any) -> Estimator:
        """Return the form for counts where the distribution is of them."""
        if not isinstance(distribution, Discrete):
            return self
        if self.coupled and not hasattr(distribution, "one_more"):
            kind = type(distribution).__name__
            raise TypeError(f"coupled must be False for {kind}: one more is one less of another")
        return WeakDerivative(coupled=self.coupled)

    def draw(
        self,
        distribution: Normal,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Any:
        """Draw normal, double-sided Maxwell and Rayleigh variates, each (S, *batch)."""
        *normal, uniform, rayleigh = key.split(5)
        a, b, c = (stream(random.normal, distribution, num_samples, k, offset) for k in normal)
        maxwell = np.copysign(np.sqrt(a * a + b * b + c * c), a)
        u = stream(random.uniform, distribution, num_samples, uniform, offset)
        e = stream(random.exponential, distribution, num_samples, rayleigh, offset)
        return maxwell * u, maxwell, np.sqrt(2 * e)

    def samples(self, distribution: Any, draws: Any) -> Any:
        """Return the samples."""
        return distribution.transform(draws[0])

    def ask(
        self, objective: Objective, distribution: Normal, draws: Any, *, offset: int = 0
    ) -> Any:
        """Evaluate f at samples, and with each variable in turn moved out to M, to W and to -W."""
        normal, maxwell, rayleigh = draws
        x = distribution.transform(normal)
        value = objective.relaxed(distribution, _validate.frozen(x), offset=offset).value
        cells = value.size
        outer, spread = np.empty_like(x), np.empty_like(x)
        per = x.size // max(cells, 1)

        def moved(noise: FloatArray, i: int) -> FloatArray:
            """Return f where variable i of those that share a value has other noise, flat."""
            y = x.copy()
            y.reshape(cells, per)[:, i] = distribution.transform(noise).reshape(cells, per)[:, i]
            return objective.relaxed(
                distribution, _validate.frozen(y), offset=offset
            ).value.reshape(-1)

        for i in range(per):
            outer.reshape(cells, per)[:, i] = moved(maxwell, i) - value.reshape(-1)
            spread.reshape(cells, per)[:, i] = moved(rayleigh, i) - moved(-rayleigh, i)
        return value, spread, outer, len(x) * (3 * per + 1)

    def combine(
        self,
        distribution: Normal,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (draws, (values, differences for loc, for log_scale))."""
        value, means, evaluations = Mean(), Means(), 0
        for _, (f_x, spread, outer, points) in blocks:
            value.add(f_x)
            means.add({"loc": spread, "log_scale": outer})
            evaluations += points
        grad = {name: mean.result for name, mean in means.items()}
        scale = np.exp(distribution.log_scale.astype(np.float64))
        grad["loc"] = grad["loc"] / (scale * np.sqrt(2 * np.pi))
        return estimate_of(distribution, value, grad, state, evaluations)
