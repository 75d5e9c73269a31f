"""Kernels of distributions over counts."""
