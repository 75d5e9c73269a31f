"""Which estimator for which f: the moments of one, a comparison of several, and a choice."""

from fastgrad.comparison.measuring import compare
from fastgrad.comparison.pilot import Auto
from fastgrad.comparison.replicas import Moments, moments
from fastgrad.comparison.table import Comparison

__all__ = ["Auto", "Comparison", "Moments", "compare", "moments"]
