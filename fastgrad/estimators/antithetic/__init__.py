"""Estimators whose samples are drawn to differ."""
