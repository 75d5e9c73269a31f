"""The pass that says whether anything needs a closer look: vectors of 16, and what is left over."""

import numpy as np
import pytest
from strategies import DTYPES

from fastgrad._validate import frozen
from fastgrad.kernels.tiles import check

INF, NAN = np.inf, np.nan


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [0, 5, 16, 31, 48])
def test_it_finds_the_worst_at_every_place(size, dtype):
    x = np.linspace(-1, 1, size).astype(dtype)
    assert check.worst(frozen(x)) == check.FINE
    worst = {-INF: check.MASKED, INF: check.BAD, NAN: check.BAD}
    for place in range(size):
        for value, expected in worst.items():
            y = x.copy()
            y[place] = value
            assert check.worst(frozen(y)) == expected
            y[0] = -INF if place else value  # the worst of two counts
            assert check.worst(frozen(y)) == expected
