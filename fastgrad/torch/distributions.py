"""Distributions of torch as logits of our variables."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch import distributions as td

from fastgrad.distributions import continuous
from fastgrad.distributions.bernoulli import Bernoulli
from fastgrad.distributions.categorical import Categorical, as_distribution
from fastgrad.distributions.discrete import Discrete
from fastgrad.interop.families import built
from fastgrad.torch.tensors import real
from fastgrad.torch.transforms import Mapped, array_of, mapped

__all__ = ["variables_of"]

RELAXED = td.RelaxedBernoulli, td.RelaxedOneHotCategorical


def variables_of(
    distribution: Any, family: Any = None, *, check: bool = True
) -> tuple[Tensor, Discrete, Mapped]:
    """Return the logits of what a user gave, the variables that have them, and what maps them.

    A family makes the variables of an array of logits, in place of categoricals. Without `check`
    those of categoricals are not looked at: see `Estimator.draws_first`.
    """
    if family is not None and not callable(family):
        raise TypeError(f"family must make a distribution of an array of logits, got {family!r}")
    while isinstance(distribution, td.Independent):  # f says which axes are one event
        distribution = distribution.base_dist
    if family is not None and isinstance(distribution, td.Distribution):
        got = type(distribution).__name__
        raise TypeError(f"family goes with a tensor of logits, got {got}")
    kind: Any = Categorical
    if isinstance(distribution, td.Bernoulli):
        logits, kind = _logits(distribution, _log_odds), Bernoulli
    elif isinstance(distribution, (td.Categorical, td.OneHotCategorical)):
        logits = _logits(distribution, _logarithms)
    elif isinstance(distribution, td.Distribution):
        raise TypeError(
            "distribution must be Categorical or Bernoulli, or logits, got "
            f"{type(distribution).__name__}{_advice(distribution)}"
        )
    else:
        logits = distribution
    values, levels = mapped(real(logits, "logits"))
    if family is None and kind is Categorical:
        return logits, as_distribution(array_of(values), check=check), levels
    kind = functools.partial(kind, copy=False) if family is None else family
    return logits, built(kind, array_of(values), "family"), levels


def _advice(distribution: td.Distribution) -> str:
    if isinstance(distribution, RELAXED):
        return ": give the discrete one, and estimator='gumbel_softmax'"
    if type(distribution).__name__ in continuous.__all__:
        return ": for continuous families there is fastgrad.torch.continuous"
    return ""


def _logits(distribution: Any, of_probabilities: Callable[[Tensor], Tensor]) -> Tensor:
    """Return the logits; of probabilities exactly, which torch first moves away from 0 and 1."""
    if distribution._param is distribution.probs:
        return of_probabilities(distribution.probs)
    return distribution.logits


def _logarithms(p: Tensor) -> Tensor:
    inside = p > 0
    return torch.where(inside, torch.where(inside, p, 1.0).log(), -torch.inf)


def _log_odds(p: Tensor) -> Tensor:
    inside = (p > 0) & (p < 1)
    q = torch.where(inside, p, 0.5)
    ends = torch.where(p > 0, torch.inf, -torch.inf).to(p.dtype)
    return torch.where(inside, q.log() - torch.log1p(-q), ends)
