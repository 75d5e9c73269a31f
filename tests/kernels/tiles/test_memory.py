"""New arrays in compiled functions."""

import numpy as np
import pytest

from fastgrad.kernels.compiler import jit
from fastgrad.kernels.tiles import memory


@jit.standalone
def _arrays(n):
    first = memory.empty((2, n))
    first[:] = 1.0
    return first, memory.zeros(n, np.bool_), memory.zeros((n, 1, 2), np.float32)


def test_arrays_are_as_numpy_s():
    for found, expected in zip(
        _arrays(3), (np.ones((2, 3)), np.zeros(3, np.bool_), np.zeros((3, 1, 2), np.float32))
    ):
        np.testing.assert_array_equal(found, expected, strict=True)
        assert found.strides == expected.strides
        assert found.ctypes.data % 64 == 0
    assert [one.size for one in _arrays(0)] == [0, 0, 0]


def test_what_no_memory_holds_is_an_error():
    with pytest.raises(MemoryError):
        _arrays(2**56)


@jit.standalone
def _add_one(address, n):
    rows, flat = (
        memory.array_at(address, (n, 2), np.float32),
        memory.array_at(address, 2 * n, np.int32),
    )
    rows[n - 1, 0] += 1
    flat[0] = rows.nbytes


def test_arrays_are_where_their_address_is():
    x = np.arange(6, dtype=np.float32)
    _add_one(x.ctypes.data, 3)
    assert x[1:].tolist() == [1, 2, 3, 5, 5]
    assert x.view(np.int32)[0] == 24
