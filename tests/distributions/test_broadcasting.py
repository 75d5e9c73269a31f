"""Pairs of arrays in one shape and type, and gradients back in the shape and type of each."""

import numpy as np
import pytest

from fastgrad.distributions import broadcasting

NAMES = ("first", "second")


def test_equal_arrays_are_not_copied():
    x, y = np.zeros((2, 3)), np.ones((2, 3))
    first, second = broadcasting.pair(x, y, NAMES)
    assert first is x
    assert second is y


@pytest.mark.parametrize(
    ("one", "two", "both"),
    [((), (), ()), ((3,), (2, 3), (2, 3)), ((4, 1), (3,), (4, 3)), ((1,), (0,), (0,))],
)
def test_shapes_broadcast_and_sums_go_back(one, two, both):
    x, y = np.ones(one, np.float32), np.ones(two, np.float64)
    for a in broadcasting.pair(x, y, NAMES):
        assert (a.shape, a.dtype) == (both, np.float64)
        assert a.flags.c_contiguous
        assert not a.flags.writeable
    for a in (x, y):
        grad = broadcasting.sum_to(np.ones(both), a)
        assert (grad.shape, grad.dtype) == (a.shape, a.dtype)
        assert (grad == np.ones(both).size / max(a.size, 1)).all()


def test_other_shapes_are_refused():
    with pytest.raises(ValueError, match=r"second must .* first, \(2,\), got \(3,\)"):
        broadcasting.pair(np.zeros(2), np.zeros(3), NAMES)
