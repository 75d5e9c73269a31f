"""Estimators that differentiate f at relaxed or at discrete samples: Gumbel-softmax and others."""
