"""Estimators of the gradient of E[f] with respect to the logits, by name."""

from typing import TYPE_CHECKING

from fastgrad._lazy import attach

if TYPE_CHECKING:
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

_HOMES = {  # imported when they are first asked for, with all estimators
    **dict.fromkeys(__all__, "registry"),
    **dict.fromkeys(("Estimate", "Estimator"), "base"),
    "list_estimators": "catalogue",
}
_ROOMS = ("base", "catalogue", "registry", "score_functions", "rao_blackwell", "antithetic")
_ROOMS += ("relaxations", "relaxed_controls", "pooled_controls", "continuous")

__getattr__, __dir__ = attach(__name__, _HOMES, {n: n for n in _ROOMS}, __all__)
