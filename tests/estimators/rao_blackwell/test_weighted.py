"""Sums of scores with weights of their own."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.estimators.rao_blackwell import weighted


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_saturated_logits_keep_their_digits(dtype):
    gap, eps = (20.0 if dtype == np.float32 else 42.0), np.finfo(dtype).eps
    z, weights = np.zeros((3, 1), np.int32), np.array([[1.0], [2], [4]])
    rest = 2 * np.exp(-gap) / (1 + 2 * np.exp(-gap))
    d = fg.Categorical(np.array([[gap, 0, 0]], dtype))
    right = 7 * rest * np.array([[1, -0.5, -0.5]])
    np.testing.assert_allclose(weighted.scores(d, z, weights), right, rtol=64 * eps)
    d, rest = fg.Bernoulli(np.array([gap, -gap], dtype)), np.exp(-gap) / (1 + np.exp(-gap))
    found = weighted.scores(d, np.array([[1, 0]] * 3, np.int32), weights)
    np.testing.assert_allclose(found, 7 * rest * np.array([1, -1]), rtol=64 * eps)
