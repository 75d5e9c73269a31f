"""REINFORCE with the control variates of several estimators at once."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Estimator, by_options, estimate
from fastgrad.estimators.listed import Listed
from fastgrad.estimators.pooled_controls.least_squares import regress
from fastgrad.estimators.pooled_controls.terms import TERMS, Answers, Case, Term
from fastgrad.estimators.relaxed_controls.adaptation import cell_shape, expand
from fastgrad.estimators.relaxed_controls.relaxed_pairs import (
    Control,
    Draws,
    draw_relaxed,
    quadrature,
)
from fastgrad.estimators.score_functions.baselines.simple import check_decay
from fastgrad.estimators.score_functions.reinforce import Reinforce
from fastgrad.estimators.sums import CentredScores, Mean, mean_features
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels
from fastgrad.objectives import Objective, Values
from fastgrad.random import Key

__all__ = ["Pooled"]

ControlName: TypeAlias = Literal["leave_one_out", "double_cv", "stein", "taylor", "rebar"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooled(Estimator):
    """REINFORCE with the control variates of several estimators, weighted for least variance.

    Each control contributes a term h of mean zero, made of the samples that all share. The estimate
    is ``g + sum over controls of weight * h``, where g is REINFORCE without a baseline. The weights
    are those of least squares: they minimise the variance according to running products of g and h
    from earlier calls, and so each call is unbiased. Whatever helps on the problem at hand gets its
    weight; what does not help gets almost none. In the first call, without a state, "leave_one_out"
    has weight 1 and all others 0: it is RLOO.

    Parameters
    ----------
    controls : sequence of str
        Which control variates to pool, one or more of

        - "leave_one_out": the baselines of `rloo`;
        - "double_cv": the linear function of `double_cv`, made of gradients at the other samples;
        - "stein": the surrogates of `rodeo`, made of the same gradients; each has a weight of its
          own;
        - "taylor": the expansion of `muprop` at the mean, which costs one evaluation; value and
          slope have a weight each;
        - "rebar": f at the conditional relaxation, which costs one evaluation a sample.

        All but the first need the gradient of f.
    weights : sequence of float, optional
        Fixed weights, one for each control, relative to those of its own estimator: so ones for
        "leave_one_out" and "double_cv" make `double_cv`. By default they are learned.
    per_cell : bool
        Whether each value of f (with credit, each variable) has weights of its own, rather than all
        together. They then suit problems whose parts differ, but take more calls to learn.
    temperature : float
        Temperature of the relaxations of "rebar", above 0.
    decay : float
        Weight of a call in the running products relative to the call after it, above 0 and at
        most 1.

    Notes
    -----
    Products are taken about the running mean of the gradient, which lowers their noise and does not
    change their mean, since that of h is zero. The ridge penalty is relative to the products of
    each control, and fades as (number of controls / number of calls) to the fourth power.

    All samples make one block: `block_size` has no effect.

    Examples
    --------
    >>> import numpy as np, fastgrad as fg
    >>> f, logits = fg.objectives.separable(np.full((5, 3), 0.45)), np.zeros((5, 3))
    >>> pooled, state = fg.estimator("pooled", controls=("leave_one_out", "rebar")), None
    >>> for step in range(10):
    ...     estimate = pooled(f, logits, num_samples=8, rng=step, state=state)
    ...     state = estimate.state
    >>> estimate.grad.shape, estimate.evaluations
    ((5, 3), 16)

    References
    ----------
    The controls: Kool et al., 2019; Titsias and Shi, 2022; Shi et al., 2022; Gu et al., 2016;
    Tucker et al., 2017. Weights by regression: Owen, "Monte Carlo theory, methods and examples",
    2013, section 8.9; Geffner and Domke, "Using large ensembles of control variates for
    variational inference", NeurIPS 2018.
    """

    controls: Sequence[ControlName] = ("leave_one_out", "double_cv", "taylor", "rebar")
    weights: Sequence[float] | None = None
    per_cell: bool = False
    temperature: float = 0.5
    decay: float = 0.997

    name = "pooled"
    unbiased = True
    needs: ClassVar[tuple[str, ...]] = by_options(lambda run: run._needs)
    min_samples: ClassVar[int] = by_options(
        lambda run: max(term.min_samples for term in run._terms.values())
    )
    pools: ClassVar[bool] = by_options(lambda run: run.weights is None and not run.per_cell)
    asks: ClassVar[tuple[str, ...]] = ("outcomes", "score")
    evaluations = "S to 2 S + 1"
    paper = "regression on control variates: Geffner and Domke, 2018"

    def __post_init__(self) -> None:
        given = self.controls
        if isinstance(given, str) or not isinstance(given, Sequence) or not len(given):
            raise TypeError(f"controls must be a sequence of names, got {given!r}")
        names = tuple(_validate.choice(name, "controls", TERMS) for name in given)
        if len(set(names)) < len(names):
            raise ValueError(f"controls must be different, got {given!r}")
        object.__setattr__(self, "controls", names)
        if self.weights is not None:
            weights = np.asarray(_validate.real_array(self.weights, "weights"), np.float64)
            if weights.shape != (len(names),) or not np.isfinite(weights).all():
                raise ValueError(
                    f"weights must be a finite number for each of {', '.join(names)}, "
                    f"got {self.weights!r}"
                )
            object.__setattr__(self, "weights", tuple(weights.tolist()))
        _validate.choice(self.per_cell, "per_cell", (False, True))
        _validate.temperature(self.temperature)
        check_decay(self.decay)

    @property
    def _terms(self) -> dict[str, Term]:
        return {name: TERMS[name] for name in self.controls}

    @property
    def _needs(self) -> tuple[str, ...]:
        wanted = {part for term in self._terms.values() for part in term.needs}
        return tuple(part for part in ("f", "grad") if part in wanted)

    def for_distribution(self, distribution: Any) -> Estimator:
        """Return the form for listed outcomes, each a category, where features are not one-hot."""
        return self if distribution.one_hot else Listed(inner=self)

    def group(self, num_samples: int) -> int:
        """Return the number of samples: the terms of all are made together."""
        return num_samples

    def alone(self) -> Estimator:
        """Return the pool of those controls that one sample has, or REINFORCE if there is none."""
        kept = [name for name, term in self._terms.items() if term.min_samples == 1]
        if len(kept) == len(self.controls):
            return self
        if not kept:
            return Reinforce()
        chosen = None
        if self.weights is not None:
            chosen = tuple(w for name, w in zip(self.controls, self.weights) if name in kept)
        return dataclasses.replace(self, controls=tuple(kept), weights=chosen)

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return all draws of a small problem; with "rebar", one sample as nodes of quadrature."""
        if "rebar" in self.controls:
            return quadrature(distribution, num_samples, (self.temperature,))
        found = Reinforce().nodes(distribution, num_samples)
        return None if found is None else (Draws(found[0], ()), found[1])

    def draw(
        self,
        distribution: Discrete,
        num_samples: int,
        key: Key,
        *,
        offset: int = 0,
        state: dict[str, Any] | None = None,
    ) -> Draws:
        """Draw samples, with relaxations where "rebar" wants them."""
        if "rebar" in self.controls:
            return draw_relaxed(distribution, (self.temperature,), num_samples, key, offset=offset)
        z = distribution.sample(num_samples=num_samples, rng=key, sample_offset=offset)
        return Draws(_validate.frozen(z), ())

    def samples(self, distribution: Discrete, draws: Draws) -> FloatArray:
        """Return the features of the samples."""
        return distribution.features(draws.sample)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Answers:
        """Evaluate f at the samples, and what the controls want besides."""
        gradient, expansion, control = np.empty(0), None, None
        if any(name in self.controls for name in ("double_cv", "stein")):
            x = _validate.frozen(distribution.features(draws.sample))
            if objective.index is None or objective.value_and_grad is not None:
                values, gradient = objective.relaxed_and_gradient(distribution, x, offset=offset)
            else:
                values = objective.outcomes(distribution, draws.sample, offset=offset)
                gradient = objective.gradient(x, offset=offset)
        else:
            values = objective.outcomes(distribution, draws.sample, offset=offset)
        if any(name in self.controls for name in ("taylor", "rebar")):
            # f is asked again, and may return the same arrays.
            credit = values.credit
            values = Values(values.value.copy(), None if credit is None else credit.copy())
            gradient = gradient.copy()
        if "taylor" in self.controls:
            mu = _validate.frozen(mean_features(distribution))
            x = mu.reshape(1, *distribution.logits.shape)
            there, slope = objective.relaxed_and_gradient(distribution, x)
            expansion = mu, there.signal[0].copy(), slope.copy()
        if "rebar" in self.controls:
            (pair,) = draws.pairs
            c, q = objective.relaxed_and_gradient(distribution, pair.relaxed, offset=offset)
            control = Control(expand(c.signal, distribution.batch_shape), q, q)
        return Answers(values, gradient, expansion, control)

    def combine(
        self,
        distribution: Discrete,
        blocks: Iterable[tuple[Any, Any]],
        state: dict[str, Any] | None = None,
    ) -> Estimate:
        """Make the estimate of one pair (`Draws`, `Answers`)."""
        ((draws, answers),) = blocks
        value, scores, count = Mean(), CentredScores(distribution), len(draws.sample)
        value.add(answers.values.value)
        scores.add(draws.sample, answers.values.signal)
        scores.settle()
        plain = scores.about(0.0, count)
        centred = scores.total(count - 1) if "leave_one_out" in self.controls else plain
        case = Case(distribution, draws, answers, scores, plain, centred)
        terms = [term.parts(case) for term in self._terms.values()]
        shape, dtype = distribution.logits.shape, distribution.logits.dtype
        # The terms, and then the estimate at the weights of a first call.
        rows = np.empty((sum(map(len, terms)) + 1, math.prod(shape)), dtype)
        for row, term in zip(rows, (part for parts in terms for part in parts)):
            row[:] = term.reshape(-1)
        rows[-1] = centred.reshape(-1)
        evaluations = count * (1 + ("rebar" in self.controls)) + ("taylor" in self.controls)
        if self.weights is not None:
            change = np.concatenate(
                [
                    np.multiply(TERMS[name].weights, weight) - (name == "leave_one_out")
                    for name, weight in zip(self.controls, self.weights)
                ]
            )
            grad = rows[-1].copy()
            _kernels.blend(rows[:-1], change, grad)
        else:
            signal = answers.values.signal
            cells = cell_shape(signal, distribution.batch_shape) if self.per_cell else ()
            grad, state = regress(rows, shape, cells, state, self.decay)
        return estimate(value.result, grad.reshape(shape), state, evaluations)
