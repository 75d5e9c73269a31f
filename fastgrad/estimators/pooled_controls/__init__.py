"""Control variates of several estimators together, weighted for the least variance."""
