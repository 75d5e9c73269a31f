"""Estimators that sum over some or all outcomes, rather than sample each of them."""
