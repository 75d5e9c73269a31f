"""A language of 16 numbers: vectors as values, and functions written once for both formats."""
