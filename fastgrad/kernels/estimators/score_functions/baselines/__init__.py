"""What the baselines of REINFORCE run."""
