"""Samples with their relaxations, and sums with a relaxed control variate."""
