"""Scores with baselines and control variates."""
