"""Estimators that differentiate f, at relaxed or discrete points, and carry that to the logits."""
