"""Weights of large pictures."""

import numpy as np
import pytest

from fastgrad.dithering.optimiser.weights import check_weights
from fastgrad.dithering.strips.weights import WeightSource

GIVEN = np.random.default_rng(0).random((600, 30)) ** 20
GIVEN[500, 3], GIVEN[5, 5] = 40.0, 0.0


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.bool_, np.int64])
def test_parts_are_those_of_the_whole(dtype):
    given = GIVEN.astype(dtype)
    source, whole = WeightSource(given, (600, 30)), check_weights(given, (600, 30))
    found = source.read(100, 300, 5, 20).values
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, whole[100:300, 5:20], rtol=1e-6)


def test_what_is_wrong_is_said_at_once():
    with pytest.raises(ValueError, match=r"weights must have shape \(9, 9\), got \(600, 30\)"):
        WeightSource(GIVEN, (9, 9))
    for wrong in (-1.0, 2e6, np.nan):
        given = GIVEN.copy()
        given[599, 29] = wrong
        with pytest.raises(ValueError, match="weights must be"):
            WeightSource(given, given.shape)
    with pytest.raises(ValueError, match="weights must be at least 1e-06 somewhere"):
        WeightSource(np.full((3, 3), 1e-9), (3, 3))
    with pytest.raises(TypeError, match="weights must be"):
        WeightSource(np.full((3, 3), 1j), (3, 3))
