"""Estimators whose samples are coupled, so that they differ: ARM and its successors."""
