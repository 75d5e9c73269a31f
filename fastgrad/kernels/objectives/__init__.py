"""Objectives that are compiled functions: how kernels call them."""
