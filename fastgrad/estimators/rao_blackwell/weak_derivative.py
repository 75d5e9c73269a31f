"""Measure-valued derivatives of counts: differences of f where one variable is another count."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.counts.panjer import Alternatives
from fastgrad.estimators.base import Estimate, Estimator, estimate
from fastgrad.estimators.score_sums import expand
from fastgrad.estimators.sums import Mean
from fastgrad.objectives import Objective
from fastgrad.random import Key

__all__ = ["WeakDerivative"]


class Draws(NamedTuple):
    """Samples, and the alternatives of each variable."""

    z: Any
    alternatives: Alternatives


@dataclasses.dataclass(frozen=True, kw_only=True)
class WeakDerivative(Estimator):
    """The form of `measure_valued` for counts: no score, and no gradient of f.

    The derivative of a distribution of counts is a sum of others, weighted: of Poisson variables,
    ``d E[f(X)] / d rate = E[f(X + 1) - f(X)]``, and the like for the others. Among the variables
    that share one value of f, each is changed by itself.

    Parameters
    ----------
    coupled : bool
        Whether the other counts are the samples themselves and one more, weighted: with a
        probability that is a derivative, a count is one larger. That is the stochastic triple.

    References
    ----------
    Arya, Schauer, Schäfer and Rackauckas, "Automatic differentiation of programs with discrete
    randomness", NeurIPS 2022 (coupled).
    Heidergott and Vázquez-Abad, "Measure-valued differentiation for Markov chains", JOTA 2008.
    Mohamed, Rosca, Figurnov and Mnih, "Monte Carlo gradient estimation in machine learning", JMLR
    2020, section 6.
    """

    coupled: bool = False

    name = "measure_valued"
    unbiased = True
    evaluations = "S (P n + 1) for n variables under one value of f, each with P alternatives"
    asks: ClassVar[tuple[str, ...]] = ("weak_derivative",)
    paper = "Heidergott and Vázquez-Abad, 2008; Mohamed et al., 2020"

    def draw(
        self,
        distribution: Any,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Draws:
        """Draw samples and alternatives."""
        z = distribution.drawn(num_samples, key, offset)
        if self.coupled:
            return Draws(_validate.frozen(z), distribution.one_more(z))
        other = distribution.weak_derivative(num_samples, key.fold_in(0), offset)
        return Draws(_validate.frozen(z), other)

    def samples(self, distribution: Any, draws: Draws) -> FloatArray:
        """Return the features of the samples."""
        return distribution.features(draws.z)

    def ask(self, objective: Objective, distribution: Any, draws: Draws, *, offset: int = 0) -> Any:
        """Evaluate f at the samples, and with each variable in turn at its alternatives."""
        z, other = draws.z, draws.alternatives.z
        value = np.array(objective.outcomes(distribution, z, offset=offset).value)
        kinds, cells = len(other), math.prod(value.shape[1:])
        per = distribution.num_variables // max(cells, 1)
        event = z.shape[1 + len(distribution.batch_shape) :]
        split = (len(z), cells, per, *event)
        found = np.empty((kinds, len(z), cells, per))
        for i in range(per):
            changed = np.array(np.broadcast_to(z, (kinds, *z.shape)))
            changed.reshape(kinds, *split)[:, :, :, i] = other.reshape(kinds, *split)[:, :, :, i]
            flat = _validate.frozen(changed.reshape(kinds * len(z), *z.shape[1:]))
            there = objective.outcomes(distribution, flat, offset=offset).value
            found[..., i] = there.reshape(kinds, len(z), cells)
        return value, found.reshape(kinds, len(z), *distribution.batch_shape)

    def combine(
        self,
        distribution: Any,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of pairs (`Draws`, (values, values at alternatives))."""
        value, slopes, evaluations = Mean(), Mean(), 0
        for draws, (f_z, found) in blocks:
            value.add(f_z)
            coefficients = draws.alternatives.coefficients
            if self.coupled:
                at_z = f_z.reshape(*f_z.shape, *(1,) * (found.ndim - 1 - f_z.ndim))
                gained = found - at_z
            else:
                coefficients = coefficients[:, None]
                gained = expand(found - found[0], coefficients)  # their coefficients sum to 0
            slopes.add((coefficients * gained).sum(axis=0))
            variables = math.prod(distribution.batch_shape)
            cells = max(math.prod(value.shape), 1)
            evaluations += len(f_z) * (len(found) * (variables // cells) + 1)
        grad = np.asarray(slopes.result, distribution.logits.dtype)
        return estimate(value.result, grad, state, evaluations)
