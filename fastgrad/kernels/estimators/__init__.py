"""The work of estimators: draws, and the sums over samples that they call for."""
