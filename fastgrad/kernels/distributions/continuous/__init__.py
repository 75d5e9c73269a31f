"""The work on continuous families."""
