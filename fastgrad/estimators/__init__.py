"""Estimators of the gradient of E[f] with respect to the logits, by name."""

from fastgrad.estimators.base import Estimate, Estimator
from fastgrad.estimators.catalogue import list_estimators
from fastgrad.estimators.registry import (
    CONTINUOUS,
    ESTIMATORS,
    ContinuousName,
    EstimatorName,
    estimator,
    register_estimator,
)

__all__ = [
    "CONTINUOUS",
    "ESTIMATORS",
    "ContinuousName",
    "Estimate",
    "Estimator",
    "EstimatorName",
    "estimator",
    "list_estimators",
    "register_estimator",
]
