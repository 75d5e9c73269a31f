"""Structural similarity."""
