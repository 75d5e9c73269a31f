"""The choice of a palette and of each pixel's colour, as an optimisation."""
