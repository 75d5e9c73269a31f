"""Estimators that multiply the score by f, minus a baseline or a control variate."""
