"""Distributions over sets, orders and matchings, whose parts depend on each other."""
