"""Estimators that multiply the score by f, less what is known about it: REINFORCE and its kin."""
