"""Kernels of distributions over structures."""
