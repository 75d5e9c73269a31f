"""Sparse maps to the simplex: what fastgrad/sparse/ runs."""
