"""Distinct outcomes, and sums over them."""
