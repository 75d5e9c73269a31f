"""A check of an objective, the moments of estimators, their comparison, an automatic choice."""

from fastgrad.comparison.check_grad import GradCheck, check_grad
from fastgrad.comparison.measuring import compare
from fastgrad.comparison.pilot import Auto
from fastgrad.comparison.replicas import Moments, moments
from fastgrad.comparison.table import Comparison

__all__ = ["Auto", "Comparison", "GradCheck", "Moments", "check_grad", "compare", "moments"]
