"""The moments of one estimator, a comparison of several, and an automatic choice."""

from fastgrad.comparison.measuring import compare
from fastgrad.comparison.pilot import Auto
from fastgrad.comparison.replicas import Moments, moments
from fastgrad.comparison.table import Comparison

__all__ = ["Auto", "Comparison", "Moments", "compare", "moments"]
