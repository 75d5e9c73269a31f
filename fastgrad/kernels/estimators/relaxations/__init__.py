"""Products of gradients with the Jacobians of relaxations."""
