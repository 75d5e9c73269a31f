"""Small pictures to dither, and weights of their pixels."""

import numpy as np
import pytest


def problem(seed=0, height=2, width=3, colors=3, dtype=np.float64):
    rng = np.random.default_rng(seed)
    image = rng.random((height, width, 3)).astype(dtype)
    logits = (2 * rng.standard_normal((height, width, colors))).astype(dtype)
    return image, logits, rng.random((colors, 3)).astype(dtype)


def some_weights(height, width, seed=9):
    """Weights from 0.3 to 2, and 0 for every fifth pixel or so."""
    rng = np.random.default_rng(seed)
    return rng.uniform(0.3, 2.0, (height, width)) * (rng.random((height, width)) < 0.8)


WEIGHTED = pytest.mark.parametrize("weighted", [False, True])
