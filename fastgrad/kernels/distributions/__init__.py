"""The work on batches of categoricals, Bernoullis, permutations, subsets and their relaxations."""
