"""Blocks of rows, laid out so that one loop serves every number of categories."""
