"""New arrays in compiled functions."""

import numpy as np
import pytest

from fastgrad.kernels.compiler import jit
from fastgrad.kernels.tiles import memory


@jit.standalone
def _arrays(n):
    first = memory.empty((2, n))
    first[:] = 1.0
    return first, memory.zeros(n, np.int32), memory.zeros((n, 1, 2), np.float32)


def test_arrays_are_as_numpy_s():
    for found, expected in zip(
        _arrays(3), (np.ones((2, 3)), np.zeros(3, np.int32), np.zeros((3, 1, 2), np.float32))
    ):
        np.testing.assert_array_equal(found, expected, strict=True)
        assert found.strides == expected.strides
        assert found.ctypes.data % 64 == 0
    assert [one.size for one in _arrays(0)] == [0, 0, 0]


def test_what_no_memory_holds_is_an_error():
    with pytest.raises(MemoryError):
        _arrays(2**56)
