"""Estimators for `fastgrad.continuous`, whose gradients are dicts by parameter."""
