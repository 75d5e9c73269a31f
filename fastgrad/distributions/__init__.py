"""Distributions: each module has functions of arrays, and a small frozen type over them."""
