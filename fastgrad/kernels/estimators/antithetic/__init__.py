"""Coupled draws, and the sums that correct for their coupling."""
