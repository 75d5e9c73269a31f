"""Objectives: what an f is, and stock objectives with closed forms."""

from fastgrad.objectives.answers import Values as Values  # for estimators
from fastgrad.objectives.objective import Objective, objective
from fastgrad.objectives.objective import as_objective as as_objective
from fastgrad.objectives.stock import bernoulli3, linear, separable

__all__ = ["Objective", "bernoulli3", "linear", "objective", "separable"]
