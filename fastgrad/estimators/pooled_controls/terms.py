"""Terms of mean zero, which the control variates of estimators add to REINFORCE."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from fastgrad._typing import FloatArray
from fastgrad.distributions.discrete import Discrete
from fastgrad.estimators.relaxed_controls.relaxed_pairs import Control, Draws
from fastgrad.estimators.relaxed_controls.structured_controls import controlled_scores
from fastgrad.estimators.score_functions.control_variates import DoubleCV
from fastgrad.estimators.score_functions.gradient_controls import Expansion, ScaledControls
from fastgrad.estimators.score_functions.rodeo import RODEO
from fastgrad.estimators.score_sums import score_sums
from fastgrad.objectives import Values


class Answers(NamedTuple):
    """What f answers: at the samples, at their mean, and at their relaxations."""

    values: Values
    gradient: FloatArray  # at the samples; empty unless a control asks for it
    expansion: tuple[FloatArray, FloatArray, FloatArray] | None  # mu, f and its gradient there
    relaxed: Control | None


class Case(NamedTuple):
    """What the terms of one call are made of."""

    distribution: Discrete
    draws: Draws
    answers: Answers
    scores: Any  # the sums of f, as of `CentredScores`
    plain: FloatArray  # REINFORCE
    centred: FloatArray  # RLOO where there are leave-one-out baselines, else REINFORCE


def leave_one_out(case: Case) -> Sequence[FloatArray]:
    """Return RLOO less REINFORCE."""
    return [case.centred - case.plain]


def of_gradients(estimator: ScaledControls) -> Callable[[Case], Sequence[FloatArray]]:
    """Return the function that makes the controls of an estimator which has gradients at z."""

    def terms(case: Case) -> Sequence[FloatArray]:
        z, f, logits = case.draws.sample, case.answers.values, case.distribution.logits
        shape = f.signal.reshape(len(z), -1).shape
        out = np.empty((len(estimator.weights), *logits.shape), logits.dtype)
        estimator.controls(case.distribution, z, shape, case.answers.gradient, out)
        return [out[i] for i in range(len(out))]

    return terms


def taylor(case: Case) -> Sequence[FloatArray]:
    """Return the terms of MuProp: of f at the mean, and of its slope there."""
    assert case.answers.expansion is not None, "it was asked for"
    mu, at_mu, slope = case.answers.expansion
    mean, z = case.scores.mean, case.draws.sample
    if at_mu.shape != mean.shape:
        shapes = f"{mean.shape} at outcomes and {at_mu.shape} at the mean"
        raise ValueError(f"f must return values and credit of one shape, got {shapes}")
    constant = np.subtract(case.scores.about(at_mu, mean.count), case.plain)
    expansion, signal = Expansion(case.distribution, mu, slope), case.answers.values.signal
    scores = score_sums(case.distribution)
    scores.add(z, expansion.at(z, (len(z), signal[0].size)).reshape(signal.shape))
    return [constant, np.subtract(expansion.product, scores.about(0.0, mean.count))]


def relaxed(case: Case) -> Sequence[FloatArray]:
    """Return the term of REBAR."""
    control = case.answers.relaxed
    assert control is not None, "it was asked for"
    (pair,) = case.draws.pairs
    total = controlled_scores(case.distribution)
    total.add(case.draws.sample, pair, 1.0, np.zeros_like(control.signal), control)
    return [total.total / len(case.draws.sample)]


class Term(NamedTuple):
    """A control variate: its parts, each of mean zero, and their weights in its own estimator.

    asks are the capabilities that a distribution must have for it.
    """

    parts: Callable[[Case], Sequence[FloatArray]]
    weights: tuple[float, ...]
    needs: tuple[str, ...] = ()
    min_samples: int = 1
    asks: tuple[str, ...] = ()


TERMS: dict[str, Term] = {
    "leave_one_out": Term(leave_one_out, (1.0,), min_samples=2),
    "double_cv": Term(of_gradients(DoubleCV()), DoubleCV.weights, ("grad",), 2, ("mean",)),
    "stein": Term(of_gradients(RODEO()), RODEO.weights, ("grad",), 2, ("one_hot",)),
    "taylor": Term(taylor, (1.0, 1.0), ("f", "grad"), asks=("mean",)),
    "rebar": Term(relaxed, (1.0,), ("f", "grad"), asks=("conditional",)),
}
ALL = ("leave_one_out", "double_cv", "taylor", "rebar")  # those that are pooled by default


def lacking(name: str, distribution: Discrete) -> str | None:
    """Return why a distribution has not what a control variate is made of, or None."""
    return next((distribution.lacks[c] for c in TERMS[name].asks if c in distribution.lacks), None)
