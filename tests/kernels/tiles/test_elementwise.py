"""Sums and fillings of whole arrays: NumPy's, in a fixed order."""

import functools
import operator

import numpy as np
import pytest

from fastgrad.kernels.compiler import jit
from fastgrad.kernels.tiles import elementwise

DTYPES = (np.float32, np.float64)


@jit.standalone
def _filled(x, value):
    elementwise.fill(x, value)
    return x


@jit.standalone
def _sum(x):
    return elementwise.sum_of(x)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("step", [1, 3])
def test_a_sum_goes_from_the_first_entry_to_the_last(dtype, step):
    x = np.random.default_rng(0).normal(size=1000).astype(dtype)[::step]
    assert dtype(_sum(x)) == functools.reduce(operator.add, x, dtype(0))
    assert _sum(x[:0]) == 0


@pytest.mark.parametrize("dtype", [*DTYPES, np.bool_])
def test_all_of_an_array_is_filled(dtype):
    x = np.zeros(5, dtype)
    np.testing.assert_array_equal(_filled(x, 1), np.ones(5, dtype), strict=True)
    assert _filled(np.empty(0, dtype), 1).size == 0


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_array_of_numbers_is_filled_with_infinity(dtype):
    assert np.isposinf(_filled(np.zeros(5, dtype), np.inf)).all()
