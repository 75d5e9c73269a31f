"""Predicting sizes of files."""
