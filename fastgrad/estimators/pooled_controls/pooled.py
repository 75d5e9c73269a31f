"""REINFORCE with the control variates of several estimators at once."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Literal, NamedTuple, TypeAlias

import numpy as np

from fastgrad import _validate
from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.base import Estimate, Estimator, by_options, estimate
from fastgrad.estimators.pooled_controls.least_squares import Choices, choices, regress
from fastgrad.estimators.pooled_controls.listed_pool import ListedPool
from fastgrad.estimators.pooled_controls.terms import ALL, TERMS, Answers, Case, Term, lacking
from fastgrad.estimators.relaxed_controls.adaptation import cell_shape, expand
from fastgrad.estimators.relaxed_controls.relaxed_pairs import (
    Control,
    Draws,
    draw_relaxed,
    quadrature,
)
from fastgrad.estimators.relaxed_controls.structured_pairs import draw_structured
from fastgrad.estimators.score_functions.baselines.simple import check_decay
from fastgrad.estimators.score_functions.gradient_controls import mean_of
from fastgrad.estimators.score_functions.reinforce import Reinforce
from fastgrad.estimators.score_sums import score_sums
from fastgrad.estimators.sums import Mean
from fastgrad.kernels.estimators.score_functions import control_variates as _kernels
from fastgrad.objectives import Objective, Values
from fastgrad.random import Key

__all__ = ["Pooled"]

ControlName: TypeAlias = Literal["leave_one_out", "double_cv", "stein", "taylor", "rebar"]


class Terms(NamedTuple):
    """What an estimate is made of.

    Attributes
    ----------
    value : array
        The mean of f.
    rows : array, shape (C + 1, n)
        The terms of all controls, and then the estimate at the weights of a first call, flat.
    cells : tuple of int
        Shape of the groups of entries that may have weights of their own.
    evaluations : int
    """

    value: FloatArray
    rows: FloatArray
    cells: tuple[int, ...]
    evaluations: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pooled(Estimator):
    """REINFORCE with the control variates of several estimators, weighted for least variance.

    Each control contributes a term h of mean zero, made of the samples that all share. The estimate
    is ``g + sum over controls of weight * h``, where g is REINFORCE without a baseline. The weights
    are those of least squares: they minimise the variance according to running products of g and h
    from earlier calls, and so each call is unbiased. Whatever helps on the problem at hand gets its
    weight; what does not help gets almost none. Learned weights are noisy, and a single control may
    do better at its own weights, or alone at learned ones: that is taken which has made the
    estimates nearest to their mean in recent calls, and all together where they have surely made
    them nearer, by more than a standard error. In the first call, without a state, "leave_one_out"
    has weight 1 and all others 0: it is RLOO.

    Parameters
    ----------
    controls : sequence of str, optional
        Which control variates to pool, one or more of

        - "leave_one_out": the baselines of `rloo`;
        - "double_cv": the linear function of `double_cv`, made of gradients at the other samples;
        - "stein": the surrogates of `rodeo`, made of the same gradients; each has a weight of its
          own;
        - "taylor": the expansion of `muprop` at the mean, which costs one evaluation; value and
          slope have a weight each;
        - "rebar": f at the conditional relaxation, which costs one evaluation a sample.

        All but the first need the gradient of f. By default all but "stein", of those that the
        distribution has the parts for: "double_cv" and "taylor" are made of its exact mean, "rebar"
        of its relaxation given the sample. A control whose part it lacks may be asked for by name:
        then all are made of its listed outcomes, as is "stein" of every structure.
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

    Where a few rare samples make most of the variance, as of a single count with a long tail, past
    calls may not tell which control is best: after 200 calls of 4 samples, on four such problems
    with 12 seeds each, the one taken was the best, or within 5 % of it, but in two cases of the
    geometric distribution, where it had 1.2 and 1.9 times its variance.

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

    controls: Sequence[ControlName] | None = None
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
    asks: ClassVar[tuple[str, ...]] = ("score",)
    evaluations = "S to 2 S + 1"
    paper = "regression on control variates: Geffner and Domke, 2018"

    def __post_init__(self) -> None:
        given = ALL if self.controls is None else self.controls
        if isinstance(given, str) or not isinstance(given, Sequence) or not len(given):
            raise TypeError(f"controls must be a sequence of names, got {given!r}")
        names = tuple(_validate.choice(name, "controls", TERMS) for name in given)
        if len(set(names)) < len(names):
            raise ValueError(f"controls must be different, got {given!r}")
        if self.controls is not None:
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
    def _names(self) -> Sequence[ControlName]:
        return ALL if self.controls is None else self.controls  # pyright: ignore

    @property
    def _terms(self) -> dict[str, Term]:
        return {name: TERMS[name] for name in self._names}

    @property
    def _needs(self) -> tuple[str, ...]:
        wanted = {part for term in self._terms.values() for part in term.needs}
        return tuple(part for part in ("f", "grad") if part in wanted)

    def _of(self, names: Sequence[str]) -> Pooled:
        """Return the pool of those controls among its own, with their weights."""
        chosen = None
        if self.weights is not None:
            chosen = tuple(w for name, w in zip(self._names, self.weights) if name in names)
        controls: Any = tuple(names)
        return dataclasses.replace(self, controls=controls, weights=chosen)

    def for_distribution(self, distribution: Any) -> Estimator:
        """Return the form for a structure: of what it has, or of its listed outcomes."""
        if distribution.one_hot:
            return self
        reasons = {name: lacking(name, distribution) for name in self._names}
        known = [name for name, reason in reasons.items() if reason is None]
        if len(known) == len(reasons):
            return self
        if self.controls is None:
            return self._of(known)
        kind, (name, reason) = type(distribution), next(x for x in reasons.items() if x[1])
        if "outcomes" in kind.lacks:
            raise TypeError(f"{name!r} of pooled does not work with {kind.__name__}: {reason}")
        return ListedPool(inner=self)

    def group(self, num_samples: int) -> int:
        """Return the number of samples: the terms of all are made together."""
        return num_samples

    def alone(self) -> Estimator:
        """Return the pool of those controls that one sample has, or REINFORCE if there is none."""
        kept = [name for name in self._names if TERMS[name].min_samples == 1]
        if len(kept) == len(self._names):
            return self
        return self._of(kept) if kept else Reinforce()

    def nodes(self, distribution: Discrete, num_samples: int) -> tuple[Any, FloatArray] | None:
        """Return all draws of a small problem; with "rebar", one sample as nodes of quadrature."""
        if "rebar" in self._names:
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
        if "rebar" in self._names:
            what = distribution, (self.temperature,), num_samples, key
            if distribution.one_hot:
                return draw_relaxed(*what, offset=offset)
            return Draws(*draw_structured(*what, offset=offset))
        z = distribution.drawn(num_samples, key, offset)
        return Draws(_validate.frozen(z), ())

    def samples(self, distribution: Discrete, draws: Draws) -> FloatArray:
        """Return the features of the samples."""
        return distribution.features(draws.sample)

    def ask(
        self, objective: Objective, distribution: Discrete, draws: Any, *, offset: int = 0
    ) -> Answers:
        """Evaluate f at the samples, and what the controls want besides."""
        gradient, expansion, control = np.empty(0), None, None
        if any(name in self._names for name in ("double_cv", "stein")):
            x = _validate.frozen(distribution.features(draws.sample))
            if objective.index is None or objective.value_and_grad is not None:
                values, gradient = objective.relaxed_and_gradient(distribution, x, offset=offset)
            else:
                values = objective.outcomes(distribution, draws.sample, offset=offset)
                gradient = objective.gradient(x, offset=offset)
        else:
            values = objective.outcomes(distribution, draws.sample, offset=offset)
        if any(name in self._names for name in ("taylor", "rebar")):
            # f is asked again, and may return the same arrays.
            credit = values.credit
            values = Values(values.value.copy(), None if credit is None else credit.copy())
            gradient = gradient.copy()
        if "taylor" in self._names:
            mu = _validate.frozen(mean_of(distribution))
            x = mu.reshape(1, *distribution.feature_shape)
            there, slope = objective.relaxed_and_gradient(distribution, x)
            expansion = mu, there.signal[0].copy(), slope.copy()
        if "rebar" in self._names:
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
        return self.weigh(distribution, self.terms(distribution, blocks), state)

    def terms(self, distribution: Discrete, blocks: Iterable[tuple[Any, Any]]) -> Terms:
        """Make the terms of one pair (`Draws`, `Answers`)."""
        ((draws, answers),) = blocks
        value, scores, count = Mean(), score_sums(distribution), len(draws.sample)
        value.add(answers.values.value)
        scores.add(draws.sample, answers.values.signal)
        scores.settle()
        plain = scores.about(0.0, count)
        centred = scores.total(count - 1) if "leave_one_out" in self._names else plain
        case = Case(distribution, draws, answers, scores, plain, centred)
        terms = [term.parts(case) for term in self._terms.values()]
        rows = np.empty((sum(map(len, terms)) + 1, plain.size), distribution.logits.dtype)
        for row, term in zip(rows, (part for parts in terms for part in parts)):
            row[:] = term.reshape(-1)
        rows[-1] = centred.reshape(-1)
        cells = cell_shape(answers.values.signal, distribution.batch_shape)
        evaluations = count * (1 + ("rebar" in self._names)) + ("taylor" in self._names)
        return Terms(value.result, rows, cells, evaluations)

    def _change(self, weights: Any) -> FloatArray:
        """Return weights of all terms, for weights of the controls, less those of a first call."""
        return np.concatenate(
            [
                np.multiply(TERMS[name].weights, weight) - (name == "leave_one_out")
                for name, weight in zip(self._names, weights)
            ]
        )

    @functools.cached_property
    def _among(self) -> Choices:
        own = np.stack([self._change(weights) for weights in np.eye(len(self._names))])
        sizes = [len(term.weights) for term in self._terms.values()]
        return choices(own, np.repeat(np.arange(len(sizes)), sizes))

    def weigh(self, distribution: Discrete, terms: Terms, state: dict[str, Any] | None) -> Estimate:
        """Make the estimate of terms, and learn from them unless the weights are fixed."""
        shape, rows = distribution.logits.shape, terms.rows
        if self.weights is not None:
            grad = rows[-1].copy()
            _kernels.blend(rows[:-1], self._change(self.weights), grad)
        else:
            cells = terms.cells if self.per_cell else ()
            grad, state = regress(rows, shape, cells, state, self.decay, self._among)
        return estimate(terms.value, grad.reshape(shape), state, terms.evaluations)
