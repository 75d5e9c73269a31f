"""What the fronts of frameworks share, with no framework in it."""
