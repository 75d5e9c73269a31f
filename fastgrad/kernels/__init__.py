"""Compiled code only: no validation here, and no import from the rest of the package."""
